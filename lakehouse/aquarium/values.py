"""Checks of arguments that the client's classes share: each raises at the call itself.

`checked_…` return the value as it is stored; `require_…` only check.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from numbers import Real
from typing import Any, Final, Literal

from lakehouse.errors import InvalidInputError
from lakehouse.intake.tabular import to_utc
from lakehouse.model.ids import ID_HINT, NAME_PATTERN, check_name, id_problem
from lakehouse.model.metadata import PREFIX

_ELEMENTS: Final = {"str": str, "int": int, "float": float, "bool": bool}


def refused(message: str, kind: str = "aquarium.argument") -> InvalidInputError:
    """The error for an argument that is refused."""
    return InvalidInputError(message, kind=kind)


# -------------------------- IDS, NUMBERS AND TEXT --------------------------- #


def checked_id(value: Any, what: str) -> str:
    """A frame, label or sensor id.

    Raises:
        InvalidInputError: If it is not text, empty, or has forbidden characters.
    """
    if problem := id_problem(value):
        raise refused(
            f"{what} {value!r} {problem}. {ID_HINT}",
            "id.invalid",
        )
    return str(value)


def checked_number(value: Any, what: str) -> float:
    """A finite number.

    Raises:
        InvalidInputError: If it is none.
    """
    # NumPy's scalars are Real too; True is an int in Python, and no number here.
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise refused(f"{what} is {value!r}, not a finite number.")
    return float(value)


def checked_text(value: Any, what: str) -> str:
    """Text that is not empty.

    Raises:
        InvalidInputError: If it is none.
    """
    if isinstance(value, str) and value:
        return value
    raise refused(f"{what} is {value!r}: it is text, and not empty.")


# ---------------------------- ARGUMENTS OF CALLS ---------------------------- #


def require_distance(metric: object) -> None:
    """Check the metric by which vectors are compared.

    Raises:
        InvalidInputError: If it is neither `euclidean` nor `cosine`.
    """
    if metric not in {"euclidean", "cosine"}:
        raise refused("embedding_distance_metric is 'euclidean' or 'cosine'.")


def require_duration(timeout: object) -> None:
    """Check the time to wait.

    Raises:
        InvalidInputError: If it is no timedelta.
    """
    if not isinstance(timeout, timedelta):
        raise refused(f"wait_timeout is a timedelta, not {timeout!r}.")


def checked_date(value: str | None) -> str | None:
    """An ISO 8601 date.

    Raises:
        InvalidInputError: If it is none.
    """
    if value is None:
        return None
    try:
        to_utc(value)
    except ValueError as error:
        raise refused(f"date_captured: {error}") from None
    return value


def checked_external(metadata: object) -> None:
    """Check free metadata of a project or dataset.

    Raises:
        InvalidInputError: If they are no dict with text as keys.
    """
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(
        isinstance(key, str) for key in metadata
    ):
        raise refused(f"external_metadata is {metadata!r}: a dict with text as keys.")


def checked_mode(value: str) -> Literal["STREAMING", "BATCH"]:
    """The mode in which a dataset is loaded.

    Raises:
        InvalidInputError: If it is neither STREAMING nor BATCH.
    """
    if value == "STREAMING":
        return "STREAMING"
    if value == "BATCH":
        return "BATCH"
    raise refused(f"pipeline_mode is 'STREAMING' or 'BATCH', not {value!r}.")


# ------------------------- METADATA AND ATTRIBUTES -------------------------- #


def checked_attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The user's attributes of a label, under the names of columns.

    Raises:
        InvalidInputError: If a name is more than letters, digits and underscores.
    """
    attributes = attributes or {}
    invalid = [name for name in attributes if not re.fullmatch(NAME_PATTERN, str(name))]
    if invalid:
        raise refused(
            f"user_attrs {invalid}: names are letters, digits and underscores.",
            "name.invalid",
        )
    return {
        name if name.startswith(PREFIX) else f"{PREFIX}{name}": value
        for name, value in attributes.items()
    }


