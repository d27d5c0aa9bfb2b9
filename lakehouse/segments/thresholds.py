"""Thresholds: what a model must reach on the frames of a segment."""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from lakehouse.metrics import Metrics
from lakehouse.model.problems import Problem
from lakehouse.model.refusing import refuse
from lakehouse.segments.kinds import MEASURED, TYPES, nearest

__all__ = ["passed", "threshold_faults"]


def threshold_faults(
    thresholds: Mapping[str, Any], segment_type: object
) -> list[Problem]:
    """What is wrong with thresholds.

    Args:
        thresholds: Metric to the least value that passes.
        segment_type: Of the segment that they are for.
    """
    faults = [
        _fault(name, f"{value!r} is no number.", "Give the least value that passes.")
        for name, value in thresholds.items()
        if not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
    ]
    if thresholds and segment_type in TYPES and segment_type not in MEASURED:
        told = f"A segment of type {segment_type!r} has no thresholds."
        kinds = ", ".join(sorted(MEASURED))
        faults.append(_fault("", told, f"They belong to these types: {kinds}."))
    return faults


def passed(
    thresholds: Mapping[str, float], metrics: Metrics | Mapping[str, float | None]
) -> pl.DataFrame:
    """Which thresholds figures reach.

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
    refuse(
        [
            _fault(name, f"There is no figure {name!r}.", nearest(name, figures))
            for name in thresholds
            if name not in figures
        ],
        lead="The thresholds cannot be held against these figures.",
    )
    rows = pl.DataFrame(
        {
            "metric": list(thresholds),
            "threshold": list(thresholds.values()),
            "value": [figures[name] for name in thresholds],
        },
        schema={"metric": pl.String, "threshold": pl.Float64, "value": pl.Float64},
        strict=False,
    )
    reached = (pl.col("value") >= pl.col("threshold")).fill_null(value=False)
    return rows.with_columns(passed=reached)


def _figures(
    metrics: Metrics | Mapping[str, float | None],
) -> Mapping[str, float | None]:
    if isinstance(metrics, Metrics):
        return dict(metrics.summary().select("metric", "value").iter_rows())
    return metrics


def _fault(name: str, message: str, hint: str) -> Problem:
    path = f"thresholds[{name!r}]" if name else "thresholds"
    return Problem(None, None, path, "segment.thresholds", message, hint)
