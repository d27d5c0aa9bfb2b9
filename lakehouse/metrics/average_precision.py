"""Precision by recall, and COCO's averages of it, over any frames.

`Ranking` holds, for every inference, what COCO's matching made of it at each IoU
and for each range of sizes. Matching is by image, so no image's outcome depends
on another's: averages over some of the frames, such as a split, come from the
same matching.

The figures are those of pycocotools, by the same operations in the same order,
since sums of floats depend on it: inferences are sorted by class, confidence and
image (`_order`), precision is averaged over IoU, then recall, then class (`_mean`),
and its guard against 0 / 0 is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Flags, Floats, Ints, OutcomeCodes
from lakehouse.metrics.matching import (
    AREA_RANGES,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    Instances,
    Pairs,
    match_within_class,
)

CURVE: Final = pl.Schema(
    {
        "class_name": pl.String,
        "recall": pl.Float64,
        "precision": pl.Float64,
        "confidence": pl.Float64,
    }
)
"""The columns of curves."""

# linspace, as pycocotools has it: 0.5 + 0.05 * n differs in the last bit, and with it
# whether a pair of exactly that IoU, common among small boxes, counts.
IOU_THRESHOLDS: Final[Floats] = np.linspace(0.5, 0.95, 10)
"""The IoUs that AP is the mean over."""

RECALLS: Final[Floats] = np.linspace(0.0, 1.0, 101)
"""The recalls at which precision is read."""

AT_IOU_75: Final = 5
"""The index of 0.75 in IOU_THRESHOLDS."""

SMALLER_TOP_K: Final = (1, 10)
"""COCO has average recall with so many inferences too, beside the 100 of AP."""

_SIZES: Final = tuple(area_range.name for area_range in AREA_RANGES[1:])


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision by recall of one class, at one or more IoUs."""

    precision: Floats
    """`float64[ious, 101]`: the best precision at each recall or more; 0 beyond."""
    recall: Floats
    """`float64[ious]`: the recall with all inferences."""
    confidence: Floats
    """`float64[ious, 101]`: where each recall is reached; NaN beyond."""

    def table(self, class_name: str) -> pl.DataFrame:
        """The curve at the first IoU, in the columns CURVE."""
        return pl.DataFrame(
            {
                "class_name": [class_name] * len(RECALLS),
                "recall": RECALLS,
                "precision": self.precision[0],
                "confidence": self.confidence[0],
            },
            schema=CURVE,
        ).with_columns(pl.col("confidence").fill_nan(None))


def precision_recall(
    outcomes: OutcomeCodes, confidence: Floats, labels: int
) -> PrecisionRecall:
    """Precision by recall of one class.

    Args:
        outcomes: `uint8[ious, inferences]`, the most confident inference first.
        confidence: `float64[inferences]`, falling.
        labels: How many labels count, 1 or more.

    >>> precision_recall(
    ...     np.array([[1, 0, 1]], np.uint8), np.array([0.9, 0.8, 0.7]), 2
    ... ).recall
    array([1.])
    """
    # Ignored inferences are in neither sum: they add a point that changes nothing.
    true_positives = np.cumsum(outcomes == TRUE_POSITIVE, axis=1)
    false_positives = np.cumsum(outcomes == FALSE_POSITIVE, axis=1)
    recall = true_positives / labels
    # COCO's guard against 0 / 0, kept so that the figures are its to the last bit.
    precision = true_positives / (false_positives + true_positives + np.spacing(1))
    # From the right, so that precision never rises with recall.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    shape = (len(outcomes), len(RECALLS))
    precision_at, confidence_at = np.zeros(shape), np.full(shape, np.nan)
    for iou, steps in enumerate(recall):
        first: Ints = np.searchsorted(steps, RECALLS, "left")
        reached: Flags = first < len(steps)
        precision_at[iou, reached] = precision[iou, first[reached]]
        confidence_at[iou, reached] = confidence[first[reached]]
    last = recall[:, -1] if outcomes.shape[1] else np.zeros(len(outcomes))
    return PrecisionRecall(precision_at, last, confidence_at)


