"""Frames that are there twice, and frames that are on both sides of a split."""

import json
from typing import Any

import polars as pl
import pytest

import lakehouse
from tests.rows import frame


@pytest.fixture
def twins(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    """a and b are one image, c is near b, d is far away and e has no vector."""
    dataset.add(
        [
            frame("a", image_url="1.png", embedding=[0.0, 1.0], user__patient="p"),
            frame("b", image_url="1.png", embedding=[0.0, 2.0], user__patient="q"),
            frame("c", embedding=[0.3, 2.4], user__patient="q"),
            frame("d", embedding=[9.0, 9.0]),
            frame("e", image_url="9.png"),
        ]
    )
    return dataset


def part(dataset: lakehouse.Dataset, *names: str) -> lakehouse.Snapshot:
    return dataset.latest().filter(frames=pl.col("frame_id").is_in(list(names)))


def test_frames_of_one_image_are_duplicates(twins: lakehouse.Dataset) -> None:
    assert twins.latest().duplicates().rows() == [("a", "b", True, None)]


def test_frames_with_near_vectors_are_too(twins: lakehouse.Dataset) -> None:
    pairs = twins.latest().duplicates(1.0).rows()

    assert pairs == [("a", "b", True, 1.0), ("b", "c", False, pytest.approx(0.5))]
    cosine = twins.latest().duplicates(1e-6, metric="cosine")
    assert cosine.rows() == [("a", "b", True, 0.0)]


def test_only_what_a_filter_leaves_is_compared(twins: lakehouse.Dataset) -> None:
    assert part(twins, "b", "c", "d").duplicates(1.0).height == 1
    assert not part(twins, "a", "c", "d").duplicates(1.0).height


@pytest.mark.parametrize("threshold", [-1.0, float("nan"), "near", True])
def test_what_is_no_distance_is_refused(
    twins: lakehouse.Dataset, threshold: Any
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="is no distance"):
        twins.latest().duplicates(threshold)
    with pytest.raises(lakehouse.InvalidInputError, match="is no distance"):
        twins.latest().leakage(twins.latest(), threshold=threshold)


def test_frames_without_vectors_are_not_silently_clean(
    project: lakehouse.Project,
) -> None:
    bare = project.create_dataset("bare")
    bare.add([frame("a"), frame("b")])

    assert not bare.latest().duplicates().height
    with pytest.raises(lakehouse.NotFoundError, match="has a vector"):
        bare.latest().duplicates(0.1)


def test_too_many_duplicates_are_refused(
    twins: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.similarity.duplicates.MOST_PAIRS", 3)

    with pytest.raises(lakehouse.InvalidInputError, match="have one image_url"):
        twins.latest().duplicates()


# ---------------------------------- LEAKAGE ----------------------------------- #


def test_what_is_on_both_sides_is_reported_with_its_reasons(
    twins: lakehouse.Dataset,
) -> None:
    train, test = part(twins, "a", "c", "d"), part(twins, "b", "d", "e")

    report = train.leakage(test, threshold=0.6, by="user__patient")

    assert not report.is_clean
    assert report.counts == {"one": 3, "other": 3}
    assert report.pairs.rows() == [
        ("a", "b", False, True, None),
        ("c", "b", False, False, pytest.approx(0.5)),
        ("d", "d", True, True, 0.0),
    ]
    assert report.groups.rows() == [("q", 1, 1)]
    assert report.summary().rows() == [
        ("frame_id", 1, 1, 1),
        ("image_url", 2, 2, 2),
        ("embedding", 2, 2, 2),
        ("group", 1, 1, 1),
    ]
    assert "image_url 2" in repr(report)
    assert json.loads(json.dumps(report.to_dict()))["summary"][3]["pairs"] == 1


def test_sides_with_nothing_in_common_are_clean(twins: lakehouse.Dataset) -> None:
    report = part(twins, "a", "b", "c").leakage(
        part(twins, "d", "e"), threshold=1.0, by="user__patient"
    )

    assert report.is_clean
    assert report.summary()["pairs"].to_list() == [0] * 4
    assert repr(report).endswith("none>")


def test_versions_and_datasets_are_compared(
    project: lakehouse.Project, twins: lakehouse.Dataset
) -> None:
    twins.checkpoint("train")
    twins.add([frame("f", embedding=[50.0, 50.0])])
    other = project.create_dataset("other")
    other.add([frame("z", image_url="9.png", embedding=[0.0, 2.0])])

    assert twins.at("train").leakage(twins.latest()).summary()["pairs"][0] == 5
    report = twins.at("train").leakage(other.latest(), threshold=0.6)
    assert report.pairs.rows() == [
        ("b", "z", False, False, 0.0),
        ("c", "z", False, False, pytest.approx(0.5)),
        ("e", "z", False, True, None),
    ]


def test_vectors_of_two_models_are_not_compared(
    project: lakehouse.Project, twins: lakehouse.Dataset
) -> None:
    sides = []
    for model in ("clip", "dino"):
        made = project.create_dataset(model, frame_embedding_model=model)
        made.add([frame("a", embedding=[1.0, 2.0])])
        sides.append(made.latest())
    longer = project.create_dataset("longer")
    longer.add([frame("a", embedding=[1.0, 2.0, 3.0])])

    assert not sides[0].leakage(sides[1]).is_clean
    with pytest.raises(lakehouse.InvalidInputError, match=r"of model 'clip'.*'dino'"):
        sides[0].leakage(sides[1], threshold=1.0)
    with pytest.raises(lakehouse.InvalidInputError, match=r"dimension 2.*dimension 3"):
        twins.latest().leakage(longer.latest(), threshold=1.0)


def test_an_unknown_field_is_refused(twins: lakehouse.Dataset) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="There are user__patient"):
        twins.latest().leakage(twins.latest(), by="user__pat")
