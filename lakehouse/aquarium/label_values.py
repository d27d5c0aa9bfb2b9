"""Checks of what labels are given; each raises at the line at fault."""

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.aquarium.values import checked_number, refused

__all__ = [
    "Attributes",
    "Number",
    "checked_area",
    "checked_confidence",
    "checked_floats",
    "checked_instance_id",
    "checked_numbers",
    "checked_vector",
    "is_filler",
    "require_no_confidence",
    "require_no_mask_data",
]

Number = int | float
"""A finite number; whole ones become floats."""

Attributes = Mapping[str, Any] | None
"""Name to value."""


def checked_numbers(**values: Number | None) -> dict[str, float]:
    """Those of the numbers that are given.

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


def checked_confidence(label_id: str, confidence: object) -> float:
    """How sure a model is of an inference.

    Raises:
        InvalidInputError: If it is missing, or no float from 0.0 to 1.0; whole
            numbers are none, as for the client.
    """
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
    """The pixel value of an instance of a mask.

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


def require_no_mask_data(mask_data: object) -> None:
    """Refuse the pixels of a mask: tables hold its address.

    Raises:
        InvalidInputError: If they are given.
    """
    if mask_data is not None:
        raise refused(
            "mask_data is not taken. Store the mask and give mask_url.", "mask.data"
        )


def require_no_confidence(label_id: str, confidence: object) -> None:
    """Refuse a confidence: labels are the truth.

    Raises:
        InvalidInputError: If there is one.
    """
    if confidence is not None:
        raise refused(
            f"Label {label_id!r} has a confidence: ground truth has none. "
            "Confidence belongs to inferences."
        )
