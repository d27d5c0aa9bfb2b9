"""Values of other libraries as Python's own.

Models hand out NumPy and torch scalars, databases hand out decimals, file walks
hand out paths. Each is taken as the value that it stands for.
"""

import numbers
import os
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

PLAIN: Final = frozenset({str, int, float, bool, type(None), datetime, date})
"""Types that are Python's own, and need no look."""

CONTAINERS: Final = frozenset({list, tuple, dict})
"""Types whose values are looked into only when they do not fit as they are."""


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever was sent
    """The value, and all inside it, as text, numbers, dates, lists and dicts.

    What is none of these is returned unchanged.

    >>> import numpy as np
    >>> plain([np.int64(3), Decimal("1.5"), {"ok": np.bool_(True)}])
    [3, 1.5, {'ok': True}]
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, list | tuple):
        # Vectors and vertices are plain throughout: one pass in C says so.
        if PLAIN.issuperset(map(type, value)):
            return list(value)
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {
            name if isinstance(name, str) else str(name): plain(item)
            for name, item in value.items()
        }
    return _of_library(value)


def _of_library(value: Any) -> Any:  # noqa: ANN401
    # pandas' NaT is a datetime by type, and no date; its NA is of a type of its own.
    if type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if isinstance(value, str | os.PathLike):
        return str.__str__(value) if isinstance(value, str) else os.fsdecode(value)
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        # In nanoseconds, NumPy would hand out a number instead of a date.
        is_time = getattr(value.dtype, "kind", "") == "M"
        return (value.astype("datetime64[us]") if is_time else value).item()
    if isinstance(value, numbers.Real | Decimal):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return _listed(value)


def _listed(value: Any) -> Any:  # noqa: ANN401
    """Arrays and columns as lists; what is neither is returned unchanged."""
    for method in ("tolist", "to_list", "as_py"):
        if callable(convert := getattr(value, method, None)):
            made = convert()
            # A method that hands out its own kind again would never end.
            return made if type(made) is type(value) else plain(made)
    return value


def as_text(text: str) -> str:
    r"""Text that can be stored: half of a surrogate pair is shown as its escape.

    >>> as_text("a\udc00")
    'a\\udc00'
    """
    return text.encode(errors="backslashreplace").decode()
