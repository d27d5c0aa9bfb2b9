"""What a segment may be: its type, element type and state, its name and thresholds.

The values of the public types stand here, with the checks that refuse others.
"""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import polars as pl

from lakehouse.errors import Problem
from lakehouse.metrics import Metrics
from lakehouse.model.problems import Problems
from lakehouse.types import ElementType

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
"""Elements in a batch of a work queue, where the caller names no size."""

MEASURED: Final = frozenset({"regression", "scenario", "split"})
"""The types that have thresholds: models are measured on their frames."""


def key_of(element_type: str) -> list[str]:
    """The columns that identify an element in its collection.

    >>> key_of("inference")
    ['frame_id', 'label_id']
    """
    return ["frame_id"] if element_type == "frame" else ["frame_id", "label_id"]


def choice_problems(field: str, value: object, known: Sequence[str]) -> list[Problem]:
    """The problem of a value that must be one of a few.

    >>> [str(problem) for problem in choice_problems("state", "resolve", STATES)]
    ["state: 'resolve' is no state of a segment. Did you mean 'resolved'?"]
    """
    if value in known:
        return []
    what = field.replace("_", " ")
    of = "an element" if known is STATUSES else "a segment"
    message = f"{value!r} is no {what} of {of}."
    # All choices are listed only where none is similar.
    hint = suggestion(value, known) or f"It is one of {', '.join(known)}."
    return [Problem(None, None, field, f"segment.{field}", message, hint)]


def name_problems(name: Any) -> list[Problem]:  # noqa: ANN401 - whatever was passed
    """The problem of a segment's name.

    >>> name_problems("loose boxes")
    []
    """
    # Any printable text will do: a name is a value in a table, never part of a path.
    is_text = isinstance(name, str) and name.strip() == name and name.isprintable()
    if is_text and name:
        return []
    message = f"{name!r} cannot name a segment."
    hint = "A name is text on one line, without blanks at its ends."
    return [Problem(None, None, "name", "segment.name", message, hint)]


def suggestion(value: object, known: Iterable[str]) -> str:
    """A hint that suggests the most similar known value; empty if none is similar."""
    matches = difflib.get_close_matches(str(value), list(known), n=1)
    return f"Did you mean {matches[0]!r}?" if matches else ""


def threshold_problems(
    thresholds: Mapping[str, Any], segment_type: object
) -> list[Problem]:
    """The problems of thresholds.

    Args:
        thresholds: Metric to the least value that passes.
        segment_type: Of the segment that they are for.
    """
    problems = [
        _threshold_problem(
            name, f"{value!r} is no number.", "Give the least value that passes."
        )
        for name, value in thresholds.items()
        # True is an int in Python, and no threshold.
        if not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
    ]
    if thresholds and segment_type in TYPES and segment_type not in MEASURED:
        message = f"A segment of type {segment_type!r} has no thresholds."
        hint = f"They belong to these types: {', '.join(sorted(MEASURED))}."
        problems.append(_threshold_problem("", message, hint))
    return problems


def compare_thresholds(
    thresholds: Mapping[str, float], metrics: Metrics | Mapping[str, float | None]
) -> pl.DataFrame:
    """The thresholds that figures reach.

    Args:
        thresholds: Metric to the least value that passes.
        metrics: An evaluation, or figures by their names.

    Returns:
        A row a threshold: `metric`, `threshold`, `value`, `passed`. What is undefined
        has no value, and does not pass.

    Raises:
        InvalidInputError: If thresholds are of figures that there are not.
    """
    figures = _figures(metrics)
    Problems(
        [
            _threshold_problem(
                name, f"There is no figure {name!r}.", suggestion(name, figures)
            )
            for name in thresholds
            if name not in figures
        ]
    ).raise_if_any(lead="The thresholds cannot be held against these figures.")
    rows = pl.DataFrame(
        {
            "metric": list(thresholds),
            "threshold": list(thresholds.values()),
            "value": [figures[name] for name in thresholds],
        },
        schema={"metric": pl.String, "threshold": pl.Float64, "value": pl.Float64},
        strict=False,
    )
    # A comparison with null is null, and what is undefined does not pass.
    reached = (pl.col("value") >= pl.col("threshold")).fill_null(value=False)
    return rows.with_columns(passed=reached)


def _figures(
    metrics: Metrics | Mapping[str, float | None],
) -> Mapping[str, float | None]:
    if isinstance(metrics, Metrics):
        return dict(metrics.summary().select("metric", "value").iter_rows())
    return metrics


def _threshold_problem(name: str, message: str, hint: str) -> Problem:
    path = f"thresholds[{name!r}]" if name else "thresholds"
    return Problem(None, None, path, "segment.thresholds", message, hint)
