"""Classification: what a model calls an image against what its labels say.

CLASSIFICATION: an image has one label; the inference of most confidence is the
model's answer. BINARY_CLASSIFICATION: likewise, and an image without an inference
is called the negative class. MULTI_LABEL_CLASSIFICATION: an image has any number
of labels; every inference that reaches the confidence is an answer.

AUROC and curves take every inference: a class's score on an image is the greatest
confidence of its inferences there, 0 without any.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Flags, Floats
from lakehouse.metrics.average_precision import CURVE, precision_recall
from lakehouse.metrics.counts import (
    BACKGROUND,
    CONFUSIONS,
    OUTCOMES,
    confusion_matrix,
    count_outcomes,
    counts_of_keys,
    in_order,
    with_rates,
)
from lakehouse.metrics.inputs import (
    IGNORE,
    UNIT,
    Rows,
    add_row_problems,
    check_confidence,
    read_columns,
)
from lakehouse.metrics.matching import FALSE_POSITIVE, TRUE_POSITIVE
from lakehouse.metrics.options import (
    NOT_EVALUATED,
    Options,
    Scope,
    class_names,
    rows_of_classes,
)
from lakehouse.model.problems import Problems

_NEEDED: Final = ("frame_id", "label_id", "class_name")
_OPTIONAL: Final = ("class_id", "label_type", "coordinate_frame")
_LABEL_TYPES: Final = ("CLASSIFICATION_2D", "CLASSIFICATION_3D")
_IMAGE_AND_CLASS: Final = ["image", "class_name"]

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
_MEANINGS_OF_BINARY: Final = {
    "tp": "positives called positive",
    "fp": "negatives called positive",
    "fn": "positives called negative",
    "tn": "negatives called negative",
    "precision": "tp / (tp + fp)",
    "recall": "tp / (tp + fn)",
    "f1": "2 tp / (2 tp + fp + fn)",
    "auroc": "area under the ROC curve of the positive class",
}


def classify(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, problems: Problems
) -> tuple["Classification", dict[str, int]]:
    """Compare a model's answers with labels.

    Args:
        labels: Rows of labels.
        inferences: Rows of inferences.
        scope: Which frames count.
        options: What was asked for.
        problems: What is wrong so far.

    Returns:
        The evidence, and how many rows were left out, by reason.

    Raises:
        InvalidInputError: If anything is wrong, in `problems` or in the rows.
    """
    truth, left_out = _read(labels, "labels", scope, options, problems)
    predictions, also = _read(inferences, "inferences", scope, options, problems)
    is_multi_label = options.task == "MULTI_LABEL_CLASSIFICATION"
    _check_labels(truth, is_multi_label=is_multi_label, problems=problems)
    listed = class_names([truth, predictions], options.classes)
    classes = _counting_classes(listed, predictions, options, problems)
    problems.raise_if_any(NOT_EVALUATED, kind="metrics.input")
    # Ignored labels have been checked with the others: two labels of an image are
    # wrong even if one of them is ignored.
    ignored = truth.filter(pl.col(IGNORE).fill_null(value=False))
    counting = truth.join(ignored, on=["frame_id", "label_id"], how="anti")
    if is_multi_label:
        units = _all_units(truth, predictions, scope)
    else:
        # An image has one label: an ignored one takes the image out.
        counting = counting.join(ignored, on=UNIT, how="anti")
        # An image without a label that counts has no right answer, so nothing is asked
        # of it.
        units = counting.select(UNIT)
    images = units.unique().sort(UNIT).with_row_index("image")
    predictions = predictions.rename({"label_id": "inference_id"})
    answers = Answers(
        images=images,
        truth=counting.join(images, on=UNIT),
        inferences=predictions.join(images, on=UNIT),
        ignored=ignored.join(images, on=UNIT),
        classes=classes,
        is_multi_label=is_multi_label,
        negative=options.negative_class,
        confidence=options.confidence,
    )
    counts = {
        "frames without labels that count": scope.frames.join(
            units, on="frame_id", how="anti"
        ).height,
        "inferences on images without labels that count": predictions.join(
            units, on=UNIT, how="anti"
        ).height,
    }
    evidence = answers.evidence(scope.frames, (truth, predictions))
    return evidence, left_out | also | counts


def _read(
    rows: Rows, table: str, scope: Scope, options: Options, problems: Problems
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of one table that classify frames that count, and how many others."""
    needed: list[str] = [*_NEEDED]
    optional: list[str] = [*_OPTIONAL]
    if table == "inferences":
        needed.append("confidence")
    else:
        optional.append(IGNORE)
    in_scope = scope.filter(read_columns(rows, table, needed, optional, problems))
    classifies = pl.col("label_type").is_in(_LABEL_TYPES).fill_null(value=True)
    kept, left_out = rows_of_classes(
        in_scope.filter(classifies), in_scope, table, options, problems
    )
    if table == "inferences":
        check_confidence(kept, problems)
    return kept, left_out