@dataclass(frozen=True)
class Ranking:
    """Inferences by confidence, and the outcome of each at every IoU and size."""

    inferences: Instances
    labels: Instances
    confidence: Floats
    classes: int
    top_k: int
    """How many inferences of a class count in an image, by confidence (COCO: 100)."""
    outcomes: Mapping[str, OutcomeCodes]
    """The name of a range of sizes to `uint8[ious, inferences]`; "" is all sizes at
    the IoU asked for. One byte each, so 41 matchings of a million inferences are 41 MB."""

    @classmethod
    def of(
        cls,
        inferences: Instances,
        labels: Instances,
        confidence: Floats,
        pairs: Pairs,
        outcomes_at_iou: OutcomeCodes,
        *,
        classes: int,
        top_k: int,
    ) -> "Ranking":
        """Match at every IoU and for every range of sizes.

        Args:
            inferences: By image, then by falling confidence.
            labels: By image.
            confidence: `float64[inferences]`.
            pairs: Of one class each, as `sort_by_confidence` sorts them.
            outcomes_at_iou: `uint8[inferences]`: outcomes at the IoU asked for.
            classes: How many there are.
            top_k: How many inferences of a class count in an image.
        """
        outcomes = {
            area_range.name: np.stack(
                [
                    match_within_class(
                        pairs, inferences, labels, float(iou), area_range
                    )[0]
                    for iou in IOU_THRESHOLDS
                ]
            )
            for area_range in AREA_RANGES
        }
        outcomes[""] = outcomes_at_iou[np.newaxis]
        return cls(inferences, labels, confidence, classes, top_k, outcomes)

    @property
    def images_over_limit(self) -> int:
        """How many images have more inferences of a class than count."""
        return len(np.unique(self.inferences.image[self._rank >= self.top_k]))

    def curves(
        self, area: str, images: Flags | None = None, top_k: int | None = None
    ) -> list[PrecisionRecall | None]:
        """Precision by recall of each class; None for a class without labels.

        Args:
            area: The name of a range of sizes; "" is all, at the IoU asked for.
            images: `bool[images]`: which count; None: all.
            top_k: How many inferences of a class count in an image; None: all.
        """
        ranges = {area_range.name: area_range for area_range in AREA_RANGES}
        area_range = ranges.get(area, AREA_RANGES[0])
        counts = ~self.labels.crowd & area_range.contains(self.labels)
        if images is not None:
            counts &= images[self.labels.image]
        labels = np.bincount(self.labels.class_index[counts], minlength=self.classes)
        return [
            self._curve(index, area, int(labels[index]), images, top_k)
            if labels[index]
            else None
            for index in range(self.classes)
        ]

    def curves_by_area(
        self, images: Flags | None = None
    ) -> dict[str, list[PrecisionRecall | None]]:
        """The curves that COCO's figures are of, by the name of the range of sizes."""
        if images is None:
            return self._curves_of_all_images
        return {
            area_range.name: self.curves(area_range.name, images, self.top_k)
            for area_range in AREA_RANGES
        }

    @cached_property
    def _curves_of_all_images(self) -> dict[str, list[PrecisionRecall | None]]:
        # Asked for twice, by the figures and by the table of classes.
        return {
            area_range.name: self.curves(area_range.name, top_k=self.top_k)
            for area_range in AREA_RANGES
        }

    def _curve(
        self,
        class_index: int,
        area: str,
        labels: int,
        images: Flags | None,
        top_k: int | None,
    ) -> PrecisionRecall:
        chosen = self._order[self._starts[class_index] : self._starts[class_index + 1]]
        if top_k is not None:
            chosen = chosen[self._rank[chosen] < top_k]
        if images is not None:
            chosen = chosen[images[self.inferences.image[chosen]]]
        outcomes = self.outcomes[area][:, chosen]
        return precision_recall(outcomes, self.confidence[chosen], labels)

    @cached_property
    def _order(self) -> Ints:
        """`int[inferences]`: by class, then falling confidence; ties by image and index.

        lexsort is stable, as the mergesort of pycocotools is, so ties stay in the
        order of images; another order of ties is another average precision.
        """
        return np.lexsort((-self.confidence, self.inferences.class_index))

    @cached_property
    def _starts(self) -> Ints:
        """`int[classes + 1]`: where each class begins in `_order`."""
        sorted_classes = self.inferences.class_index[self._order]
        return np.searchsorted(sorted_classes, np.arange(self.classes + 1))

    @cached_property
    def _rank(self) -> Ints:
        """`int[inferences]`: the rank of each in its class and image, from 0."""
        instances = self.inferences
        # Stable, so inferences of one class and image stay in falling confidence.
        order = np.lexsort((instances.class_index, instances.image))
        image, class_index = instances.image[order], instances.class_index[order]
        is_first = np.ones(len(instances), np.bool_)
        is_first[1:] = (image[1:] != image[:-1]) | (class_index[1:] != class_index[:-1])
        position = np.arange(len(instances))
        group_start = np.maximum.accumulate(np.where(is_first, position, 0))
        rank = np.empty(len(instances), np.intp)
        rank[order] = position - group_start
        return rank


