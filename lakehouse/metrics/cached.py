"""Metrics as a record that JSON can hold, and metrics of such a record.

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
        "per_class": _encode(evidence.per_class()),
        "confusion": _encode(evidence.confusion()),
        "no_ground_truth": _encode(metrics.no_ground_truth),
    }


def cached_metrics(record: dict[str, Any], evaluate: Callable[[], Metrics]) -> Metrics:
    """The metrics of a record.

    Args:
        record: As `record_of` made it.
        evaluate: Gives the same metrics with all their rows.
    """
    evidence = _CachedEvidence(
        meanings=record["meanings"],
        notes=record["notes"],
        summary=record["figures"],
        classes=_decode(record["per_class"]),
        confusions=_decode(record["confusion"]),
        evaluate=evaluate,
    )
    return Metrics(
        task=record["task"],
        parameters=record["parameters"],
        counts=record["counts"],
        evidence=evidence,
        no_ground_truth=_decode(record["no_ground_truth"]),
        source=record["source"],
    )


@dataclass(frozen=True)
class _CachedEvidence:
    """Evidence of which figures and small tables are in the record."""

    meanings: dict[str, str]
    notes: list[str]
    summary: dict[str, float | int | None]
    classes: pl.DataFrame
    confusions: pl.DataFrame
    evaluate: Callable[[], Metrics]

    @cached_property
    def _evaluated(self) -> Evidence:
        # Once for all tables: an evaluation is the cost that the record spares.
        return self.evaluate().evidence

    @property
    def frames(self) -> pl.DataFrame:
        """The frames that count; evaluates again."""
        return self._evaluated.frames

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Those of the record, over all frames; evaluates again for some frames."""
        return self.summary if frames is None else self._evaluated.figures(frames)

    def per_class(self) -> pl.DataFrame:
        """The table of the record."""
        return self.classes

    def per_frame(self) -> pl.DataFrame:
        """Evaluates again."""
        return self._evaluated.per_frame()

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """Evaluates again."""
        return self._evaluated.matches(across_classes=across_classes)

    def confusion(self) -> pl.DataFrame:
        """The table of the record."""
        return self.confusions

    def curve(self) -> pl.DataFrame:
        """Evaluates again."""
        return self._evaluated.curve()

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Evaluates again."""
        return self._evaluated.content()


def _encode(table: pl.DataFrame) -> dict[str, Any]:
    # Types are written too: a column of nulls alone would come back as another.
    types = {name: str(dtype) for name, dtype in table.schema.items()}
    return {"columns": types, "rows": table.rows()}


def _decode(encoded: dict[str, Any]) -> pl.DataFrame:
    schema = {name: _TYPES[dtype] for name, dtype in encoded["columns"].items()}
    return pl.DataFrame(encoded["rows"], schema=schema, orient="row")
