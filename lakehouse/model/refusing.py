"""Refusing a call: all that is wrong with it, in one error."""

from collections.abc import Sequence
from typing import Final

from lakehouse.errors import InvalidInputError
from lakehouse.model.problems import Problem

__all__ = ["refuse"]

_SHOWN: Final = 20


def refuse(faults: Sequence[Problem], lead: str = "Nothing was written.") -> None:
    """Raise if there are faults; the first are listed, and all are in `problems`.

    Args:
        faults: What is wrong.
        lead: What that comes to.

    Raises:
        InvalidInputError: If there are any.
    """
    if not faults:
        return
    lines = [f"  {fault}" for fault in faults[:_SHOWN]]
    more = len(faults) - len(lines)
    shown = "\n".join(lines) + (f"\n  … and {more} more" if more else "")
    raise InvalidInputError(f"{lead}\n{shown}", kind=faults[0].rule, problems=faults)
