"""Matching against its definition, walked pair by pair."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings, strategies as st

from lakehouse.metrics.classification import auroc
from lakehouse.metrics.matching import (
    AREA_RANGES,
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    Instances,
    Pairs,
    greedy_match,
    match_within_class,
    pairs_of_boxes,
    pairs_on_images,
    sort_by_confidence,
    sort_by_iou,
)

OVERLAPS = (0.5, 0.6, 0.75, 0.9)
MANY = settings(max_examples=300)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Pairs, int, int]:
    """A few inferences and labels, and some of their pairs, with equal overlaps."""
    inferences, labels = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    every = [(i, j) for i in range(inferences) for j in range(labels)]
    chosen = draw(
        st.lists(st.sampled_from(every), unique=True) if every else st.just([])
    )
    iou = draw(
        st.lists(st.sampled_from(OVERLAPS), min_size=len(chosen), max_size=len(chosen))
    )
    left = np.array([i for i, _ in chosen], np.intp)
    right = np.array([j for _, j in chosen], np.intp)
    return Pairs(left, right, np.array(iou, np.float64)), inferences, labels


def flags(draw: st.DrawFn, many: int) -> npt.NDArray[np.bool_]:
    drawn = draw(st.lists(st.booleans(), min_size=many, max_size=many))
    return np.array(drawn, np.bool_)


@st.composite
def sides(draw: st.DrawFn) -> tuple[Pairs, Instances, Instances]:
    """Pairs of one image and class; labels of sizes that count and that do not."""
    drawn_pairs, inferences, labels = draw(pairs())
    areas = st.sampled_from((100.0, 5000.0))

    def side(length: int, crowd: npt.NDArray[np.bool_]) -> Instances:
        zeros = np.zeros(length, np.intp)
        area = draw(st.lists(areas, min_size=length, max_size=length))
        return Instances(zeros, zeros, np.array(area, np.float64), crowd)

    return (
        drawn_pairs,
        side(inferences, np.zeros(inferences, np.bool_)),
        side(labels, flags(draw, labels)),
    )


@MANY
@given(pairs(), st.data(), st.sampled_from((sort_by_confidence, sort_by_iou)))
def test_greedy_is_a_walk_along_the_pairs(
    drawn: tuple[Pairs, int, int], data: st.DataObject, order: object
) -> None:
    given_pairs, inferences, labels = drawn
    assert callable(order)
    walked: Pairs = order(given_pairs)
    shared = data.draw(st.composite(flags)(labels))
    used, full, expected = set[int](), set[int](), list[int]()
    for place in range(len(walked)):
        inference, label = int(walked.inference[place]), int(walked.label[place])
        if inference not in used and (shared[label] or label not in full):
            used.add(inference)
            full.add(label)
            expected.append(place)

    assert greedy_match(walked, shared, inferences).tolist() == expected


@MANY
@given(sides(), st.sampled_from(OVERLAPS), st.sampled_from(AREA_RANGES))
def test_within_a_class_as_pycocotools_does(
    drawn: tuple[Pairs, Instances, Instances], iou: float, area: object
) -> None:
    overlapping, inferences, labels = drawn
    assert area in AREA_RANGES
    small = next(known for known in AREA_RANGES if known == area)

    outcomes, matched = match_within_class(
        sort_by_confidence(overlapping), inferences, labels, iou, small
    )

    expected, partners = as_pycocotools(overlapping, inferences, labels, iou, small)
    assert outcomes.tolist() == expected
    assert (
        dict(zip(matched.inference.tolist(), matched.label.tolist(), strict=True))
        == partners
    )


def as_pycocotools(
    overlapping: Pairs,
    inferences: Instances,
    labels: Instances,
    iou: float,
    area: object,
) -> tuple[list[int], dict[int, int]]:
    """`COCOeval.evaluateImg`, line by line, at one IoU."""
    in_range = area.contains(labels)  # type: ignore[attr-defined]
    ignore = [bool(labels.crowd[g] or not in_range[g]) for g in range(len(labels))]
    order = sorted(range(len(labels)), key=lambda g: ignore[g])
    overlap = {
        (int(d), int(g)): float(o)
        for d, g, o in zip(
            overlapping.inference, overlapping.label, overlapping.iou, strict=True
        )
    }
    taken, outcomes, partners = set[int](), list[int](), dict[int, int]()
    for d in range(len(inferences)):
        best, match = iou, -1
        for g in order:
            if g in taken and not labels.crowd[g]:
                continue
            if match > -1 and not ignore[match] and ignore[g]:
                break
            if overlap.get((d, g), 0.0) < best:
                continue
            best, match = overlap[d, g], g
        if match == -1:
            fits = area.contains(inferences)[d]  # type: ignore[attr-defined]
            outcomes.append(FALSE_POSITIVE if fits else IGNORED)
            continue
        taken.add(match)
        outcomes.append(IGNORED if ignore[match] else TRUE_POSITIVE)
        if not ignore[match]:
            partners[d] = match
    return outcomes, partners


@given(
    st.lists(st.integers(0, 3), max_size=12).map(sorted),
    st.lists(st.integers(0, 3), max_size=12).map(sorted),
)
def test_pairs_on_images_are_every_pair_of_an_image(
    predictions: list[int], truth: list[int]
) -> None:
    inferences, labels = (
        Instances(np.array(image, np.intp), *three_of(len(image)))
        for image in (predictions, truth)
    )

    parts = [zip(*part, strict=True) for part in pairs_on_images(inferences, labels)]

    pairs = [(int(d), int(g)) for part in parts for d, g in part]
    assert pairs == [
        (d, g)
        for d, image in enumerate(predictions)
        for g, other in enumerate(truth)
        if image == other
    ]


def three_of(
    many: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return np.zeros(many, np.intp), np.zeros(many), np.zeros(many, np.bool_)


def test_pairs_of_boxes_come_in_parts_that_miss_nothing() -> None:
    draw = np.random.default_rng(1)
    sizes = draw.integers(0, 90, 300)
    image = np.repeat(np.arange(300), sizes)
    side = Instances(image, *three_of(len(image)))
    boxes = draw.uniform(1, 40, (len(image), 4))
    whole = pairs_of_boxes(side, boxes, side, boxes, 0.5)
    assert (whole.inference == whole.label).sum() == len(image)
    for d, g, iou in zip(whole.inference, whole.label, whole.iou, strict=True):
        assert image[d] == image[g]
        assert iou >= 0.5


@MANY
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12))
def test_auroc_is_the_chance_to_score_higher(drawn: list[tuple[int, bool]]) -> None:
    ups = [score for score, positive in drawn if positive]
    downs = [score for score, positive in drawn if not positive]
    wins = [(up > down) + (up == down) / 2 for up in ups for down in downs]

    area = auroc(
        np.array([score for score, _ in drawn], np.float64),
        np.array([positive for _, positive in drawn], np.bool_),
    )

    assert area == (sum(wins) / len(wins) if wins else None)
