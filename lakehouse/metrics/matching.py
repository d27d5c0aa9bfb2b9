"""Which inference matches which label.

There is one way of matching, *greedy*: walk the pairs in an order, and take
each pair whose inference and label are both still free. The order makes the
rule:

* within a class, COCO's: inferences by confidence, each with the label that it
  overlaps most (`sort_by_confidence`), on pairs of one class;
* across classes, for the confusion matrix: by overlap, largest first
  (`sort_by_iou`), on all pairs.

Labels and inferences are arrays here, one entry each, for all images at once; a
label or an inference is known by its index in them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lakehouse.metrics.arrays import Flags, Floats, Ints, OutcomeCodes

FALSE_POSITIVE: Final = 0
"""The inference matches no label."""
TRUE_POSITIVE: Final = 1
"""The inference matches a label that counts."""
IGNORED: Final = 2
"""The inference lies on what is ignored, or is ignored for its size."""

PAIRS_AT_ONCE: Final = 1 << 19
"""Pairs of one image are made half a million at a time: the dozen arrays of such a
part take about 50 MB, however many labels and inferences there are."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Labels or inferences as arrays, one entry each.

    They are sorted by image; within an image inferences are sorted by falling
    confidence. The matchings below lean on both.
    """

    image: Ints
    """The index of the image that each is on, ascending."""
    class_index: Ints
    """The index of each one's class among the classes that are evaluated."""
    area: Floats
    """In px²: what COCO's ranges of sizes go by."""
    crowd: Flags
    """Labels that are ignored: crowds, and those marked so. All False for inferences."""

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, slots=True)
class Pairs:
    """An inference and a label each, by index, and their IoU (0 to 1)."""

    inference: Ints
    label: Ints
    iou: Floats

    def __len__(self) -> int:
        return len(self.iou)

    def take(self, chosen: Flags | Ints) -> "Pairs":
        """The chosen pairs, in the order of the indices, or the order they have."""
        return Pairs(self.inference[chosen], self.label[chosen], self.iou[chosen])

    @classmethod
    def concat(cls, parts: list["Pairs"]) -> "Pairs":
        """The pairs of all parts, one part behind the other."""
        none = np.empty(0, np.intp)
        return cls(
            np.concatenate([none, *(part.inference for part in parts)]),
            np.concatenate([none, *(part.label for part in parts)]),
            np.concatenate([np.empty(0), *(part.iou for part in parts)]),
        )


@dataclass(frozen=True, slots=True)
class AreaRange:
    """A range of areas in px², both ends included, as COCO has them."""

    name: str
    min_area: float = 0.0
    # 1e5 squared is the end that COCO gives to "all" and "large".
    max_area: float = 1e10

    def contains(self, instances: Instances) -> Flags:
        """Which instances are of such a size."""
        area = instances.area
        return (area >= self.min_area) & (area <= self.max_area)


AREA_RANGES: Final = (
    AreaRange("all"),
    AreaRange("small", 0.0, 32.0**2),
    AreaRange("medium", 32.0**2, 96.0**2),
    AreaRange("large", 96.0**2),
)
"""COCO's ranges of sizes."""


# ---------------------------- PAIRS THAT OVERLAP ---------------------------- #


def pairs_on_images(
    inferences: Instances, labels: Instances
) -> Iterator[tuple[Ints, Ints]]:
    """Every inference with every label of its image, a part at a time.

    Yields:
        Indices of inferences, ascending, and of labels, ascending for each. A part
        ends between two inferences, so it may have more than `PAIRS_AT_ONCE`.
    """
    # Labels are sorted by image, so those of one image are a range of indices.
    first_label = np.searchsorted(labels.image, inferences.image, "left")
    count = np.searchsorted(labels.image, inferences.image, "right") - first_label
    # ends[n] is how many pairs inferences 0 to n have.
    ends = np.cumsum(count)
    start = 0
    while start < len(inferences):
        # `done` pairs belong to the parts before this one.
        done = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, done + PAIRS_AT_ONCE, "right"))
        stop = max(stop, start + 1)
        part = slice(start, stop)
        inference = np.repeat(np.arange(start, stop), count[part])
        # The pairs of one inference lie side by side. Pair p of the part, less the
        # part's pairs of earlier inferences, counts through the labels of the image;
        # the image's first label is added to that. `shift` is both steps in one,
        # one value for each inference.
        shift = ends[part] - count[part] - done - first_label[part]
        label = np.arange(len(inference)) - np.repeat(shift, count[part])
        yield inference, label
        start = stop


def pairs_of_boxes(
    inferences: Instances,
    inference_boxes: Floats,
    labels: Instances,
    label_boxes: Floats,
    min_iou: float = 0.0,
) -> Pairs:
    """The pairs of boxes that share an area and whose IoU is `min_iou` or more.

    Args:
        inferences: Which image each is on.
        inference_boxes: `float64[inferences, 4]`: left, top, width, height in pixels.
        labels: Which image each is on, and which are crowds.
        label_boxes: `float64[labels, 4]`, likewise.
        min_iou: The least IoU.
    """
    predictions, truth = _Edges.of(inference_boxes), _Edges.of(label_boxes)
    parts: list[Pairs] = []
    for every_inference, every_label in pairs_on_images(inferences, labels):
        width = np.minimum(
            predictions.right[every_inference], truth.right[every_label]
        ) - np.maximum(predictions.left[every_inference], truth.left[every_label])
        height = np.minimum(
            predictions.bottom[every_inference], truth.bottom[every_label]
        ) - np.maximum(predictions.top[every_inference], truth.top[every_label])
        # Most pairs of an image share nothing: what follows is for the few that do.
        near = np.flatnonzero((width > 0) & (height > 0))
        inference, label = every_inference[near], every_label[near]
        intersection = width[near] * height[near]
        own_area = predictions.area[inference]
        # The order of these sums is COCO's: another one may differ in the last bit.
        union = own_area + truth.area[label] - intersection
        # Of a crowd only what the inference covers counts, as COCO has it.
        iou = intersection / np.where(labels.crowd[label], own_area, union)
        enough = np.flatnonzero(iou >= min_iou)
        parts.append(Pairs(inference[enough], label[enough], iou[enough]))
    return Pairs.concat(parts)


