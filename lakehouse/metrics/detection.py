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

from lakehouse.metrics.arrays import Codes, Flags, Ints, Texts
from lakehouse.metrics.average_precision import (
    CURVE,
    THRESHOLDS,
    Ranking,
    averages,
    class_averages,
)
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
from lakehouse.metrics.inputs import (
    IGNORE,
    UNIT,
    Faults,
    Rows,
    check_confidence,
    check_shapes,
    shaped,
    tidy,
)
from lakehouse.metrics.matching import (
    AREAS,
    FALSE,
    IGNORED,
    Pairs,
    Side,
    by_confidence,
    by_overlap,
    greedy,
    within_class,
)
from lakehouse.metrics.options import Options, Scope, class_names, of_classes
from lakehouse.metrics.shapes import overlapping
from lakehouse.model.labels import BOX


@dataclass(frozen=True, slots=True)
class Matched:
    """Both matchings at the thresholds asked for, beside the rows they are about."""

    label_rows: pl.DataFrame
    inference_rows: pl.DataFrame
    """With `inference_id`; both are sorted as their sides are."""
    labels: Side
    sure: Flags
    """Inferences that reach the threshold of confidence."""
    became: Codes
    """What became of each inference, whatever its confidence."""
    within: Pairs
    """Pairs of one class that overlap enough."""
    matched: Pairs
    """Those that match within their class, whatever their confidence."""
    across: Pairs
    """Pairs of any classes that match by overlap; sure ones alone."""

    def outcomes(self) -> pl.DataFrame:
        """A row for each label and each sure inference, in the columns OUTCOMES."""
        pairs = self.matched.where(self.sure[self.matched.inference])
        met = np.zeros(len(self.labels), np.bool_)
        met[pairs.label] = True
        missed = np.flatnonzero(~met & ~self.labels.crowd)
        wrong = np.flatnonzero(self.sure & (self.became == FALSE))
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
            self._inference(
                np.flatnonzero(self.sure & (self.became == IGNORED))
            ).with_columns(outcome=pl.lit("IGNORED")),
        ]
        return in_order(parts, OUTCOMES, "class_name")

    def confusions(self) -> pl.DataFrame:
        """A row for each label that counts and each sure inference: CONFUSIONS.

        What matches nothing is beside BACKGROUND. Inferences on what is ignored
        are left out.
        """
        met, used = self._across_flags()
        missed = np.flatnonzero(~met & ~self.labels.crowd)
        wrong = np.flatnonzero(self.sure & ~used & (self.became != IGNORED))
        told = [
            frame.rename({"class_name": name})
            for frame, name in (
                (self._label(self.across.label), "label_class"),
                (self._inference(self.across.inference), "inference_class"),
                (self._label(missed), "label_class"),
                (self._inference(wrong), "inference_class"),
            )
        ]
        nothing = pl.lit(BACKGROUND)
        parts = [
            _beside(told[0], told[1]).with_columns(
                iou=pl.Series(self.across.iou, dtype=pl.Float64)
            ),
            told[2].with_columns(inference_class=nothing),
            told[3].with_columns(label_class=nothing),
        ]
        return in_order(parts, CONFUSIONS, "label_class")

    def _label(self, places: Ints) -> pl.DataFrame:
        return self.label_rows.select(*UNIT, "class_name", "label_id")[places]

    def _inference(self, places: Ints) -> pl.DataFrame:
        columns = (*UNIT, "class_name", "inference_id", "confidence")
        return self.inference_rows.select(columns)[places]

    def _across_flags(self) -> tuple[Flags, Flags]:
        met = np.zeros(len(self.labels), np.bool_)
        used = np.zeros(len(self.sure), np.bool_)
        met[self.across.label] = True
        used[self.across.inference] = True
        return met, used

    def _confused(self) -> Pairs:
        """Pairs across classes whose classes differ."""
        label = self.label_rows["class_name"].gather(self.across.label)
        inference = self.inference_rows["class_name"].gather(self.across.inference)
        return self.across.where((label != inference).to_numpy())

    def _why_missed(self) -> Texts:
        why = np.full(len(self.labels), "no inference", np.object_)
        why[self.within.label[self.sure[self.within.inference]]] = "taken"
        unsure = ~self.sure[self.matched.inference]
        why[self.matched.label[unsure]] = "low confidence"
        why[self._confused().label] = "other class"
        return why

    def _why_wrong(self) -> Texts:
        why = np.full(len(self.sure), "no label", np.object_)
        on_labels = ~self.labels.crowd[self.within.label]
        why[self.within.inference[on_labels]] = "duplicate"
        why[self._confused().inference] = "other class"
        return why


def _beside(label: pl.DataFrame, inference: pl.DataFrame) -> pl.DataFrame:
    """Matched rows as one; what both have is taken from the label."""
    extra = [name for name in inference.columns if name not in label.columns]
    return label.hstack(inference.select(extra))


