"""Bisection: the version that turned good into bad, in few looks."""

import math

import pytest

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def long(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    """Twenty versions; the labels of f0 are emptied by one of them."""
    dataset.add([frame("f0")], [box("f0", "a")])
    for number in range(1, 20):
        dataset.add([frame(f"f{number}")], message=f"frame {number}")
        if number % 5 == 0:
            dataset.compact()
        if number == 13:
            dataset.delete(labels=[{"frame_id": "f0", "label_id": "a"}], message="oops")
    return dataset


def labelled(snapshot: lakehouse.Snapshot) -> bool:
    return snapshot.counts["labels"] > 0


def test_bisection_returns_the_bad_version_after_few_evaluations(
    long: lakehouse.Dataset,
) -> None:
    looked: list[int] = []

    def is_good(snapshot: lakehouse.Snapshot) -> bool:
        looked.append(snapshot.version)
        return labelled(snapshot)

    result = long.bisect(is_good, good=1)

    versions = long.versions()["version"].to_list()
    assert labelled(long.at(result.good))
    assert not labelled(long.at(result.bad))
    assert versions.index(result.bad) == versions.index(result.good) + 1
    assert len(looked) <= math.log2(len(versions)) + 1 + 2
    assert result.evaluations["version"].to_list() == looked
    assert result.message == "oops"
    (upload_id,) = result.uploads
    assert long.upload(upload_id).counts["modified"] == 1
    assert result.diff().labels()["label_id"].to_list() == ["a"]


@pytest.mark.parametrize("culprit", range(1, 9))
def test_every_version_can_be_the_culprit(
    dataset: lakehouse.Dataset, culprit: int
) -> None:
    for number in range(8):
        dataset.add([frame(f"f{number}")])

    result = dataset.bisect(lambda seen: seen.version < culprit, good=0)

    assert (result.good, result.bad) == (culprit - 1, culprit)
    assert result.evaluations.height <= 3 + 1 + 2


def test_inference_sets_are_bisected_too(long: lakehouse.Dataset) -> None:
    model = long.create_inference_set("model")
    for confidence in (0.9, 0.8, 0.2, 0.1):
        row = box("f0", "a", confidence=confidence)
        model.add([row])

    result = model.bisect(
        lambda seen: seen.inferences().collect()["confidence"][0] > 0.5, good=1
    )

    assert (result.good, result.bad) == (2, 3)


def test_ends_in_the_wrong_order_are_refused(long: lakehouse.Dataset) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="not older"):
        long.bisect(labelled, good="latest", bad=1)
    with pytest.raises(lakehouse.NotFoundError):
        long.bisect(labelled, good=0, bad=1000)


@pytest.mark.parametrize(
    ("always", "named"), [(True, ["bad"]), (False, ["good"])]
)  # fmt: skip
def test_ends_that_are_not_what_they_are_said_to_be_have_no_culprit(
    long: lakehouse.Dataset, named: list[str], *, always: bool
) -> None:
    with pytest.raises(lakehouse.InvalidInputError) as caught:
        long.bisect(lambda _: always, good=1)

    assert [problem.path for problem in caught.value.problems] == named


def test_both_wrong_ends_are_told_at_once(long: lakehouse.Dataset) -> None:
    with pytest.raises(lakehouse.InvalidInputError) as caught:
        long.bisect(lambda one: one.version != 1, good=1)

    assert [problem.path for problem in caught.value.problems] == ["good", "bad"]
