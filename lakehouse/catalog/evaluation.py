"""The metrics of an inference set's version against a dataset's, cached by content.

Metrics are a pure function of both contents, the class map and the parameters. The
hash of these is the key of a small table, so nobody evaluates the same thing twice.
The table may be emptied at any time, and stays as it is where writing is not allowed.
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
from lakehouse.versions.snapshot import Snapshot, collection_of

ALGORITHM_VERSION: Final = 1
"""Raised when figures are computed in another way: cached ones are then not used."""

_CACHED_ROWS: Final = 500
"""Rows of the cache; it is one file, read and written whole by each evaluation."""


class MetricOptions(TypedDict, total=False):
    """What figures depend on besides the rows; `lakehouse.metrics.evaluate` explains."""

    max_detections: int
    geometry: Literal["box", "polygon"] | None
    negative_class: str | None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The task of a project's models."""

    task: str | None = None
    negative_class: str | None = None
    """Of BINARY_CLASSIFICATION: the class of frames without an inference."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of an evaluation; the rows are given beside."""

    task_spec: TaskSpec
    iou: float
    confidence: float
    over: Literal["seen", "all"]
    options: MetricOptions
    frame_ids: tuple[str, ...] | None = None
    """The frames that count; None for all."""


def measure(
    truth: Snapshot,
    predictions: Snapshot,
    parameters: Parameters,
    cache: SingleTable | None,
) -> Metrics:
    """The metrics of one version against another.

    Args:
        truth: The dataset's version.
        predictions: The inference set's.
        parameters: What figures depend on besides the rows.
        cache: The table of earlier evaluations; None evaluates without it.

    Raises:
        InvalidInputError: If a parameter is out of range, or rows cannot be
            evaluated; all problems are listed.
    """

    def compute() -> Metrics:
        return _evaluate(truth, predictions, parameters)

    if cache is None:
        return compute()
    key = _cache_key(truth, predictions, parameters)
    cached = cache.rows().filter(key=key)
    if cached.height:
        # Figures come from the row; what is not in it is computed when asked for.
        return cached_metrics(json.loads(cached["record"].item()), compute)
    metrics = compute()
    row = _cache_row(key, truth, predictions, metrics)
    # A reader without write access, or one that loses every race to write, goes on
    # without the cache.
    with suppress(StorageError, ConflictError):
        cache.update(_with_row(row))
    return metrics


def _evaluate(
    truth: Snapshot, predictions: Snapshot, parameters: Parameters
) -> Metrics:
    if parameters.frame_ids is not None:
        chosen = pl.col("frame_id").is_in(pl.Series(parameters.frame_ids).implode())
        truth, predictions = truth.filter(chosen), predictions.filter(chosen)
    inferences = collection_of(predictions)
    seen = collect(predictions.frames().select("frame_id")).to_series()
    source = {
        "inference_set": inferences.path,
        "inferences": predictions.version,
        "labels": truth.version,
    }
    # An option given in the call takes the place of the project's.
    options: dict[str, Any] = {
        "negative_class": parameters.task_spec.negative_class,
        **parameters.options,
    }
    return evaluate(
        truth.labels(),
        predictions.inferences(),
        truth.frames(),
        task=parameters.task_spec.task,  # type: ignore[arg-type]
        iou=parameters.iou,
        confidence=parameters.confidence,
        seen=seen.to_list(),
        over=parameters.over,
        # Of now, not of the version: a renamed class counts under its new name.
        classes=inferences.classes(),
        source=source,
        media=inferences.media,
        **options,
    )


def _cache_key(truth: Snapshot, predictions: Snapshot, parameters: Parameters) -> str:
    """A hash that is equal for equal contents, class maps and parameters."""
    question = asdict(parameters)
    # Keys are hashes of these names, so the names stay: others would find nothing
    # that was cached before.
    question["goal"] = question.pop("task_spec")
    content = {
        "way": ALGORITHM_VERSION,
        "labels": [truth.version, truth.fingerprint],
        "inferences": [predictions.version, predictions.fingerprint],
        "classes": collection_of(predictions).classes().to_json(),
        "question": question,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _cache_row(
    key: str, truth: Snapshot, predictions: Snapshot, metrics: Metrics
) -> dict[str, Any]:
    record = record_of(metrics)
    return {
        "key": key,
        "labels_version": truth.version,
        "inferences_version": predictions.version,
        "task": metrics.task,
        "parameters": json.dumps(record["parameters"]),
        "figures": json.dumps(record["figures"]),
        "record": json.dumps(record),
        "computed_at": datetime.now(UTC),
    }


def _with_row(row: dict[str, Any]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change that adds a row unless its key is there; the oldest rows make room."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        if rows.filter(key=row["key"]).height:
            return rows
        added = pl.concat([rows, pl.DataFrame([row], schema=rows.schema)])
        return added.sort("computed_at").tail(_CACHED_ROWS)

    return change
