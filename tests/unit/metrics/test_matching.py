"""Matching against its definition, walked pair by pair."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings, strategies as st

from lakehouse.metrics.classification import auroc
from lakehouse.metrics.matching import (
    AREAS,
    FALSE,
    IGNORED,
    TRUE,
    Pairs,
    Side,
    box_pairs,
    by_confidence,
    by_overlap,
    candidates,
    greedy,
    within_class,
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
def sides(draw: st.DrawFn) -> tuple[Pairs, Side, Side]:
    """Pairs of one image and class; labels of sizes that count and that do not."""
    found, many, few = draw(pairs())
    areas = st.sampled_from((100.0, 5000.0))

    def side(length: int, crowd: npt.NDArray[np.bool_]) -> Side:
        zeros = np.zeros(length, np.intp)
        area = draw(st.lists(areas, min_size=length, max_size=length))
        return Side(zeros, zeros, np.array(area, np.float64), crowd)

    return found, side(many, np.zeros(many, np.bool_)), side(few, flags(draw, few))


@MANY
@given(pairs(), st.data(), st.sampled_from((by_confidence, by_overlap)))
def test_greedy_is_a_walk_along_the_pairs(
    drawn: tuple[Pairs, int, int], data: st.DataObject, order: object
) -> None:
    found, inferences, labels = drawn
    assert callable(order)
    walked: Pairs = order(found)
    shared = data.draw(st.composite(flags)(labels))
    used, full, expected = set[int](), set[int](), list[int]()
    for place in range(len(walked)):
        inference, label = int(walked.inference[place]), int(walked.label[place])
        if inference not in used and (shared[label] or label not in full):
            used.add(inference)
            full.add(label)
            expected.append(place)

    assert greedy(walked, shared, inferences).tolist() == expected


@MANY
@given(sides(), st.sampled_from(OVERLAPS), st.sampled_from(AREAS))
def test_within_a_class_as_pycocotools_does(
    drawn: tuple[Pairs, Side, Side], iou: float, area: object
) -> None:
    found, inferences, labels = drawn
    assert area in AREAS
    small = next(known for known in AREAS if known == area)

    became, matched = within_class(by_confidence(found), inferences, labels, iou, small)

    expected, partners = as_pycocotools(found, inferences, labels, iou, small)
    assert became.tolist() == expected
    assert (
        dict(zip(matched.inference.tolist(), matched.label.tolist(), strict=True))
        == partners
    )


def as_pycocotools(
    found: Pairs, inferences: Side, labels: Side, iou: float, area: object
) -> tuple[list[int], dict[int, int]]:
    """`COCOeval.evaluateImg`, line by line, at one IoU."""
    in_range = area.holds(labels)  # type: ignore[attr-defined]
    ignore = [bool(labels.crowd[g] or not in_range[g]) for g in range(len(labels))]
    order = sorted(range(len(labels)), key=lambda g: ignore[g])
    overlap = {
        (int(d), int(g)): float(o)
        for d, g, o in zip(found.inference, found.label, found.iou, strict=True)
    }
    taken, became, partners = set[int](), list[int](), dict[int, int]()
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
            fits = area.holds(inferences)[d]  # type: ignore[attr-defined]
            became.append(FALSE if fits else IGNORED)
            continue
        taken.add(match)
        became.append(IGNORED if ignore[match] else TRUE)
        if not ignore[match]:
            partners[d] = match
    return became, partners


@given(
    st.lists(st.integers(0, 3), max_size=12).map(sorted),
    st.lists(st.integers(0, 3), max_size=12).map(sorted),
)
def test_candidates_are_every_pair_of_an_image(
    mine: list[int], theirs: list[int]
) -> None:
    inferences, labels = (
        Side(np.array(image, np.intp), *three_of(len(image)))
        for image in (mine, theirs)
    )

    parts = [zip(*part, strict=True) for part in candidates(inferences, labels)]

    found = [(int(d), int(g)) for part in parts for d, g in part]
    every = [(d, g) for d, a in enumerate(mine) for g, b in enumerate(theirs) if a == b]
    assert found == every


def three_of(
    many: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return np.zeros(many, np.intp), np.zeros(many), np.zeros(many, np.bool_)


def test_candidates_come_in_parts_that_miss_nothing() -> None:
    draw = np.random.default_rng(1)
    sizes = draw.integers(0, 90, 300)
    image = np.repeat(np.arange(300), sizes)
    side = Side(image, *three_of(len(image)))
    boxes = draw.uniform(1, 40, (len(image), 4))
    whole = box_pairs(side, boxes, side, boxes, 0.5)
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

    found = auroc(
        np.array([score for score, _ in drawn], np.float64),
        np.array([positive for _, positive in drawn], np.bool_),
    )

    assert found == (sum(wins) / len(wins) if wins else None)