def checked_metadata(
    key: str,
    value: Any,
    element: str | None,
    *,
    is_list: bool,
) -> tuple[str, Any, str]:
    """A metadata field, its value, and the name of its type.

    Raises:
        InvalidInputError: If the key or value cannot be, or the value's type is
            not the one declared.
    """
    check_name("metadata field", key)
    values: Sequence[Any] = (value or []) if is_list else [value]
    # A text is a sequence too, and would become a list of letters.
    if is_list and not isinstance(value, list | tuple | None):
        raise refused(f"{key} is {value!r}, not a list.", "metadata.mode")
    if element is not None and element not in _ELEMENTS:
        raise refused(f"{element!r} is no metadata type: {', '.join(_ELEMENTS)}.")
    # A column needs a type; a null or an empty list does not show one.
    if element is None and (value is None or not list(values)):
        raise refused(f"{key} has no value; declare its type to send it all the same.")
    if value is None:
        return f"{PREFIX}{key}", None, _type_name(str(element), is_list=is_list)
    # By exact type: bool is a subclass of int, and they are two types of columns.
    kinds = {type(item).__name__ for item in values}
    unknown = kinds - set(_ELEMENTS)
    if unknown or len(kinds) > 1 or (element is not None and kinds - {element}):
        raise refused(
            f"{key} is {value!r}: metadata are text, whole numbers, floats or truth "
            f"values, of one type{'' if element is None else f', here {element}'}.",
            "metadata.type",
        )
    if any(isinstance(item, float) and not math.isfinite(item) for item in values):
        raise refused(f"{key} is {value!r}, which is not finite.", "value.range")
    kind = _type_name(next(iter(kinds), None) or str(element), is_list=is_list)
    return f"{PREFIX}{key}", list(values) if is_list else value, kind


def _type_name(element: str, *, is_list: bool) -> str:
    return f"list[{element}]" if is_list else element


Number = int | float
"""A finite number; ints become floats."""

Attributes = Mapping[str, Any] | None
"""Name to value."""


def checked_numbers(**values: Number | None) -> dict[str, float]:
    """The numbers that are given, as floats.

    Raises:
        InvalidInputError: If one is no finite number.

    >>> checked_numbers(top=1, left=None)
    {'top': 1.0}
    """
    return {
        name: checked_number(value, name)
        for name, value in values.items()
        if value is not None
    }


# ---------------------------------- LABELS ---------------------------------- #


def checked_confidence(label_id: str, confidence: object) -> float:
    """The confidence of an inference.

    Raises:
        InvalidInputError: If it is missing, or no float from 0.0 to 1.0; whole
            numbers are none, as for the client.
    """
    # The client refuses ints, 0 and 1 too.
    if isinstance(confidence, float) and 0 <= confidence <= 1:
        return confidence
    raise refused(
        f"Inference {label_id!r} has the confidence {confidence!r}: it is a float from "
        "0.0 to 1.0, and only masks have none.",
        "confidence.missing" if confidence is None else "value.range",
    )


def checked_floats(
    values: Sequence[float] | None, what: str, length: int
) -> dict[str, Any]:
    """A list of so many floats under its name; nothing when it is not given.

    Raises:
        InvalidInputError: If it has another length, or elements that are no
            finite floats; whole numbers are none, as for the client.
    """
    if values is None:
        return {}
    if len(values) != length or not all(isinstance(item, float) for item in values):
        raise refused(f"{what} is {values!r}: it is a list of {length} floats.")
    # Floats may still be infinite or NaN.
    return {what: [checked_number(item, what) for item in values]}


def checked_area(value: object) -> float | None:
    """The area of a shape.

    Raises:
        InvalidInputError: If it is no float of 0.0 or more.
    """
    if value is None:
        return None
    if isinstance(value, float) and value >= 0:
        return value
    raise refused(f"area is {value!r}: it is a float, 0.0 or more.")


def checked_instance_id(label_id: str, instance: Mapping[str, Any]) -> int:
    """The id of an instance in a mask: its pixel value.

    Raises:
        InvalidInputError: If it is no whole number.
    """
    number = instance.get("id")
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise refused(
        f"An instance of mask {label_id!r} has the id {number!r}: it is a pixel value, "
        "a whole number."
    )


# --------------------------------- VECTORS ---------------------------------- #


def checked_vector(embedding: Sequence[float]) -> list[float]:
    """A vector of 2 finite numbers or more.

    Raises:
        InvalidInputError: If it is none.
    """
    if len(embedding) < 2:  # noqa: PLR2004 - the rule
        raise refused("An embedding has 2 numbers or more.", "embedding.dimension")
    return [checked_number(item, "embedding") for item in embedding]


def is_filler(vector: Sequence[float] | None) -> bool:
    """Whether a vector is the client's filler for none: `[0, 0, 0]`."""
    return vector is not None and list(vector) == [0.0, 0.0, 0.0]


# ------------------------ WHAT A LABEL MAY NOT HAVE ------------------------- #


def require_no_mask_data(mask_data: object) -> None:
    """Refuse the pixels of a mask: tables hold its URL.

    Raises:
        InvalidInputError: If they are given.
    """
    if mask_data is not None:
        raise refused(
            "mask_data is not taken. Store the mask and give mask_url.", "mask.data"
        )


def require_no_confidence(label_id: str, confidence: object) -> None:
    """Refuse a confidence: ground truth has none.

    Raises:
        InvalidInputError: If there is one.
    """
    if confidence is not None:
        raise refused(
            f"Label {label_id!r} has a confidence: ground truth has none. "
            "Confidence belongs to inferences."
        )
