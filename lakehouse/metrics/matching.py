"""Which inference matches which label.

There is one way of matching, *greedy*: walk the pairs in an order, and take
each pair whose inference and label are both still free. The order makes the
rule:

* within a class, COCO's: inferences by confidence, each with the label that it
  overlaps most (`by_confidence`), on pairs of one class;
* across classes, for the confusion matrix: by overlap, largest first
  (`by_overlap`), on all pairs.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lakehouse.metrics.arrays import Codes, Flags, Ints
from lakehouse.metrics.overlap import Pairs, Side

__all__ = [
    "AREAS",
    "FALSE",
    "IGNORED",
    "TRUE",
    "Area",
    "by_confidence",
    "by_overlap",
    "greedy",
    "within_class",
]

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