def _check_labels(
    labels: pl.DataFrame, *, is_multi_label: bool, problems: Problems
) -> None:
    """An image has one label, or one of each class."""
    group = [*UNIT, "class_name"] if is_multi_label else UNIT
    add_row_problems(
        problems,
        "labels",
        labels.filter(pl.struct(group).is_duplicated()),
        "class_name",
        rule="label.many",
        requirement="an image has one label of a class."
        if is_multi_label
        else "an image has one label; MULTI_LABEL_CLASSIFICATION is for several.",
        hint="Keep one.",
    )


def _counting_classes(
    listed: tuple[str, ...],
    inferences: pl.DataFrame,
    options: Options,
    problems: Problems,
) -> tuple[str, ...]:
    """The classes that count; of two, the negative one is first."""
    classes = tuple(name for name in listed if name not in options.ignored_classes)
    negative = options.negative_class
    if negative is None:
        return classes
    # The negative class need not occur in any row: it is what is left.
    positive = [name for name in classes if name != negative]
    if len(positive) != 1 or (options.classes is not None and negative not in classes):
        problems.add(
            "classes",
            rule="class.count",
            message=f"BINARY_CLASSIFICATION has two classes, {negative!r} and another, "
            f"not {list(listed)}.",
            hint="Give both as classes=.",
        )
    add_row_problems(
        problems,
        "inferences",
        inferences.filter(class_name=negative),
        "class_name",
        rule="class.negative",
        requirement="inferences do not name the negative class.",
        hint="Leave them out, or turn them into 1 - confidence of the positive class.",
    )
    return (negative, *positive)


def _all_units(
    labels: pl.DataFrame, inferences: pl.DataFrame, scope: Scope
) -> pl.DataFrame:
    """The images of all frames that count; one of a frame that no row is on."""
    with_rows = pl.concat([labels.select(UNIT), inferences.select(UNIT)])
    # Without rows it is not known which images a frame has; the default one stands for
    # all.
    frames = scope.frames.join(with_rows, on="frame_id", how="anti")
    without_rows = frames.select(
        "frame_id", pl.lit("DEFAULT").alias("coordinate_frame")
    )
    return pl.concat([with_rows, without_rows])


# ---------------------------------- ANSWERS --------------------------------- #


