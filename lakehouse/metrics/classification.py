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
from lakehouse.metrics.average_precision import CURVE, walk
from lakehouse.metrics.counts import (
    BACKGROUND,
    CONFUSIONS,
    OUTCOMES,
    counted,
    in_order,
    matrix,
    of_all,
    rates,
)
from lakehouse.metrics.inputs import IGNORE, UNIT, Faults, Rows, check_confidence, tidy
from lakehouse.metrics.matching import FALSE, TRUE
from lakehouse.metrics.options import Options, Scope, class_names, of_classes


def auroc(scores: Floats, positive: Flags) -> float | None:
    """The area under the ROC curve.

    Args:
        scores: `float64[n]`: higher means surer of the class.
        positive: `bool[n]`: which are of the class.

    Returns:
        0 to 1, 0.5 for no better than chance; None if all or none are positive.

    >>> auroc(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    many = int(positive.sum())
    others = len(positive) - many
    if not many or not others:
        return None
    ordered = np.sort(scores)
    below = np.searchsorted(ordered, scores[positive], "left")
    up_to = np.searchsorted(ordered, scores[positive], "right")
    # Twice the rank, ties at the middle of their places: whole numbers.
    ranks = int((below + up_to + 1).sum())
    return (ranks - many * (many + 1)) / (2 * many * others)


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


_PAIR: Final = ["image", "class_name"]
_SURE: Final = [False, True, False]


@dataclass(frozen=True)
class Answers:
    """Labels and inferences, by image."""

    places: pl.DataFrame
    """`image` and its UNIT, sorted."""
    truth: pl.DataFrame
    """Labels that count, with `image`."""
    inferences: pl.DataFrame
    """With `image` and `inference_id`."""
    ignored: pl.DataFrame
    """Labels that are ignored, with `image`."""
    classes: tuple[str, ...]
    several: bool
    """Whether an image may have several labels."""
    negative: str | None
    """What an image without an answer is called."""
    confidence: float

    @cached_property
    def scores(self) -> pl.DataFrame:
        """The surest inference of each image and class; ties by id."""
        order = [*_PAIR, "confidence", "inference_id"]
        ordered = self.inferences.sort(order, descending=[False, False, True, False])
        return ordered.unique(_PAIR, keep="first", maintain_order=True)

    @cached_property
    def answers(self) -> pl.DataFrame:
        """What the model says: `image`, `class_name`, `inference_id`, `confidence`."""
        columns = [*_PAIR, "inference_id", "confidence"]
        sure = self.scores.filter(pl.col("confidence") >= self.confidence).select(
            columns
        )
        if self.several:
            return sure.join(self.ignored, on=_PAIR, how="anti")
        rank = pl.col("class_name").cast(pl.Enum(self.classes)).to_physical()
        best = sure.sort("image", "confidence", rank, descending=_SURE).unique(
            "image", keep="first", maintain_order=True
        )
        if self.negative is None:
            return best
        silent = self.places.join(best, on="image", how="anti").select(
            "image", pl.lit(self.negative).alias("class_name")
        )
        return pl.concat([best, silent], how="diagonal")

    def outcomes(self) -> pl.DataFrame:
        """Answers and labels of each class: TP, FP, FN, IGNORED."""
        told = self.truth.select(*_PAIR, "label_id", is_label=True)
        said = self.answers.with_columns(is_answer=True)
        joined = told.join(said, on=_PAIR, how="full", coalesce=True)
        met, answered = (
            pl.col("is_label").is_not_null(),
            pl.col("is_answer").is_not_null(),
        )
        weak = self.scores.select(*_PAIR, is_weak=True)
        others = self.answers.select("image", has_answer=True).unique()
        judged = (
            joined.join(weak, on=_PAIR, how="left")
            .join(others, on="image", how="left")
            .with_columns(
                outcome=pl.when(met & answered)
                .then(pl.lit("TP"))
                .when(met)
                .then(pl.lit("FN"))
                .otherwise(pl.lit("FP"))
            )
            .with_columns(reason=self._reason())
        )
        return in_order(
            [self._placed(judged), *self._set_aside()], OUTCOMES, "class_name"
        )

    def confusions(self) -> pl.DataFrame:
        """Each label beside the answer for its image."""
        if self.several:
            rows = self.outcomes().filter(pl.col("outcome") != "IGNORED")
            wrong, missed = (pl.col("outcome") == name for name in ("FP", "FN"))
            name, nothing = pl.col("class_name"), pl.lit(BACKGROUND)
            beside = rows.with_columns(
                label_class=pl.when(wrong).then(nothing).otherwise(name),
                inference_class=pl.when(missed).then(nothing).otherwise(name),
            )
        else:
            said = self.answers.rename({"class_name": "inference_class"})
            beside = self._placed(
                self.truth.select(
                    "image", pl.col("class_name").alias("label_class"), "label_id"
                )
                .join(said, on="image", how="left")
                .with_columns(pl.col("inference_class").fill_null(BACKGROUND))
            )
        return in_order([beside], CONFUSIONS, "label_class")

    def held(
        self, frames: pl.DataFrame, rows: tuple[pl.DataFrame, pl.DataFrame]
    ) -> Classification:
        """All of it, to be asked for figures.

        Args:
            frames: The frames that count.
            rows: Labels and inferences as they came.
        """
        outcomes = self.outcomes()
        wrong = outcomes.filter(pl.col("outcome").is_in(["FP", "FN"])).select(UNIT)
        right = self.places.join(
            wrong.unique().with_columns(right=False),
            on=UNIT,
            how="left",
            maintain_order="left",
        )
        return Classification(
            classes=self.classes,
            positive=None if self.negative is None else self.classes[-1],
            frames=frames,
            images=right.select(*UNIT, pl.col("right").fill_null(value=True)),
            truth=self.truth.select(_PAIR),
            scores=self.scores.select(*_PAIR, "confidence"),
            ignored=self.ignored.select(_PAIR),
            outcomes=outcomes,
            confusions=self.confusions(),
            rows=rows,
        )

    def _reason(self) -> pl.Expr:
        """Why an outcome is FP or FN."""
        missed, wrong = (pl.col("outcome") == name for name in ("FN", "FP"))
        other = pl.lit("no label" if self.several else "other class")
        answered = pl.lit(not self.several) & pl.col("has_answer").is_not_null()
        return (
            pl.when(missed & answered)
            .then(pl.lit("other class"))
            .when(missed & pl.col("is_weak").is_not_null())
            .then(pl.lit("low confidence"))
            .when(missed)
            .then(pl.lit("no inference"))
            .when(wrong)
            .then(other)
        )

    def _set_aside(self) -> list[pl.DataFrame]:
        """Ignored labels, and answers of their classes."""
        if not self.several:
            return []
        sure = self.scores.filter(pl.col("confidence") >= self.confidence)
        said = sure.join(self.ignored, on=_PAIR, how="semi")
        aside = pl.lit("IGNORED")
        return [rows.with_columns(outcome=aside) for rows in (self.ignored, said)]

    def _placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(self.places, on="image", how="left")


_NEEDED: Final = ("frame_id", "label_id", "class_name")
_OPTIONAL: Final = ("class_id", "label_type", "coordinate_frame")
_TYPES: Final = ("CLASSIFICATION_2D", "CLASSIFICATION_3D")
_TWO: Final = 2


def classify(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, faults: Faults
) -> tuple[Classification, dict[str, int]]:
    """Hold a model's answers against labels.

    Args:
        labels: Rows of labels.
        inferences: Rows of inferences.
        scope: Which frames count.
        options: What was asked for.
        faults: What is wrong so far.

    Returns:
        What was found, and how much was left out, by reason.

    Raises:
        InvalidInputError: If anything is wrong: what came in `faults`, too.
    """
    theirs, left = _read(labels, "labels", scope, options, faults)
    mine, also = _read(inferences, "inferences", scope, options, faults)
    several = options.task == "MULTI_LABEL_CLASSIFICATION"
    _check_labels(theirs, several=several, faults=faults)
    listed = class_names([theirs, mine], options.classes)
    classes = _classes(listed, mine, options, faults)
    faults.refuse()
    ignored = theirs.filter(pl.col(IGNORE).fill_null(value=False))
    counting = theirs.join(ignored, on=["frame_id", "label_id"], how="anti")
    if not several:
        counting = counting.join(ignored, on=UNIT, how="anti")
    images = _images(theirs, mine, scope) if several else counting.select(UNIT)
    places = images.unique().sort(UNIT).with_row_index("image")
    found = Answers(
        places=places,
        truth=counting.join(places, on=UNIT),
        inferences=mine.rename({"label_id": "inference_id"}).join(places, on=UNIT),
        ignored=ignored.join(places, on=UNIT),
        classes=classes,
        several=several,
        negative=options.negative_class,
        confidence=options.confidence,
    )
    without = scope.frames.join(images, on="frame_id", how="anti").height
    stray = mine.join(images, on=UNIT, how="anti").height
    counts = {"frames without labels that count": without}
    counts["inferences on images without labels that count"] = stray
    rows = (theirs, mine.rename({"label_id": "inference_id"}))
    return found.held(scope.frames, rows), left | also | counts


def _read(
    rows: Rows, table: str, scope: Scope, options: Options, faults: Faults
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows that classify frames that count, and how many others there are."""
    extra = ("confidence",) if table == "inferences" else ()
    marks = (IGNORE,) if table == "labels" else ()
    tidied = tidy(rows, table, (*_NEEDED, *extra), (*_OPTIONAL, *marks), faults)
    found = scope.only(tidied)
    kind = pl.col("label_type").is_in(_TYPES).fill_null(value=True)
    kept, left = of_classes(found.filter(kind), found, table, options, faults)
    if table == "inferences":
        check_confidence(kept, faults)
    return kept, left


