"""What a model's inferences come to when walked by confidence, over any frames.

Holds, for every inference, what COCO's matching made of it at each IoU and for
each range of sizes. Averages over some of the frames, such as a split, come from
the same matching: it is by image, so no frame's outcome depends on another's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Codes, Flags, Floats, Ints
from lakehouse.metrics.matching import AREAS, FALSE, TRUE, Pairs, Side, within_class

CURVE: Final = pl.Schema(
    {
        "class_name": pl.String,
        "recall": pl.Float64,
        "precision": pl.Float64,
        "confidence": pl.Float64,
    }
)
"""The columns of curves."""

THRESHOLDS: Final[Floats] = np.linspace(0.5, 0.95, 10)
"""The IoUs that AP is the mean over."""

RECALLS: Final[Floats] = np.linspace(0.0, 1.0, 101)
"""The recalls at which precision is read."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Down the inferences of one class, the surest first."""

    precision: Floats
    """`float64[ious, 101]`: the best precision at each recall or more; 0 beyond."""
    recall: Floats
    """`float64[ious]`: the recall in the end."""
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


def walk(became: Codes, confidence: Floats, labels: int) -> Walk:
    """Precision and recall of one class.

    Args:
        became: `uint8[ious, inferences]`: FALSE, TRUE or IGNORED; surest first.
        confidence: Of each inference, falling.
        labels: How many labels count, 1 or more.

    >>> walk(np.array([[1, 0, 1]], np.uint8), np.array([0.9, 0.8, 0.7]), 2).recall
    array([1.])
    """
    true = np.cumsum(became == TRUE, axis=1)
    false = np.cumsum(became == FALSE, axis=1)
    recall = true / labels
    # COCO's guard against 0 / 0, kept so that the figures are its to the last bit.
    precision = true / (false + true + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    shape = (len(became), len(RECALLS))
    at, where = np.zeros(shape), np.full(shape, np.nan)
    for place, steps in enumerate(recall):
        reached: Ints = np.searchsorted(steps, RECALLS, "left")
        within: Flags = reached < len(steps)
        at[place, within] = precision[place, reached[within]]
        where[place, within] = confidence[reached[within]]
    last = recall[:, -1] if became.shape[1] else np.zeros(len(became))
    return Walk(at, last, where)


@dataclass(frozen=True)
class Ranking:
    """Inferences and labels, and what became of each inference."""

    inferences: Side
    labels: Side
    confidence: Floats
    classes: int
    most: int
    """How many inferences of a class count in an image, the surest (COCO: 100)."""
    became: Mapping[str, Codes]
    """Area's name to `uint8[ious, inferences]`; "" is at the IoU asked for."""

    @classmethod
    def of(
        cls,
        inferences: Side,
        labels: Side,
        confidence: Floats,
        pairs: Pairs,
        at_iou: Codes,
        *,
        classes: int,
        most: int,
    ) -> "Ranking":
        """Match at every IoU and for every range of sizes.

        Args:
            inferences: By image, the surest first.
            labels: By image.
            confidence: Of each inference.
            pairs: Of one class each, in the order of `by_confidence`.
            at_iou: What became of the inferences at the IoU asked for.
            classes: How many there are.
            most: How many inferences of a class count in an image.
        """
        became = {
            area.name: np.stack(
                [
                    within_class(pairs, inferences, labels, float(iou), area)[0]
                    for iou in THRESHOLDS
                ]
            )
            for area in AREAS
        }
        became[""] = at_iou[np.newaxis]
        return cls(inferences, labels, confidence, classes, most, became)

    @cached_property
    def _order(self) -> Ints:
        """Inferences by class, the surest first; ties by image and place in it."""
        return np.lexsort((-self.confidence, self.inferences.kind))

    @cached_property
    def _starts(self) -> Ints:
        kinds = self.inferences.kind[self._order]
        return np.searchsorted(kinds, np.arange(self.classes + 1))

    @cached_property
    def _rank(self) -> Ints:
        """Place of each inference among those of its class in its image, from 0."""
        side = self.inferences
        order = np.lexsort((side.kind, side.image))
        image, kind = side.image[order], side.kind[order]
        new = np.ones(len(side), np.bool_)
        new[1:] = (image[1:] != image[:-1]) | (kind[1:] != kind[:-1])
        place = np.arange(len(side))
        rank = np.empty(len(side), np.intp)
        rank[order] = place - np.maximum.accumulate(np.where(new, place, 0))
        return rank

    @property
    def crowded(self) -> int:
        """How many images have more inferences of a class than count."""
        over = self.inferences.image[self._rank >= self.most]
        return len(np.unique(over))

    def walks(
        self, area: str, images: Flags | None = None, most: int | None = None
    ) -> list[Walk | None]:
        """A walk for each class; None for a class without labels.

        Args:
            area: Name of the range of sizes; "" is at the IoU asked for.
            images: Which images count; None: all.
            most: How many inferences of a class count in an image; None: all.
        """
        sized = next((known for known in AREAS if known.name == area), AREAS[0])
        counts = ~self.labels.crowd & sized.holds(self.labels)
        if images is not None:
            counts &= images[self.labels.image]
        many = np.bincount(self.labels.kind[counts], minlength=self.classes)
        return [
            self._walk(kind, area, int(many[kind]), images, most)
            if many[kind]
            else None
            for kind in range(self.classes)
        ]

    def _walk(
        self, kind: int, area: str, labels: int, images: Flags | None, most: int | None
    ) -> Walk:
        mine = self._order[self._starts[kind] : self._starts[kind + 1]]
        if most is not None:
            mine = mine[self._rank[mine] < most]
        if images is not None:
            mine = mine[images[self.inferences.image[mine]]]
        return walk(self.became[area][:, mine], self.confidence[mine], labels)

    def every_area(self, images: Flags | None = None) -> dict[str, list[Walk | None]]:
        """The walks that COCO's figures are of, by the name of the range of sizes."""
        if images is None:
            return self._whole
        return {area.name: self.walks(area.name, images, self.most) for area in AREAS}

    @cached_property
    def _whole(self) -> dict[str, list[Walk | None]]:
        return {area.name: self.walks(area.name, most=self.most) for area in AREAS}


_AT_75: Final = 5
_FEW: Final = (1, 10)
_SIZES: Final = tuple(area.name for area in AREAS[1:])


def averages(ranking: Ranking, images: Flags | None = None) -> dict[str, float | None]:
    """COCO's figures, by name: AP…, AR…; None where no class has labels.

    Args:
        ranking: What became of the inferences.
        images: Which images count; None: all.
    """
    walks = ranking.every_area(images)
    precision = {name: _known(one, "precision") for name, one in walks.items()}
    recall = {f"AR_{name}": _known(walks[name], "recall") for name in _SIZES}
    few = {
        f"AR{most}": _known(ranking.walks("all", images, most), "recall")
        for most in _FEW
        if most < ranking.most
    }
    parts = {
        "AP": precision["all"],
        "AP50": [one[:1] for one in precision["all"]],
        "AP75": [one[_AT_75 : _AT_75 + 1] for one in precision["all"]],
        **{f"AP_{name}": precision[name] for name in _SIZES},
        **few,
        f"AR{ranking.most}": _known(walks["all"], "recall"),
        **recall,
    }
    return {name: _mean(part) for name, part in parts.items()}


def class_averages(ranking: Ranking) -> dict[str, list[float | None]]:
    """`ap`, `ap50`, `ap75`, `ap_small` … and `ar` of each class, by its number."""
    walks = ranking.every_area()
    whole = walks["all"]
    found = {
        "ap": [_part(one, "precision") for one in whole],
        "ap50": [_part(one, "precision", 0) for one in whole],
        "ap75": [_part(one, "precision", _AT_75) for one in whole],
    }
    for name in _SIZES:
        found[f"ap_{name}"] = [_part(one, "precision") for one in walks[name]]
    return found | {"ar": [_part(one, "recall") for one in whole]}


def _part(one: Walk | None, name: str, iou: int | None = None) -> float | None:
    """The mean of a class's precision or recall, over all IoUs or at one."""
    if one is None:
        return None
    values: Floats = getattr(one, name)
    return float(np.mean(values if iou is None else values[iou]))


def _known(walks: Sequence[Walk | None], name: str) -> list[Floats]:
    return [getattr(one, name) for one in walks if one is not None]


def _mean(parts: list[Floats]) -> float | None:
    """The mean over all entries of the classes' arrays, in COCO's order."""
    return float(np.mean(np.stack(parts, axis=-1))) if parts else None