@dataclass(frozen=True)
class Answers:
    """Labels and inferences by image, and the model's answers for each image."""

    images: pl.DataFrame
    """`image`, an index, and the columns of UNIT, sorted."""
    truth: pl.DataFrame
    """Labels that count, with `image`."""
    inferences: pl.DataFrame
    """With `image` and `inference_id`."""
    ignored: pl.DataFrame
    """Labels that are ignored, with `image`."""
    classes: tuple[str, ...]
    is_multi_label: bool
    """Whether an image may have several labels."""
    negative: str | None
    """What an image without an answer is called."""
    confidence: float

    @cached_property
    def scores(self) -> pl.DataFrame:
        """The inference of most confidence of each image and class; ties by id."""
        order = [*_IMAGE_AND_CLASS, "confidence", "inference_id"]
        # Sorted by id at last: else a tie would be settled by the order of files.
        ordered = self.inferences.sort(order, descending=[False, False, True, False])
        return ordered.unique(_IMAGE_AND_CLASS, keep="first", maintain_order=True)

    @cached_property
    def answers(self) -> pl.DataFrame:
        """What the model says: `image`, `class_name`, `inference_id`, `confidence`."""
        confident = self._confident.select(
            *_IMAGE_AND_CLASS, "inference_id", "confidence"
        )
        if self.is_multi_label:
            return confident.join(self.ignored, on=_IMAGE_AND_CLASS, how="anti")
        class_index = pl.col("class_name").cast(pl.Enum(self.classes)).to_physical()
        # Ties go to the class that comes first, so that the order of rows is without effect.
        best = confident.sort(
            "image", "confidence", class_index, descending=[False, True, False]
        ).unique("image", keep="first", maintain_order=True)
        if self.negative is None:
            return best
        unanswered = self.images.join(best, on="image", how="anti").select(
            "image", pl.lit(self.negative).alias("class_name")
        )
        return pl.concat([best, unanswered], how="diagonal")

    def evidence(
        self, frames: pl.DataFrame, rows: tuple[pl.DataFrame, pl.DataFrame]
    ) -> "Classification":
        """Compare the answers with the labels.

        Args:
            frames: The frames that count.
            rows: Labels and inferences as they came.
        """
        outcomes = self.outcomes()
        wrong = outcomes.filter(pl.col("outcome").is_in(["FP", "FN"])).select(UNIT)
        # The order of `images` is kept: `figures` chooses from it by position.
        right = self.images.join(
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
            truth=self.truth.select(_IMAGE_AND_CLASS),
            scores=self.scores.select(*_IMAGE_AND_CLASS, "confidence"),
            ignored=self.ignored.select(_IMAGE_AND_CLASS),
            outcomes=outcomes,
            confusions=self.confusions(),
            rows=rows,
        )

    def outcomes(self) -> pl.DataFrame:
        """Answers and labels of each class: TP, FP, FN, IGNORED."""
        truth = self.truth.select(*_IMAGE_AND_CLASS, "label_id", is_label=True)
        answers = self.answers.with_columns(is_answer=True)
        # An image and class has one label and one answer at most, so no row is doubled.
        joined = truth.join(answers, on=_IMAGE_AND_CLASS, how="full", coalesce=True)
        is_label = pl.col("is_label").is_not_null()
        is_answer = pl.col("is_answer").is_not_null()
        scored = self.scores.select(*_IMAGE_AND_CLASS, is_scored=True)
        # Why a label is missed needs to know if another class was answered or scored.
        answered = self.answers.select("image", has_answer=True).unique()
        judged = (
            joined.join(scored, on=_IMAGE_AND_CLASS, how="left")
            .join(answered, on="image", how="left")
            .with_columns(
                outcome=pl.when(is_label & is_answer)
                .then(pl.lit("TP"))
                .when(is_label)
                .then(pl.lit("FN"))
                .otherwise(pl.lit("FP"))
            )
            .with_columns(reason=self._reason())
            .join(self.images, on="image", how="left")
        )
        return in_order([judged, *self._ignored_rows()], OUTCOMES, "class_name")

    def confusions(self) -> pl.DataFrame:
        """Each label beside the answer for its image, in the columns CONFUSIONS."""
        if self.is_multi_label:
            # Which label a wrong answer stands for is not known: it is beside none.
            rows = self.outcomes().filter(pl.col("outcome") != "IGNORED")
            is_wrong, is_missed = (pl.col("outcome") == name for name in ("FP", "FN"))
            name, background = pl.col("class_name"), pl.lit(BACKGROUND)
            pairs = rows.with_columns(
                label_class=pl.when(is_wrong).then(background).otherwise(name),
                inference_class=pl.when(is_missed).then(background).otherwise(name),
            )
        else:
            label_class = pl.col("class_name").alias("label_class")
            pairs = (
                self.truth.select("image", label_class, "label_id")
                .join(
                    self.answers.rename({"class_name": "inference_class"}),
                    on="image",
                    how="left",
                )
                .with_columns(pl.col("inference_class").fill_null(BACKGROUND))
                .join(self.images, on="image", how="left")
            )
        return in_order([pairs], CONFUSIONS, "label_class")

    @property
    def _confident(self) -> pl.DataFrame:
        return self.scores.filter(pl.col("confidence") >= self.confidence)

    def _reason(self) -> pl.Expr:
        """Why an outcome is FP or FN: the first that applies."""
        is_missed, is_wrong = (pl.col("outcome") == name for name in ("FN", "FP"))
        other_answer = (
            pl.lit(not self.is_multi_label) & pl.col("has_answer").is_not_null()
        )
        return (
            pl.when(is_missed & other_answer)
            .then(pl.lit("other class"))
            .when(is_missed & pl.col("is_scored").is_not_null())
            .then(pl.lit("low confidence"))
            .when(is_missed)
            .then(pl.lit("no inference"))
            .when(is_wrong)
            .then(pl.lit("no label" if self.is_multi_label else "other class"))
        )

    def _ignored_rows(self) -> list[pl.DataFrame]:
        """Ignored labels, and answers of their classes."""
        if not self.is_multi_label:
            return []
        answers = self._confident.join(self.ignored, on=_IMAGE_AND_CLASS, how="semi")
        return [
            rows.with_columns(outcome=pl.lit("IGNORED"))
            for rows in (self.ignored, answers)
        ]


