"""Detection: boxes or polygons of inferences against those of labels.

Two matchings, for two questions. *Within a class*, by confidence, as COCO does:
true and false positives, precision, recall, average precision. *Across classes*,
by overlap: the confusion matrix, and why a label was missed. Neither matches a
label or an inference twice.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Flags, Ints, OutcomeCodes, Texts
from lakehouse.metrics.average_precision import (
    CURVE,
    IOU_THRESHOLDS,
    SMALLER_TOP_K,
    Ranking,
    averages,
    class_averages,
)
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
    check_confidence,
    check_shapes,
    read_columns,
    with_shapes,
)
from lakehouse.metrics.matching import (
    AREA_RANGES,
    FALSE_POSITIVE,
    IGNORED,
    Instances,
    Pairs,
    greedy_match,
    match_within_class,
    sort_by_confidence,
    sort_by_iou,
)
from lakehouse.metrics.options import (
    NOT_EVALUATED,
    Options,
    Scope,
    class_names,
    rows_of_classes,
)
from lakehouse.metrics.shapes import overlapping_pairs
from lakehouse.model.labels import BOX
from lakehouse.model.problems import Problems

_NEEDED: Final = ("frame_id", "label_id", "class_name")
_OPTIONAL: Final = ("class_id", "label_type", "coordinate_frame", *BOX, "polygons")
_OPTIONAL_OF_LABELS: Final = ("area", "iscrowd", IGNORE)

_MEANINGS_OF_COUNTS: Final = {
    "labels": "labels that count",
    "inferences": "inferences that reach the confidence and count",
    "tp": "true positives, matched within their class",
    "fp": "false positives: inferences that match no label of their class",
    "fn": "false negatives: labels that no inference of their class matches",
    "precision": "tp / (tp + fp), over all classes together",
    "recall": "tp / (tp + fn), over all classes together",
    "f1": "2 tp / (2 tp + fp + fn), over all classes together",
}
_MEANINGS_OF_AVERAGES: Final = {
    "AP": "average precision: mean over classes and IoU 0.50 to 0.95 (COCO's mAP)",
    "AP50": "average precision at IoU 0.50, mean over classes",
    "AP75": "average precision at IoU 0.75, mean over classes",
    "AP_small": "AP of labels up to 32² px²",
    "AP_medium": "AP of labels from 32² to 96² px²",
    "AP_large": "AP of labels from 96² px²",
    "AR_small": "average recall of labels up to 32² px²",
    "AR_medium": "average recall of labels from 32² to 96² px²",
    "AR_large": "average recall of labels from 96² px²",
}


def detect(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, problems: Problems
) -> tuple["Detection", dict[str, int]]:
    """Match inferences with labels.

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
    problems.raise_if_any(NOT_EVALUATED, kind="metrics.input")
    listed = class_names([truth, predictions], options.classes)
    classes = tuple(name for name in listed if name not in options.ignored_classes)
    return _match(truth, predictions, scope, options, classes), left_out | also


