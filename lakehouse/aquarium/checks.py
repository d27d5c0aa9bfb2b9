"""Checks of single arguments: what Aquarium's client refused, refused here.

Each check returns the value as it is stored, or raises `InvalidInputError`
naming the argument, what it was, and what it may be.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any, Final

from lakehouse.errors import InvalidInputError
from lakehouse.model.ids import NAME_PATTERN, check_name, id_problem

__all__ = [
    "check_date",
    "check_embedding",
    "check_floats",
    "check_id",
    "check_metadata",
    "check_name",
    "check_number",
    "check_numbers",
    "check_one_of",
    "check_optional_whole",
    "check_text",
    "is_key",
    "refuse",
]



def refuse(message: str, kind: str = "value.type") -> InvalidInputError:
    """The error to raise for an argument at fault."""
    return InvalidInputError(message, kind=kind)


def is_key(value: object) -> bool:
    """Whether a value may name a metadata field."""
    return isinstance(value, str) and re.fullmatch(NAME_PATTERN, value) is not None


def check_id(what: str, value: object) -> str:
    """A frame, label or sensor id.

    Raises:
        InvalidInputError: If it is no text, is empty, or has a forbidden character.

    >>> check_id("frame_id", "frame_1")
    'frame_1'
    """
    problem = id_problem(value)
    if problem is None:
        return str(value)
    raise refuse(
        f"{what}={value!r} {problem}. Ids are text without # [ ] ? * , / and control "
        "characters, in Latin-1, at least one character.",
        "id.invalid",
    )


def check_text(what: str, value: object) -> str:
    """Some text.

    Raises:
        InvalidInputError: If it is not a str.
    """
    if isinstance(value, str):
        return value
    raise refuse(f"{what}={value!r} is {_type(value)}; give a str.")


def check_one_of(what: str, value: object, allowed: Sequence[str]) -> str:
    """One of several words.

    Raises:
        InvalidInputError: If it is another.
    """
    if isinstance(value, str) and value in allowed:
        return value
    raise refuse(f"{what}={value!r}; give one of {', '.join(allowed)}.", "value.range")


def check_number(what: str, value: object) -> float:
    """A finite number as a float; truth values are none.

    Raises:
        InvalidInputError: If it is not.
    """
    return check_numbers({what: value})[what]


def check_numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Finite numbers as floats, all faults told at once.

    Raises:
        InvalidInputError: If one is no number, is a truth value, or not finite.

    >>> check_numbers({"top": 1, "left": 2.5})
    {'top': 1.0, 'left': 2.5}
    """
    bad = [f"{what}={value!r}" for what, value in values.items() if not _is_number(value)]
    if bad:
        raise refuse(f"{', '.join(bad)}: give finite numbers (int or float).")
    return {what: float(value) for what, value in values.items() if _is_number(value)}


def check_floats(what: str, values: object, length: int) -> list[float]:
    """A list of so many finite floats; ints are refused, as Aquarium does.

    Raises:
        InvalidInputError: If it has another length or other elements.
    """
    listed = _listed(what, values)
    good = all(isinstance(value, float) and math.isfinite(value) for value in listed)
    if len(listed) == length and good:
        return [float(value) for value in listed]
    raise refuse(f"{what}={values!r}; give a list of {length} finite floats.")


def check_optional_whole(what: str, value: object) -> int | None:
    """A whole number, or None.

    Raises:
        InvalidInputError: If it is another thing, truth values included.
    """
    if value is None:
        return None
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    raise refuse(f"{what}={value!r} is {_type(value)}; give an int.")


def check_date(what: str, value: object) -> datetime:
    """An ISO-8601 date as an aware datetime; a date without a zone is UTC.

    Raises:
        InvalidInputError: If it cannot be read as one.

    >>> check_date("date_captured", "2023-08-01 12:00:00Z").isoformat()
    '2023-08-01T12:00:00+00:00'
    """
    try:
        date = value if isinstance(value, datetime) else datetime.fromisoformat(
            check_text(what, value)
        )
    except ValueError as error:
        raise refuse(
            f"{what}={value!r} is no date; give ISO-8601, such as "
            "2026-01-31T12:00:00+00:00.",
            "value.date",
        ) from error
    zoned = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return zoned.astimezone(UTC)


def check_embedding(what: str, value: object) -> list[float]:
    """A vector of at least two finite numbers.

    Raises:
        InvalidInputError: If it is shorter or has other elements.
    """
    listed = _listed(what, value)
    if len(listed) < 2 or not all(_is_number(number) for number in listed):  # noqa: PLR2004 - Aquarium's rule
        raise refuse(
            f"{what} is no embedding: give a list of 2 or more finite numbers.",
            "embedding.invalid",
        )
    return [float(number) for number in listed]


def check_metadata(what: str, value: object) -> dict[str, Any]:
    """Free metadata: a dict with text keys.

    Raises:
        InvalidInputError: If it is no dict, or has other keys.
    """
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):  # pyright: ignore[reportUnknownVariableType]
        return dict(value)  # pyright: ignore[reportUnknownArgumentType]
    raise refuse(f"{what}={value!r}; give a dict whose keys are str.")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(float(value))


def _listed(what: str, value: object) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise refuse(f"{what}={value!r} is {_type(value)}; give a list.")
    return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _type(value: object) -> str:
    return type(value).__name__
