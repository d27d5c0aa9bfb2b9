"""How much inferences and labels of one image overlap: the pairs that may match.

Intersection over union of boxes is COCO's, operation by operation, so that it
is bit-equal to pycocotools'. For a label that stands for a crowd the union is
the inference alone (COCO), so any part of a crowd is wholly in it. Pairs are
made for some hundred thousand at a time, whatever the frames hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lakehouse.metrics.arrays import Flags, Floats, Ints

__all__ = ["Pairs", "Side", "box_pairs", "candidates"]

_AT_ONCE: Final = 1 << 19


@dataclass(frozen=True, slots=True)
class Side:
    """Labels or inferences as arrays, sorted by image; inferences best first."""

    image: Ints
    """Number of the image that each is on."""
    kind: Ints
    """Number of its class."""
    area: Floats
    """Its area in px²: what COCO's sizes go by."""
    crowd: Flags
    """Labels that are ignored: crowds, and what is marked so. Inferences: none."""

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, slots=True)
class Pairs:
    """An inference and a label each, by place in their sides, and their IoU."""

    inference: Ints
    label: Ints
    iou: Floats

    def __len__(self) -> int:
        return len(self.iou)

    def where(self, chosen: Flags | Ints) -> "Pairs":
        """These pairs, in this order."""
        return Pairs(self.inference[chosen], self.label[chosen], self.iou[chosen])

    @classmethod
    def joined(cls, parts: list["Pairs"]) -> "Pairs":
        """The pairs of all parts, one part behind the other."""
        none = np.empty(0, np.intp)
        return cls(
            np.concatenate([none, *(part.inference for part in parts)]),
            np.concatenate([none, *(part.label for part in parts)]),
            np.concatenate([np.empty(0), *(part.iou for part in parts)]),
        )


def candidates(inferences: Side, labels: Side) -> Iterator[tuple[Ints, Ints]]:
    """Every inference with every label of its image, a part at a time.

    Yields:
        Places of inferences, ascending, and of labels, ascending for each.
    """
    first = np.searchsorted(labels.image, inferences.image, "left")
    count = np.searchsorted(labels.image, inferences.image, "right") - first
    ends = np.cumsum(count)
    start = 0
    while start < len(inferences):
        done = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, done + _AT_ONCE, "right"))
        stop = max(stop, start + 1)
        part = slice(start, stop)
        inference = np.repeat(np.arange(start, stop), count[part])
        behind = ends[part] - count[part] - done - first[part]
        label = np.arange(len(inference)) - np.repeat(behind, count[part])
        yield inference, label
        start = stop


def box_pairs(
    inferences: Side,
    inference_boxes: Floats,
    labels: Side,
    label_boxes: Floats,
    least: float,
) -> Pairs:
    """The pairs of boxes whose IoU is `least` or more.

    Args:
        inferences: Which image each is on.
        inference_boxes: `float64[n, 4]`: left, top, width, height in pixels.
        labels: Likewise.
        label_boxes: Likewise.
        least: IoU, above 0.
    """
    mine, theirs = _Edges.of(inference_boxes), _Edges.of(label_boxes)
    parts: list[Pairs] = []
    for place, other in candidates(inferences, labels):
        wide = np.minimum(mine.right[place], theirs.right[other])
        wide -= np.maximum(mine.left[place], theirs.left[other])
        high = np.minimum(mine.bottom[place], theirs.bottom[other])
        high -= np.maximum(mine.top[place], theirs.top[other])
        near = np.flatnonzero((wide > 0) & (high > 0))
        inference, label = place[near], other[near]
        shared = wide[near] * high[near]
        own = mine.area[inference]
        both = own + theirs.area[label] - shared
        iou = shared / np.where(labels.crowd[label], own, both)
        enough = np.flatnonzero(iou >= least)
        parts.append(Pairs(inference[enough], label[enough], iou[enough]))
    return Pairs.joined(parts)


@dataclass(frozen=True, slots=True)
class _Edges:
    """Boxes by their edges."""

    left: Floats
    top: Floats
    right: Floats
    bottom: Floats
    area: Floats

    @classmethod
    def of(cls, boxes: Floats) -> "_Edges":
        """The edges of boxes given as left, top, width, height."""
        left, top, width, height = np.ascontiguousarray(boxes.T)
        return cls(left, top, left + width, top + height, width * height)