_COCO: Final = {
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
_COUNTS: Final = {
    "labels": "labels that count",
    "inferences": "inferences that reach the confidence and count",
    "tp": "true positives, matched within their class",
    "fp": "false positives: inferences that match no label of their class",
    "fn": "false negatives: labels that no inference of their class matches",
    "precision": "tp / (tp + fp), over all classes together",
    "recall": "tp / (tp + fn), over all classes together",
    "f1": "2 tp / (2 tp + fp + fn), over all classes together",
}


@dataclass(frozen=True)
class Detection:
    """What was found. Made by `evaluate()`."""

    classes: tuple[str, ...]
    frames: pl.DataFrame
    images: pl.Series
    """The frame of each image."""
    matched: Matched
    ranking: Ranking

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says."""
        text = (
            "average recall: mean over classes and IoU 0.50 to 0.95, with the surest "
            "{} of a class and image"
        )
        most = sorted({1, 10, self.ranking.most})
        recalls = {f"AR{few}": text.format(few) for few in most}
        return _COUNTS | _COCO | recalls

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        crowded = self.ranking.crowded
        if not crowded:
            return []
        note = (
            f"{crowded} images have more than {self.ranking.most} inferences of a class: "
            "AP and AR leave the less sure ones out (max_detections)."
        )
        return [note]

    @cached_property
    def _outcomes(self) -> pl.DataFrame:
        return self.matched.outcomes()

    @cached_property
    def _confusions(self) -> pl.DataFrame:
        return self.matched.confusions()

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Counts and rates at the thresholds; COCO's averages, at any confidence."""
        rows, images = self._outcomes, None
        if frames is not None:
            rows = rows.filter(pl.col("frame_id").is_in(frames.implode()))
            images = self.images.is_in(frames.implode()).to_numpy()
        counts = rates(counted(rows, [])).row(0, named=True)
        return {**counts, **averages(self.ranking, images)}

    def per_class(self) -> pl.DataFrame:
        """Counts, rates and COCO's averages of each class."""
        counts = counted(self._outcomes, ["class_name"])
        names = pl.Series(self.classes, dtype=pl.String)
        return rates(of_all("class_name", names, counts)).with_columns(
            pl.Series(name, values, pl.Float64)
            for name, values in class_averages(self.ranking).items()
        )

    def per_frame(self) -> pl.DataFrame:
        """Counts and rates of each frame, and whether the model saw it."""
        counts = counted(self._outcomes, ["frame_id"])
        rows = rates(of_all("frame_id", self.frames["frame_id"], counts))
        return rows.insert_column(1, self.frames["seen"])

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """The rows behind the summary, or those behind the confusion matrix."""
        return self._confusions if across_classes else self._outcomes

    def confusion(self) -> pl.DataFrame:
        """How often each class was taken for which: matched across classes."""
        return matrix(self._confusions, self.classes)

    def curve(self) -> pl.DataFrame:
        """101 points a class, of precision at the IoU asked for."""
        walks = zip(self.classes, self.ranking.walks(""), strict=True)
        found = [one.table(name) for name, one in walks if one is not None]
        return pl.concat([pl.DataFrame(schema=CURVE), *found])

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.matched.label_rows, self.matched.inference_rows


_NEEDED: Final = ("frame_id", "label_id", "class_name")
_OPTIONAL: Final = ("class_id", "label_type", "coordinate_frame", *BOX, "polygons")
_OF_LABELS: Final = ("area", "iscrowd", IGNORE)


def detect(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, faults: Faults
) -> tuple[Detection, dict[str, int]]:
    """Match inferences with labels.

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
    faults.refuse()
    listed = class_names([theirs, mine], options.classes)
    classes = tuple(name for name in listed if name not in options.ignored_classes)
    return _matched(theirs, mine, scope, options, classes), left | also


def _matched(
    labels: pl.DataFrame,
    inferences: pl.DataFrame,
    scope: Scope,
    options: Options,
    classes: tuple[str, ...],
) -> Detection:
    images = (
        pl.concat([labels.select(UNIT), inferences.select(UNIT)]).unique().sort(UNIT)
    )
    labels = _numbered(labels, images).sort("image", "label_id")
    inferences = _numbered(inferences, images).sort(
        "image", "confidence", "label_id", descending=[False, True, False]
    )
    theirs, mine, pairs = overlapping(
        labels,
        inferences,
        images,
        scope.frames,
        classes=classes,
        geometry=options.geometry,
        least=min(options.iou, float(THRESHOLDS[0])),
    )
    confidence = inferences["confidence"].to_numpy()
    sure = confidence >= options.confidence
    within = by_confidence(
        pairs.where(theirs.kind[pairs.label] == mine.kind[pairs.inference])
    )
    became, matched = within_class(within, mine, theirs, options.iou, AREAS[0])
    enough = pairs.where(
        (pairs.iou >= options.iou) & sure[pairs.inference] & ~theirs.crowd[pairs.label]
    )
    overlapped = by_overlap(enough)
    across = overlapped.where(greedy(overlapped, theirs.crowd, len(mine)))
    return Detection(
        classes=classes,
        frames=scope.frames,
        images=images["frame_id"],
        matched=Matched(
            label_rows=labels,
            inference_rows=inferences.rename({"label_id": "inference_id"}),
            labels=theirs,
            sure=sure,
            became=became,
            within=within.where(within.iou >= options.iou),
            matched=matched,
            across=across,
        ),
        ranking=Ranking.of(
            mine,
            theirs,
            confidence,
            within,
            became,
            classes=len(classes),
            most=options.max_detections,
        ),
    )


def _read(
    rows: Rows, table: str, scope: Scope, options: Options, faults: Faults
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of one table that are evaluated; and how many are left out."""
    extra = (("confidence",), ()) if table == "inferences" else ((), _OF_LABELS)
    needed, optional = (*_NEEDED, *extra[0]), (*_OPTIONAL, *extra[1])
    found = scope.only(tidy(rows, table, needed, optional, faults))
    kept, left = of_classes(shaped(found), found, table, options, faults)
    check_shapes(kept, table, faults)
    if table == "inferences":
        check_confidence(kept, faults)
    return kept, left


def _numbered(rows: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    return rows.join(images.with_row_index("image"), on=UNIT, how="left")