def _read(
    rows: Rows, table: str, scope: Scope, options: Options, problems: Problems
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of one table that are evaluated; and how many are left out."""
    needed: list[str] = [*_NEEDED]
    optional: list[str] = [*_OPTIONAL]
    if table == "inferences":
        needed.append("confidence")
    else:
        optional += _OPTIONAL_OF_LABELS
    in_scope = scope.filter(read_columns(rows, table, needed, optional, problems))
    kept, left_out = rows_of_classes(
        with_shapes(in_scope), in_scope, table, options, problems
    )
    check_shapes(kept, table, problems)
    if table == "inferences":
        check_confidence(kept, problems)
    return kept, left_out


def _match(
    labels: pl.DataFrame,
    inferences: pl.DataFrame,
    scope: Scope,
    options: Options,
    classes: tuple[str, ...],
) -> "Detection":
    images = (
        pl.concat([labels.select(UNIT), inferences.select(UNIT)]).unique().sort(UNIT)
    )
    indexed = images.with_row_index("image")  # of both sides, so that they share it
    # `Instances` are in this order. Ids settle ties, so that no figure depends on the
    # order of rows.
    labels = labels.join(indexed, on=UNIT, how="left").sort("image", "label_id")
    inferences = inferences.join(indexed, on=UNIT, how="left").sort(
        "image", "confidence", "label_id", descending=[False, True, False]
    )
    truth, predictions, pairs = overlapping_pairs(
        labels,
        inferences,
        images,
        scope.frames,
        classes=classes,
        geometry=options.geometry,
        # The least that is asked for anywhere: AP needs 0.5 whatever `iou` is.
        min_iou=min(options.iou, float(IOU_THRESHOLDS[0])),
    )
    confidence = inferences["confidence"].to_numpy()
    confident = confidence >= options.confidence
    same_class = sort_by_confidence(
        pairs.take(
            truth.class_index[pairs.label] == predictions.class_index[pairs.inference]
        )
    )
    # All inferences are matched, and those of little confidence left out afterwards:
    # they come last in COCO's order, so they take no label from another.
    outcomes, true_positives = match_within_class(
        same_class, predictions, truth, options.iou, AREA_RANGES[0]
    )
    return Detection(
        classes=classes,
        frames=scope.frames,
        frame_of_image=images["frame_id"],
        matched=Matched(
            label_rows=labels,
            inference_rows=inferences.rename({"label_id": "inference_id"}),
            labels=truth,
            confident=confident,
            outcomes=outcomes,
            same_class=same_class.take(same_class.iou >= options.iou),
            true_positives=true_positives,
            across_classes=_match_across_classes(
                pairs.take(pairs.iou >= options.iou), confident, truth
            ),
        ),
        ranking=Ranking.of(
            predictions,
            truth,
            confidence,
            same_class,
            outcomes,
            classes=len(classes),
            top_k=options.max_detections,
        ),
    )


def _match_across_classes(pairs: Pairs, confident: Flags, labels: Instances) -> Pairs:
    """The pairs that match by overlap, of confident inferences and labels that count."""
    # Inferences of little confidence could take a label here, so they are left out
    # before, not afterwards.
    counting = confident[pairs.inference] & ~labels.crowd[pairs.label]
    by_iou = sort_by_iou(pairs.take(counting))
    return by_iou.take(greedy_match(by_iou, labels.crowd, len(confident)))


@dataclass(frozen=True)
class Detection:
    """The evidence of a detection. Made by `evaluate()`."""

    classes: tuple[str, ...]
    frames: pl.DataFrame
    frame_of_image: pl.Series
    """The `frame_id` of each image."""
    matched: "Matched"
    ranking: Ranking

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says."""
        recalls = {
            f"AR{top_k}": "average recall: mean over classes and IoU 0.50 to 0.95, "
            f"with the {top_k} most confident inferences of a class and image"
            for top_k in sorted({*SMALLER_TOP_K, self.ranking.top_k})
        }
        return _MEANINGS_OF_COUNTS | _MEANINGS_OF_AVERAGES | recalls

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        images, top_k = self.ranking.images_over_limit, self.ranking.top_k
        if not images:
            return []
        note = (
            f"{images} images have more than {top_k} inferences of a class: AP and AR "
            f"count the {top_k} of most confidence (max_detections)."
        )
        return [note]

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Counts and rates at the thresholds; COCO's averages, at any confidence."""
        # COCO's averages filter arrays by image, counts filter rows by frame.
        rows, images = self._outcomes, None
        if frames is not None:
            rows = rows.filter(pl.col("frame_id").is_in(frames.implode()))
            images = self.frame_of_image.is_in(frames.implode()).to_numpy()
        counts = with_rates(count_outcomes(rows, [])).row(0, named=True)
        return {**counts, **averages(self.ranking, images)}

    def per_class(self) -> pl.DataFrame:
        """Counts, rates and COCO's averages of each class."""
        counts = count_outcomes(self._outcomes, ["class_name"])
        names = pl.Series(self.classes, dtype=pl.String)
        return with_rates(counts_of_keys("class_name", names, counts)).with_columns(
            pl.Series(name, values, pl.Float64)
            for name, values in class_averages(self.ranking).items()
        )

    def per_frame(self) -> pl.DataFrame:
        """Counts and rates of each frame, and whether the model saw it."""
        counts = count_outcomes(self._outcomes, ["frame_id"])
        rows = with_rates(counts_of_keys("frame_id", self.frames["frame_id"], counts))
        return rows.insert_column(1, self.frames["seen"])

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """The rows behind the summary, or those behind the confusion matrix."""
        return self._confusions if across_classes else self._outcomes

    def confusion(self) -> pl.DataFrame:
        """How often each class was taken for which: matched across classes."""
        return confusion_matrix(self._confusions, self.classes)

    def curve(self) -> pl.DataFrame:
        """101 points a class, of precision at the IoU asked for."""
        curves = zip(self.classes, self.ranking.curves(""), strict=True)
        tables = [curve.table(name) for name, curve in curves if curve is not None]
        return pl.concat([pl.DataFrame(schema=CURVE), *tables])

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.matched.label_rows, self.matched.inference_rows

    @cached_property
    def _outcomes(self) -> pl.DataFrame:
        return self.matched.outcome_rows()

    @cached_property
    def _confusions(self) -> pl.DataFrame:
        return self.matched.confusion_rows()


@dataclass(frozen=True, slots=True)
class Matched:
    """Both matchings at the thresholds asked for, beside the rows they are about."""

    label_rows: pl.DataFrame
    inference_rows: pl.DataFrame
    """With `inference_id`; both are sorted as the arrays are."""
    labels: Instances
    confident: Flags
    """`bool[inferences]`: those that reach the threshold of confidence."""
    outcomes: OutcomeCodes
    """`uint8[inferences]`: the outcome of each, whatever its confidence."""
    same_class: Pairs
    """Pairs of one class that overlap enough."""
    true_positives: Pairs
    """Those that match within their class, whatever their confidence."""
    across_classes: Pairs
    """Pairs of any classes that match by overlap; of confident inferences alone."""

    def outcome_rows(self) -> pl.DataFrame:
        """A row for each label and each confident inference, in the columns OUTCOMES."""
        pairs = self.true_positives.take(self.confident[self.true_positives.inference])
        label_matched = np.zeros(len(self.labels), np.bool_)
        label_matched[pairs.label] = True
        missed = np.flatnonzero(~label_matched & ~self.labels.crowd)
        wrong = np.flatnonzero(self.confident & (self.outcomes == FALSE_POSITIVE))
        ignored = np.flatnonzero(self.confident & (self.outcomes == IGNORED))
        parts = [
            _beside(
                self._label(pairs.label), self._inference(pairs.inference)
            ).with_columns(
                outcome=pl.lit("TP"), iou=pl.Series(pairs.iou, dtype=pl.Float64)
            ),
            self._label(missed).with_columns(
                outcome=pl.lit("FN"), reason=pl.Series(self._why_missed()[missed])
            ),
            self._inference(wrong).with_columns(
                outcome=pl.lit("FP"), reason=pl.Series(self._why_wrong()[wrong])
            ),
            self._label(np.flatnonzero(self.labels.crowd)).with_columns(
                outcome=pl.lit("IGNORED")
            ),
            self._inference(ignored).with_columns(outcome=pl.lit("IGNORED")),
        ]
        return in_order(parts, OUTCOMES, "class_name")

    def confusion_rows(self) -> pl.DataFrame:
        """A row for each label that counts and each confident inference: CONFUSIONS.

        What matches nothing is beside BACKGROUND. Inferences on what is ignored
        are left out.
        """
        pairs = self.across_classes
        label_matched = np.zeros(len(self.labels), np.bool_)
        label_matched[pairs.label] = True
        inference_matched = np.zeros(len(self.confident), np.bool_)
        inference_matched[pairs.inference] = True
        missed = np.flatnonzero(~label_matched & ~self.labels.crowd)
        wrong = np.flatnonzero(
            self.confident & ~inference_matched & (self.outcomes != IGNORED)
        )
        label = {"class_name": "label_class"}
        inference = {"class_name": "inference_class"}
        parts = [
            _beside(
                self._label(pairs.label).rename(label),
                self._inference(pairs.inference).rename(inference),
            ).with_columns(iou=pl.Series(pairs.iou, dtype=pl.Float64)),
            self._label(missed)
            .rename(label)
            .with_columns(inference_class=pl.lit(BACKGROUND)),
            self._inference(wrong)
            .rename(inference)
            .with_columns(label_class=pl.lit(BACKGROUND)),
        ]
        return in_order(parts, CONFUSIONS, "label_class")

    def _label(self, indices: Ints) -> pl.DataFrame:
        return self.label_rows.select(*UNIT, "class_name", "label_id")[indices]

    def _inference(self, indices: Ints) -> pl.DataFrame:
        columns = (*UNIT, "class_name", "inference_id", "confidence")
        return self.inference_rows.select(columns)[indices]

    # The reasons of a missed label and of a wrong inference: each line below writes
    # over what the lines before it wrote, so the strongest reason comes last.

    def _why_missed(self) -> Texts:
        """`object[labels]`: why each label is missed, if it is."""
        why = np.full(len(self.labels), "no inference", np.object_)
        why[self.same_class.label[self.confident[self.same_class.inference]]] = "taken"
        unsure = ~self.confident[self.true_positives.inference]
        why[self.true_positives.label[unsure]] = "low confidence"
        why[self._confused().label] = "other class"
        return why

    def _why_wrong(self) -> Texts:
        """`object[inferences]`: why each inference is a false positive, if it is."""
        why = np.full(len(self.confident), "no label", np.object_)
        on_labels = ~self.labels.crowd[self.same_class.label]
        why[self.same_class.inference[on_labels]] = "duplicate"
        why[self._confused().inference] = "other class"
        return why

    def _confused(self) -> Pairs:
        """Pairs across classes whose classes differ."""
        pairs = self.across_classes
        label = self.label_rows["class_name"].gather(pairs.label)
        inference = self.inference_rows["class_name"].gather(pairs.inference)
        return pairs.take((label != inference).to_numpy())


def _beside(label: pl.DataFrame, inference: pl.DataFrame) -> pl.DataFrame:
    """Matched rows as one; what both have is taken from the label."""
    extra = [name for name in inference.columns if name not in label.columns]
    return label.hstack(inference.select(extra))