def _check_labels(labels: pl.DataFrame, *, several: bool, faults: Faults) -> None:
    """An image has one label, or one of each class."""
    group = [*UNIT, "class_name"] if several else UNIT
    bad = labels.filter(pl.struct(group).is_duplicated())
    told = (
        "an image has one label of a class."
        if several
        else "an image has one label; MULTI_LABEL_CLASSIFICATION is for several."
    )
    faults.rows(
        "labels", bad, "class_name", rule="label.many", told=told, hint="Keep one."
    )


def _classes(
    listed: tuple[str, ...], inferences: pl.DataFrame, options: Options, faults: Faults
) -> tuple[str, ...]:
    """The classes that count; of two, the negative one is first."""
    classes = tuple(name for name in listed if name not in options.ignored_classes)
    negative = options.negative_class
    if negative is None:
        return classes
    positive = [name for name in classes if name != negative]
    if len(positive) != _TWO - 1 or (
        options.classes is not None and negative not in classes
    ):
        told = (
            f"BINARY_CLASSIFICATION has two classes, {negative!r} and another, not "
            f"{list(listed)}."
        )
        faults.add("classes", "class.count", told, "Give both as classes=.")
    bad = inferences.filter(class_name=negative)
    told = "inferences do not name the negative class."
    hint = "Leave them out, or turn them into 1 - confidence of the positive class."
    faults.rows(
        "inferences", bad, "class_name", rule="class.negative", told=told, hint=hint
    )
    return (negative, *positive)


def _images(
    labels: pl.DataFrame, inferences: pl.DataFrame, scope: Scope
) -> pl.DataFrame:
    """The images of all frames that count; one of a frame that no row is on."""
    told = pl.concat([labels.select(UNIT), inferences.select(UNIT)])
    bare = scope.frames.join(told, on="frame_id", how="anti")
    alone = bare.select("frame_id", pl.lit("DEFAULT").alias("coordinate_frame"))
    return pl.concat([told, alone])
