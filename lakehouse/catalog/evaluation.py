"""Measuring: an inference set's version against a dataset's, kept by what it follows from.

Metrics are a pure function of both contents, the class map and the parameters.
Their hash is the key of a small table, so nothing is evaluated twice, by
whomever. The table may be emptied at any time, and is not written where that is
not allowed.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypedDict

import polars as pl

from lakehouse.errors import ConflictError, StorageError
from lakehouse.ledger.single_table import SingleTable
from lakehouse.metrics import Metrics, cached_metrics, evaluate, record_of
from lakehouse.storage import collect
from lakehouse.storage.media import Media
from lakehouse.versions.snapshot import Snapshot, collection_of

_WAY: Final = 1
"""Raised when figures are computed otherwise, so that none computed before is used."""
_MOST_KEPT: Final = 500


class MetricOptions(TypedDict, total=False):
    """What figures depend on besides the rows; `evaluate` tells their meaning."""

    max_detections: int
    geometry: Literal["box", "polygon"] | None
    negative_class: str | None


@dataclass(frozen=True, slots=True)
class Goal:
    """What a project's models are asked to do."""

    task: str | None = None
    negative_class: str | None = None
    """Of BINARY_CLASSIFICATION: the class of what no inference says."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of an inference set, but for its rows."""

    goal: Goal
    iou: float
    confidence: float
    over: Literal["seen", "all"]
    options: MetricOptions
    frame_ids: tuple[str, ...] | None = None
    """Only these frames count, where they are named."""


def measure(
    truth: Snapshot, mine: Snapshot, question: Question, kept: SingleTable | None
) -> Metrics:
    """The metrics of one version against another.

    Args:
        truth: The dataset's version.
        mine: The inference set's.
        question: The parameters.
        kept: The table of what was evaluated before; None evaluates anew.

    Raises:
        InvalidInputError: If a parameter is out of range, or rows cannot be
            evaluated; all faults are listed.
    """

    def anew() -> Metrics:
        return _evaluated(truth, mine, question)

    if kept is None:
        return anew()
    key = _key(truth, mine, question)
    found = kept.rows().filter(key=key)
    if found.height:
        return cached_metrics(json.loads(found["record"].item()), anew)
    metrics = anew()
    row = _row(key, truth, mine, metrics)
    # Whoever may only read, or is always late, does without.
    with suppress(StorageError, ConflictError):
        kept.update(_adding(row))
    return metrics


def _evaluated(truth: Snapshot, mine: Snapshot, question: Question) -> Metrics:
    if question.frame_ids is not None:
        among = pl.col("frame_id").is_in(pl.Series(question.frame_ids).implode())
        truth, mine = truth.filter(among), mine.filter(among)
    seen = collect(mine.frames().select("frame_id")).to_series()
    source = {
        "inference_set": collection_of(mine).path,
        "inferences": mine.version,
        "labels": truth.version,
    }
    options: dict[str, Any] = {
        "negative_class": question.goal.negative_class,
        **question.options,
    }
    return evaluate(
        _with_masks_placed(truth.labels(), collection_of(truth).media),
        _with_masks_placed(mine.inferences(), collection_of(mine).media),
        truth.frames(),
        task=question.goal.task,  # type: ignore[arg-type]
        iou=question.iou,
        confidence=question.confidence,
        seen=seen.to_list(),
        over=question.over,
        classes=collection_of(mine).classes(),
        source=source,
        **options,
    )


def _with_masks_placed(rows: pl.LazyFrame, media: Media) -> pl.LazyFrame:
    """Rows whose masks are named by where they are."""
    if media.root is None:
        return rows
    name = pl.col("mask_url")
    is_relative = ~name.str.contains("://", literal=True) & ~name.str.starts_with("/")
    below = pl.lit(f"{media.root.rstrip('/')}/") + name
    return rows.with_columns(
        pl.when(is_relative).then(below).otherwise(name).alias("mask_url")
    )


def _key(truth: Snapshot, mine: Snapshot, question: Question) -> str:
    """Equal for equal contents, class maps and parameters."""
    told = {
        "way": _WAY,
        "labels": [truth.version, truth.fingerprint],
        "inferences": [mine.version, mine.fingerprint],
        "classes": collection_of(mine).classes().to_json(),
        "question": asdict(question),
    }
    text = json.dumps(told, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _row(key: str, truth: Snapshot, mine: Snapshot, metrics: Metrics) -> dict[str, Any]:
    record = record_of(metrics)
    return {
        "key": key,
        "labels_version": truth.version,
        "inferences_version": mine.version,
        "task": metrics.task,
        "parameters": json.dumps(record["parameters"]),
        "figures": json.dumps(record["figures"]),
        "record": json.dumps(record),
        "computed_at": datetime.now(UTC),
    }


def _adding(row: dict[str, Any]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Adds a row, unless it is there; the oldest make room."""

    def add(rows: pl.DataFrame) -> pl.DataFrame:
        if rows.filter(key=row["key"]).height:
            return rows
        added = pl.concat([rows, pl.DataFrame([row], schema=rows.schema)])
        return added.sort("computed_at").tail(_MOST_KEPT)

    return add