@dataclass(frozen=True, slots=True)
class _Edges:
    """Boxes by their edges in pixels, and their areas in px²: `float64[boxes]` each."""

    left: Floats
    top: Floats
    right: Floats
    bottom: Floats
    area: Floats

    @classmethod
    def of(cls, boxes: Floats) -> "_Edges":
        # Each column is read many times, at scattered indices: contiguous is faster.
        left, top, width, height = np.ascontiguousarray(boxes.T)
        return cls(left, top, left + width, top + height, width * height)


# --------------------------------- MATCHING --------------------------------- #


def sort_by_confidence(pairs: Pairs) -> Pairs:
    """COCO's order: inferences by falling confidence, each with its best label first.

    Of two labels with an equal IoU the later one is first.
    """
    # Inferences of an image are sorted by confidence, so their index is the order; and
    # inferences of different images never compete for a label.
    # pycocotools replaces its best label by the next one of an equal IoU, hence -label.
    return pairs.take(np.lexsort((-pairs.label, -pairs.iou, pairs.inference)))


def sort_by_iou(pairs: Pairs) -> Pairs:
    """Largest IoU first; ties to the inference, then the label, of the lower index."""
    return pairs.take(np.lexsort((pairs.label, pairs.inference, -pairs.iou)))


def greedy_match(pairs: Pairs, reusable: Flags, inference_count: int) -> Ints:
    """Walk the pairs in their order; take those whose ends are both free.

    Args:
        pairs: In the order of the walk.
        reusable: `bool[labels]`: labels that any number of inferences may match.
        inference_count: How many inferences there are, in pairs or not.

    Returns:
        The indices of the pairs taken, ascending.

    >>> pairs = Pairs(
    ...     np.array([0, 0, 1]), np.array([1, 0, 1]), np.array([0.9, 0.6, 0.8])
    ... )
    >>> greedy_match(pairs, np.array([False, False]), 2)
    array([0])
    """
    # A pair that comes first at both its ends is taken by the walk whatever happens
    # elsewhere. So all of them are taken at once, the pairs they close off are
    # dropped, and so on: a few rounds over arrays instead of a loop over pairs, for
    # all images together. At least the first pair is taken in every round.
    inference, label = pairs.inference, pairs.label
    index = np.arange(len(pairs))
    first_of_inference = np.zeros(inference_count, np.intp)
    first_of_label = np.zeros(len(reusable), np.intp)
    inference_taken = np.zeros(inference_count, np.bool_)
    label_taken = np.zeros(len(reusable), np.bool_)
    taken: list[Ints] = [np.empty(0, np.intp)]
    while index.size:
        # Where an index is assigned twice, NumPy keeps the last value; the pairs are
        # reversed, so that is the earliest pair's.
        first_of_inference[inference[::-1]] = index[::-1]
        first_of_label[label[::-1]] = index[::-1]
        is_reusable = reusable[label]
        is_first = (first_of_inference[inference] == index) & (
            is_reusable | (first_of_label[label] == index)
        )
        taken.append(index[is_first])
        inference_taken[inference[is_first]] = True
        label_taken[label[is_first & ~is_reusable]] = True
        free = ~(inference_taken[inference] | label_taken[label])
        inference, label, index = inference[free], label[free], index[free]
    return np.sort(np.concatenate(taken))


def match_within_class(
    pairs: Pairs,
    inferences: Instances,
    labels: Instances,
    iou: float,
    area_range: AreaRange,
) -> tuple[OutcomeCodes, Pairs]:
    """COCO's matching at one IoU, for labels of one range of sizes.

    Labels of other sizes, and crowds, are ignored: an inference matches one only
    if no other label is free for it, and counts neither way then. A crowd takes
    any number. An inference of another size that matches nothing is ignored too.

    Args:
        pairs: Of one class each, as `sort_by_confidence` sorts them.
        inferences: The inferences.
        labels: The labels.
        iou: The least overlap.
        area_range: Which sizes count.

    Returns:
        The outcome of each inference (`uint8[inferences]`: FALSE_POSITIVE,
        TRUE_POSITIVE or IGNORED), and the pairs that are true positives.
    """
    ignored = labels.crowd | ~area_range.contains(labels)
    enough = pairs.take(np.flatnonzero(pairs.iou >= iou))
    is_ignored = ignored[enough.label]
    # Labels that count come first for every inference, so they are matched before,
    # and what that leaves is matched with ignored ones: two walks give what
    # pycocotools gets by sorting the labels of an image by `ignore`.
    counting_pairs, ignored_pairs = enough.take(~is_ignored), enough.take(is_ignored)
    true_positives = counting_pairs.take(
        greedy_match(counting_pairs, labels.crowd, len(inferences))
    )
    outcomes = np.where(area_range.contains(inferences), FALSE_POSITIVE, IGNORED)
    outcomes = outcomes.astype(np.uint8)
    outcomes[true_positives.inference] = TRUE_POSITIVE
    ignored_pairs = ignored_pairs.take(
        outcomes[ignored_pairs.inference] != TRUE_POSITIVE
    )
    on_ignored = greedy_match(ignored_pairs, labels.crowd, len(inferences))
    outcomes[ignored_pairs.inference[on_ignored]] = IGNORED
    return outcomes, true_positives
