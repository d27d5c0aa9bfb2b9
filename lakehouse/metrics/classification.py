"""Classification: what a model calls an image against what its labels say.

CLASSIFICATION: an image has one label; the surest inference is the model's
answer. BINARY_CLASSIFICATION: likewise, and an image without an inference is
called the negative class. MULTI_LABEL_CLASSIFICATION: an image has any number of
labels; every inference that reaches the confidence is an answer.

AUROC and curves take every inference: a class's score on an image is the
confidence of its surest inference there, 0 without.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Flags, Floats
from lakehouse.metrics.auroc import auroc
from lakehouse.metrics.counting import counted, matrix, of_all, rates
from lakehouse.metrics.matching import FALSE, TRUE
from lakehouse.metrics.precision import CURVE, walk

__all__ = ["Classification"]

_MEANINGS: Final = {
    "images": "images that count: those with a label, of several labels all",
    "labels": "labels that count",
    "inferences": "answers of the model",
    "accuracy": "the share of images whose answers are exactly their labels",
    "tp": "answers that are right",
    "fp": "answers that are wrong",
    "fn": "labels that no answer names",
    "precision": "tp / (tp + fp), mean over classes",
    "recall": "tp / (tp + fn), mean over classes",
    "f1": "2 tp / (2 tp + fp + fn), mean over classes",
    "auroc": "area under the ROC curve, each class against the rest, mean over classes",
}
_BINARY: Final = {
    "tp": "positives called positive",
    "fp": "negatives called positive",
    "fn": "positives called negative",
    "tn": "negatives called negative",
    "precision": "tp / (tp + fp)",
    "recall": "tp / (tp + fn)",
    "f1": "2 tp / (2 tp + fp + fn)",
    "auroc": "area under the ROC curve of the positive class",
}


@dataclass(frozen=True)
class Classification:
    """What was found. Made by `evaluate()`."""

    classes: tuple[str, ...]
    positive: str | None
    """The positive class of BINARY_CLASSIFICATION."""
    frames: pl.DataFrame
    images: pl.DataFrame
    """Images that count, sorted: `frame_id`, `coordinate_frame`, `right` (bool)."""
    truth: pl.DataFrame
    """`image` (its place), `class_name`: what the labels say."""
    scores: pl.DataFrame
    """`image`, `class_name`, `confidence`: the surest inference of each."""
    ignored: pl.DataFrame
    """`image`, `class_name`: labels that are ignored."""
    outcomes: pl.DataFrame
    confusions: pl.DataFrame
    rows: tuple[pl.DataFrame, pl.DataFrame]
    """Labels and inferences as they came."""

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says."""
        return _MEANINGS if self.positive is None else _MEANINGS | _BINARY

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        return []

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Accuracy, counts and rates, and AUROC."""
        chosen, rows = self._all, self.outcomes
        if frames is not None:
            on = pl.col("frame_id").is_in(frames.implode())
            rows = rows.filter(on)
            chosen = self.images.select(on).to_series().to_numpy()
        right = self.images["right"].to_numpy()[chosen]
        by_class = self._by_class(rows, chosen)
        figures: dict[str, float | int | None] = {
            "images": len(right),
            "accuracy": float(right.sum() / len(right)) if len(right) else None,
        }
        if self.positive is not None:
            told = by_class.row(
                by_predicate=pl.col("class_name") == self.positive, named=True
            )
            del told["class_name"]
            return (
                figures
                | told
                | {"tn": len(right) - told["tp"] - told["fp"] - told["fn"]}
            )
        sums = ("labels", "inferences", "tp", "fp", "fn")
        return {
            **figures,
            **{name: int(by_class[name].sum()) for name in sums},
            **{
                name: _mean(by_class[name])
                for name in ("precision", "recall", "f1", "auroc")
            },
        }

    def per_class(self) -> pl.DataFrame:
        """Counts, rates and AUROC of each class."""
        return self._by_class(self.outcomes, self._all)

    def per_frame(self) -> pl.DataFrame:
        """Counts and rates of each frame, and whether the model saw it."""
        counts = counted(self.outcomes, ["frame_id"])
        rows = rates(of_all("frame_id", self.frames["frame_id"], counts))
        return rows.insert_column(1, self.frames["seen"])

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """Outcomes of each class, or labels beside answers."""
        return self.confusions if across_classes else self.outcomes

    def confusion(self) -> pl.DataFrame:
        """How often each class was called which.

        Of several labels, a wrong answer is beside `(background)`: which label it
        stands for is not known.
        """
        return matrix(self.confusions, self.classes)

    def curve(self) -> pl.DataFrame:
        """101 points a class, each class against the rest."""
        parts = [pl.DataFrame(schema=CURVE)]
        for name, scores, positive in self._scored(self._all):
            named = np.flatnonzero(~np.isnan(scores))
            order = named[np.argsort(-scores[named], kind="stable")]
            if positive.any():
                became = np.where(positive[order], TRUE, FALSE).astype(np.uint8)
                found = walk(became[np.newaxis], scores[order], int(positive.sum()))
                parts.append(found.table(name))
        return pl.concat(parts)

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.rows

    @cached_property
    def _all(self) -> Flags:
        return np.ones(self.images.height, np.bool_)

    def _by_class(self, rows: pl.DataFrame, chosen: Flags) -> pl.DataFrame:
        names = pl.Series(self.classes, dtype=pl.String)
        counts = rates(of_all("class_name", names, counted(rows, ["class_name"])))
        scored = self._scored(chosen)
        areas = [
            auroc(np.nan_to_num(scores), positive) for _, scores, positive in scored
        ]
        return counts.with_columns(pl.Series("auroc", areas, pl.Float64))

    def _scored(self, chosen: Flags) -> Iterator[tuple[str, Floats, Flags]]:
        """Each class's score on each chosen image, NaN without; and where it is true.

        The negative class has no inferences: its scores are the positive's, negated.
        """
        for name in self.classes:
            source = name if self.positive is None else self.positive
            scores = np.full(self.images.height, np.nan)
            found = self.scores.filter(class_name=source)
            scores[found["image"].to_numpy()] = found["confidence"].to_numpy()
            if source != name:
                scores = -np.nan_to_num(scores)
            positive = np.zeros(self.images.height, np.bool_)
            positive[self.truth.filter(class_name=name)["image"].to_numpy()] = True
            counts = chosen.copy()
            counts[self.ignored.filter(class_name=name)["image"].to_numpy()] = False
            yield name, scores[counts], positive[counts]


def _mean(values: pl.Series) -> float | None:
    """The mean of what is defined, summed in its order."""
    known = values.drop_nulls().to_numpy()
    return float(np.mean(known)) if len(known) else None