# ------------------------------ COCO'S AVERAGES ----------------------------- #


def averages(ranking: Ranking, images: Flags | None = None) -> dict[str, float | None]:
    """COCO's figures, by name: AP…, AR…; None where no class has labels.

    Args:
        ranking: The outcomes of the inferences.
        images: `bool[images]`: which count; None: all.
    """
    curves = ranking.curves_by_area(images)
    precision = {name: _defined(part, "precision") for name, part in curves.items()}
    recall_by_size = {f"AR_{size}": _defined(curves[size], "recall") for size in _SIZES}
    # pycocotools cuts at 100 before it matches, and here all are matched. That is the
    # same: a match never depends on inferences of less confidence.
    recall_by_top_k = {
        f"AR{top_k}": _defined(ranking.curves("all", images, top_k), "recall")
        for top_k in SMALLER_TOP_K
        if top_k < ranking.top_k
    }
    parts = {
        "AP": precision["all"],
        "AP50": [of_class[:1] for of_class in precision["all"]],
        "AP75": [of_class[AT_IOU_75 : AT_IOU_75 + 1] for of_class in precision["all"]],
        **{f"AP_{size}": precision[size] for size in _SIZES},
        **recall_by_top_k,
        f"AR{ranking.top_k}": _defined(curves["all"], "recall"),
        **recall_by_size,
    }
    return {name: _mean(part) for name, part in parts.items()}


def class_averages(ranking: Ranking) -> dict[str, list[float | None]]:
    """`ap`, `ap50`, `ap75`, `ap_small` … and `ar` of each class, by its index."""
    curves = ranking.curves_by_area()
    all_sizes = curves["all"]
    by_class = {
        "ap": [_class_mean(curve, "precision") for curve in all_sizes],
        "ap50": [_class_mean(curve, "precision", 0) for curve in all_sizes],
        "ap75": [_class_mean(curve, "precision", AT_IOU_75) for curve in all_sizes],
    }
    for size in _SIZES:
        by_class[f"ap_{size}"] = [
            _class_mean(curve, "precision") for curve in curves[size]
        ]
    return by_class | {"ar": [_class_mean(curve, "recall") for curve in all_sizes]}


def _class_mean(
    curve: PrecisionRecall | None, name: str, iou_index: int | None = None
) -> float | None:
    """The mean of a class's precision or recall, over all IoUs or at one."""
    if curve is None:
        return None
    values: Floats = getattr(curve, name)
    return float(np.mean(values if iou_index is None else values[iou_index]))


def _defined(curves: Sequence[PrecisionRecall | None], name: str) -> list[Floats]:
    return [getattr(curve, name) for curve in curves if curve is not None]


def _mean(parts: list[Floats]) -> float | None:
    """The mean over all entries of the classes' arrays, in COCO's order.

    It keeps classes on the last axis, and NumPy sums an array as it lies in memory,
    so the mean of the classes' means would differ in the last bits.
    """
    return float(np.mean(np.stack(parts, axis=-1))) if parts else None