# ---------------------------------- FIGURES --------------------------------- #


@dataclass(frozen=True)
class Classification:
    """The evidence of a classification. Made by `evaluate()`."""

    classes: tuple[str, ...]
    positive: str | None
    """The positive class of BINARY_CLASSIFICATION."""
    frames: pl.DataFrame
    images: pl.DataFrame
    """Images that count, sorted: `frame_id`, `coordinate_frame`, `right` (bool)."""
    truth: pl.DataFrame
    """`image` (its index in `images`), `class_name`: what the labels say."""
    scores: pl.DataFrame
    """`image`, `class_name`, `confidence`: the greatest of each."""
    ignored: pl.DataFrame
    """`image`, `class_name`: labels that are ignored."""
    outcomes: pl.DataFrame
    confusions: pl.DataFrame
    rows: tuple[pl.DataFrame, pl.DataFrame]
    """Labels and inferences as they came."""

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says."""
        return _MEANINGS if self.positive is None else _MEANINGS | _MEANINGS_OF_BINARY

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        return []

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Accuracy, counts and rates, and AUROC."""
        chosen, rows = self._all_images, self.outcomes
        if frames is not None:
            is_chosen = pl.col("frame_id").is_in(frames.implode())
            rows = rows.filter(is_chosen)
            chosen = self.images.select(is_chosen).to_series().to_numpy()
        right = self.images["right"].to_numpy()[chosen]
        by_class = self._by_class(rows, chosen)
        figures: dict[str, float | int | None] = {
            "images": len(right),
            "accuracy": float(right.sum() / len(right)) if len(right) else None,
        }
        if self.positive is not None:
            of_positive = by_class.row(
                by_predicate=pl.col("class_name") == self.positive, named=True
            )
            del of_positive["class_name"]
            # Images are tp, fp, fn or tn, so the last follows; it has no row among the
            # outcomes.
            others = sum(of_positive[name] for name in ("tp", "fp", "fn"))
            return figures | of_positive | {"tn": len(right) - others}
        sums = ("labels", "inferences", "tp", "fp", "fn")
        means = ("precision", "recall", "f1", "auroc")
        return {
            **figures,
            **{name: int(by_class[name].sum()) for name in sums},
            **{name: _mean(by_class[name]) for name in means},
        }

    def per_class(self) -> pl.DataFrame:
        """Counts, rates and AUROC of each class."""
        return self._by_class(self.outcomes, self._all_images)

    def per_frame(self) -> pl.DataFrame:
        """Counts and rates of each frame, and whether the model saw it."""
        counts = count_outcomes(self.outcomes, ["frame_id"])
        rows = with_rates(counts_of_keys("frame_id", self.frames["frame_id"], counts))
        return rows.insert_column(1, self.frames["seen"])

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """Outcomes of each class, or labels beside answers."""
        return self.confusions if across_classes else self.outcomes

    def confusion(self) -> pl.DataFrame:
        """How often each class was called which.

        Of several labels, a wrong answer is beside `(background)`: which label it
        stands for is not known.
        """
        return confusion_matrix(self.confusions, self.classes)

    def curve(self) -> pl.DataFrame:
        """101 points a class, each class against the rest."""
        parts = [pl.DataFrame(schema=CURVE)]
        for name, scores, positive in self._scores_by_class(self._all_images):
            if not positive.any():
                continue
            # An image without an inference of the class is no point of the curve, but
            # its label counts in the recall.
            scored = np.flatnonzero(~np.isnan(scores))
            # Stable: equal scores stay in the order of images.
            order = scored[np.argsort(-scores[scored], kind="stable")]
            outcomes = np.where(positive[order], TRUE_POSITIVE, FALSE_POSITIVE)
            curve = precision_recall(
                outcomes.astype(np.uint8)[np.newaxis],
                scores[order],
                int(positive.sum()),
            )
            parts.append(curve.table(name))
        return pl.concat(parts)

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.rows

    @cached_property
    def _all_images(self) -> Flags:
        return np.ones(self.images.height, np.bool_)

    def _by_class(self, rows: pl.DataFrame, images: Flags) -> pl.DataFrame:
        names = pl.Series(self.classes, dtype=pl.String)
        counts = count_outcomes(rows, ["class_name"])
        areas = [
            auroc(np.nan_to_num(scores), positive)
            for _, scores, positive in self._scores_by_class(images)
        ]
        return with_rates(counts_of_keys("class_name", names, counts)).with_columns(
            pl.Series("auroc", areas, pl.Float64)
        )

    def _scores_by_class(self, images: Flags) -> Iterator[tuple[str, Floats, Flags]]:
        """Each class's score on each chosen image, NaN without; and where it is true.

        The negative class has no inferences: its scores are the positive's, negated.
        """
        for name in self.classes:
            scored_class = name if self.positive is None else self.positive
            scores = np.full(self.images.height, np.nan)
            rows = self.scores.filter(class_name=scored_class)
            scores[rows["image"].to_numpy()] = rows["confidence"].to_numpy()
            # 1 - confidence would round; the order is all that AUROC needs.
            if scored_class != name:
                scores = -np.nan_to_num(scores)
            positive = np.zeros(self.images.height, np.bool_)
            positive[self.truth.filter(class_name=name)["image"].to_numpy()] = True
            counts = images.copy()
            counts[self.ignored.filter(class_name=name)["image"].to_numpy()] = False
            yield name, scores[counts], positive[counts]


def _mean(values: pl.Series) -> float | None:
    """The mean of what is defined, summed in the order of classes."""
    defined = values.drop_nulls().to_numpy()
    return float(np.mean(defined)) if len(defined) else None


def auroc(scores: Floats, positive: Flags) -> float | None:
    """The area under the ROC curve.

    Args:
        scores: `float64[n]`: higher means more likely of the class.
        positive: `bool[n]`: which are of the class.

    Returns:
        0 to 1, 0.5 for no better than chance; None if all or none are positive.

    >>> auroc(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    # The Mann-Whitney U statistic, from ranks. Twice the rank, ties at the middle of
    # their places, is a whole number: the sum is exact, in any order.
    ordered = np.sort(scores)
    below = np.searchsorted(ordered, scores[positive], "left")
    up_to = np.searchsorted(ordered, scores[positive], "right")
    double_ranks = int((below + up_to + 1).sum())
    return (double_ranks - positives * (positives + 1)) / (2 * positives * negatives)
