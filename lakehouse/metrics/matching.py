"""Which inference matches which label.

There is one way of matching, *greedy*: walk the pairs in an order, and take
each pair whose inference and label are both still free. The order makes the
rule:

* within a class, COCO's: inferences by confidence, each with the label that it
  overlaps most (`by_confidence`), on pairs of one class;
* across classes, for the confusion matrix: by overlap, largest first
  (`by_overlap`), on all pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lakehouse.metrics.arrays import Codes, Flags, Floats, Ints

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


FALSE: Final = 0
"""The inference matches no label: a false positive."""
TRUE: Final = 1
"""The inference matches a label that counts: a true positive."""
IGNORED: Final = 2
"""The inference lies on what is ignored, or is ignored for its size."""


@dataclass(frozen=True, slots=True)
class Area:
    """A range of areas in px², both ends included (COCO)."""

    name: str
    least: float = 0.0
    most: float = 1e10

    def holds(self, side: Side) -> Flags:
        """Which are of this size."""
        return (side.area >= self.least) & (side.area <= self.most)


AREAS: Final = (
    Area("all"),
    Area("small", 0.0, 32.0**2),
    Area("medium", 32.0**2, 96.0**2),
    Area("large", 96.0**2),
)
"""COCO's ranges of sizes."""


def by_confidence(pairs: Pairs) -> Pairs:
    """In COCO's order: by inference; of its labels the best, ties to the later one."""
    return pairs.where(np.lexsort((-pairs.label, -pairs.iou, pairs.inference)))


def by_overlap(pairs: Pairs) -> Pairs:
    """Largest overlap first; ties to the surer inference, then the earlier label."""
    return pairs.where(np.lexsort((pairs.label, pairs.inference, -pairs.iou)))


def greedy(pairs: Pairs, shared: Flags, inferences: int) -> Ints:
    """Walk the pairs in their order; take those whose ends are both free.

    All pairs that come first at both their ends are taken at once, what they
    close off is dropped, and so on: the outcome is that of the walk.

    Args:
        pairs: In the order of the walk.
        shared: `bool[labels]`: labels that are free for ever.
        inferences: How many there are.

    Returns:
        The places of the pairs taken, ascending.

    >>> pairs = Pairs(
    ...     np.array([0, 0, 1]), np.array([1, 0, 1]), np.array([0.9, 0.6, 0.8])
    ... )
    >>> greedy(pairs, np.array([False, False]), 2)
    array([0])
    """
    inference, label = pairs.inference, pairs.label
    place = np.arange(len(pairs))
    first_of = np.zeros(inferences, np.intp)
    first_for = np.zeros(len(shared), np.intp)
    used = np.zeros(inferences, np.bool_)
    full = np.zeros(len(shared), np.bool_)
    taken: list[Ints] = [np.empty(0, np.intp)]
    while place.size:
        # Of an index that is there twice, the last value stays: the earliest pair's.
        first_of[inference[::-1]] = place[::-1]
        first_for[label[::-1]] = place[::-1]
        open_to_all = shared[label]
        won = (first_of[inference] == place) & (
            open_to_all | (first_for[label] == place)
        )
        taken.append(place[won])
        used[inference[won]] = True
        full[label[won & ~open_to_all]] = True
        left = ~(used[inference] | full[label])
        inference, label, place = inference[left], label[left], place[left]
    return np.sort(np.concatenate(taken))


def within_class(
    pairs: Pairs, inferences: Side, labels: Side, iou: float, area: Area
) -> tuple[Codes, Pairs]:
    """COCO's matching at one IoU, for labels of one range of sizes.

    Labels of other sizes, and crowds, are ignored: an inference goes to one only
    if no other label is free for it, and counts neither way then. A crowd takes
    any number. An inference of another size that matches nothing is ignored too.

    Args:
        pairs: Of one class each, in the order of `by_confidence`.
        inferences: The inferences.
        labels: The labels.
        iou: The least overlap.
        area: Which sizes count.

    Returns:
        What became of each inference (`uint8[inferences]`: FALSE, TRUE, IGNORED),
        and the pairs that are true positives.
    """
    ignored = labels.crowd | ~area.holds(labels)
    enough = pairs.where(np.flatnonzero(pairs.iou >= iou))
    aside = ignored[enough.label]
    counted, spare = enough.where(~aside), enough.where(aside)
    matched = counted.where(greedy(counted, labels.crowd, len(inferences)))
    became = np.where(area.holds(inferences), FALSE, IGNORED).astype(np.uint8)
    became[matched.inference] = TRUE
    spare = spare.where(became[spare.inference] != TRUE)
    onto = greedy(spare, labels.crowd, len(inferences))
    became[spare.inference[onto]] = IGNORED
    return became, matched
