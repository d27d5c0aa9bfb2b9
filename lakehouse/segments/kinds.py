"""What segments can be: types, what they hold, states, and the status of elements."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, get_args

from lakehouse.model.problems import Problem
from lakehouse.typing import ElementType

__all__ = [
    "BATCH_SIZE",
    "ELEMENT_TYPES",
    "MEASURED",
    "STATES",
    "STATUSES",
    "TYPES",
    "ElementType",
    "SegmentState",
    "SegmentType",
    "Status",
    "choice_faults",
    "name_faults",
    "nearest",
]

SegmentType = Literal[
    "bucket",
    "collection_campaign",
    "frame_issue",
    "label_quality",
    "regression",
    "scenario",
    "split",
    "work_queue",
]
"""What a segment is for."""

SegmentState = Literal[
    "triage",
    "labeling_campaign_active",
    "in_progress",
    "in_review",
    "resolved",
    "ignored",
    "backlog",
    "cancelled",
]
"""How far the work on a segment is."""

Status = Literal["unstarted", "done"]
"""How far the work on an element is."""

TYPES: Final[tuple[str, ...]] = get_args(SegmentType)
ELEMENT_TYPES: Final[tuple[str, ...]] = get_args(ElementType)
STATES: Final[tuple[str, ...]] = get_args(SegmentState)
STATUSES: Final[tuple[str, ...]] = get_args(Status)

BATCH_SIZE: Final = 100
"""Elements of a batch of a work queue, unless said."""

MEASURED: Final = frozenset({"regression", "scenario", "split"})
"""The types that have thresholds: models are measured on their frames."""


def choice_faults(field: str, value: object, known: Sequence[str]) -> list[Problem]:
    """What is wrong with a value that must be one of a few.

    >>> [str(fault) for fault in choice_faults("state", "resolve", STATES)]
    ["state: 'resolve' is no state of a segment. Did you mean 'resolved'?"]
    """
    if value in known:
        return []
    what = field.replace("_", " ")
    of = "an element" if known is STATUSES else "a segment"
    message = f"{value!r} is no {what} of {of}."
    hint = nearest(value, known) or f"It is one of {', '.join(known)}."
    return [Problem(None, None, field, f"segment.{field}", message, hint)]


def name_faults(name: Any) -> list[Problem]:  # noqa: ANN401 - whatever was passed
    """What is wrong with the name of a segment.

    >>> name_faults("loose boxes")
    []
    """
    is_text = isinstance(name, str) and name.strip() == name and name.isprintable()
    if is_text and name:
        return []
    message = f"{name!r} cannot name a segment."
    hint = "A name is text on one line, without blanks at its ends."
    return [Problem(None, None, "name", "segment.name", message, hint)]


def nearest(value: object, known: Iterable[str]) -> str:
    """What may have been meant, as a hint; empty if nothing is near."""
    near = difflib.get_close_matches(str(value), list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else ""
