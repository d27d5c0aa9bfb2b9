"""Metrics as a record that JSON can hold, and metrics made of one again.

A record has the figures and the small tables. What it leaves out (matches, rows
by frame, slices, curves) is evaluated anew when it is asked for, which gives the
same bits, since evaluation is a pure function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import polars as pl

from lakehouse.metrics.result import Evidence, Metrics

_TYPES: Final[dict[str, pl.DataType]] = {
    str(dtype): dtype
    for dtype in (pl.String(), pl.Int64(), pl.UInt32(), pl.Float64(), pl.Boolean())
}
"""The types that the small tables have, by name."""


def record_of(metrics: Metrics) -> dict[str, Any]:
    """What JSON can hold of metrics; floats are kept to the last bit."""
    evidence = metrics.evidence
    return {
        "task": metrics.task,
        "parameters": dict(metrics.parameters),
        "counts": dict(metrics.counts),
        "source": dict(metrics.source),
        "meanings": evidence.meanings,
        "notes": evidence.notes,
        "figures": evidence.figures(),
        "per_class": _written(evidence.per_class()),
        "confusion": _written(evidence.confusion()),
        "no_ground_truth": _written(metrics.no_ground_truth),
    }


def cached_metrics(record: dict[str, Any], evaluate: Callable[[], Metrics]) -> Metrics:
    """The metrics of a record.

    Args:
        record: As `record_of` made it.
        evaluate: Gives the same metrics with all their rows.
    """
    evidence = _Remembered(
        meanings=record["meanings"],
        notes=record["notes"],
        summary=record["figures"],
        classes=_read(record["per_class"]),
        confusions=_read(record["confusion"]),
        evaluate=evaluate,
    )
    return Metrics(
        task=record["task"],
        parameters=record["parameters"],
        counts=record["counts"],
        evidence=evidence,
        no_ground_truth=_read(record["no_ground_truth"]),
        source=record["source"],
    )


@dataclass(frozen=True)
class _Remembered:
    """Evidence of which the small part is at hand."""

    meanings: dict[str, str]
    notes: list[str]
    summary: dict[str, float | int | None]
    classes: pl.DataFrame
    confusions: pl.DataFrame
    evaluate: Callable[[], Metrics]

    @cached_property
    def _whole(self) -> Evidence:
        return self.evaluate().evidence

    @property
    def frames(self) -> pl.DataFrame:
        """The frames that count; read again."""
        return self._whole.frames

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Those at hand, over all frames; of some frames, evaluated again."""
        return self.summary if frames is None else self._whole.figures(frames)

    def per_class(self) -> pl.DataFrame:
        """At hand."""
        return self.classes

    def per_frame(self) -> pl.DataFrame:
        """Evaluated again."""
        return self._whole.per_frame()

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """Evaluated again."""
        return self._whole.matches(across_classes=across_classes)

    def confusion(self) -> pl.DataFrame:
        """At hand."""
        return self.confusions

    def curve(self) -> pl.DataFrame:
        """Evaluated again."""
        return self._whole.curve()

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read again."""
        return self._whole.content()


def _written(table: pl.DataFrame) -> dict[str, Any]:
    types = {name: str(dtype) for name, dtype in table.schema.items()}
    return {"columns": types, "rows": table.rows()}


def _read(written: dict[str, Any]) -> pl.DataFrame:
    schema = {name: _TYPES[dtype] for name, dtype in written["columns"].items()}
    return pl.DataFrame(written["rows"], schema=schema, orient="row")
