"""What a model's inferences come to when walked by confidence, over any frames.

Holds, for every inference, what COCO's matching made of it at each IoU and for
each range of sizes. Averages over some of the frames, such as a split, come from
the same matching: it is by image, so no frame's outcome depends on another's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakehouse.metrics.arrays import Codes, Flags, Floats, Ints
from lakehouse.metrics.matching import AREAS, within_class
from lakehouse.metrics.overlap import Pairs, Side
from lakehouse.metrics.precision import THRESHOLDS, Walk, walk

__all__ = ["Ranking"]


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
