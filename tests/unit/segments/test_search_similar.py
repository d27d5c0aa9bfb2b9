"""A segment is searched, and its elements are searched for, while they are as they were."""

from typing import Any

import polars as pl
import pytest

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def placed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    frames = [frame(f"f{at}", embedding=[float(at), 0.0]) for at in (0, 1, 3, 7)]
    labels = [
        box("f0", name, embedding=[float(at), 5.0]) for at, name in enumerate("abcd")
    ]
    dataset.add(frames, labels)
    return dataset


@pytest.fixture
def frames(project: lakehouse.Project, placed: lakehouse.Dataset) -> lakehouse.Segment:
    made = project.create_segment("blurred", type="frame_issue", element_type="frame")
    made.add(placed, frames=["f0", "f1", "f7"])
    return made


@pytest.fixture
def labels(project: lakehouse.Project, placed: lakehouse.Dataset) -> lakehouse.Segment:
    made = project.create_segment("loose", type="label_quality", element_type="label")
    made.add(placed, labels=["a", "c"])
    return made


def key(label_id: str, **fields: Any) -> dict[str, Any]:
    return {"frame_id": "f0", "label_id": label_id} | fields


def test_only_the_elements_are_searched(
    placed: lakehouse.Dataset, frames: lakehouse.Segment, labels: lakehouse.Segment
) -> None:
    latest = placed.latest()

    near = latest.similar(frame_id="f3", within=frames)
    assert near.rows() == [("f1", 2.0), ("f0", 3.0), ("f7", 4.0)]
    assert latest.similar(label_id="b", within=labels)["label_id"].to_list() == [
        "a",
        "c",
    ]
    part = latest.filter(frames=pl.col("frame_id") != "f1")
    assert part.similar(frame_id="f3", within=frames)["frame_id"].to_list() == [
        "f0",
        "f7",
    ]


def test_an_element_is_searched_for_in_all_of_the_dataset(
    frames: lakehouse.Segment, labels: lakehouse.Segment
) -> None:
    assert frames.similar(frame_id="f1", k=2).rows() == [("f0", 1.0), ("f3", 2.0)]
    assert labels.similar(label_id="a", k=1).rows() == [("f0", "b", 1.0)]
    with pytest.raises(lakehouse.InvalidInputError, match="'f3' is not in segment"):
        frames.similar(frame_id="f3")
    with pytest.raises(lakehouse.InvalidInputError, match="Name an element: frame_id="):
        frames.similar(label_id="a")


def test_what_is_out_of_date_is_not_searched_for_and_both_ways_out_work(
    placed: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    added = placed.version
    placed.modify(labels=[key("a", width=9.0, embedding=[50.0, 5.0])])

    assert labels.similar(label_id="c", k=1).height == 1
    with pytest.raises(lakehouse.InvalidInputError) as refusal:
        labels.similar(label_id="a")
    message = str(refusal.value)
    assert refusal.value.kind == "segment.out_of_date"
    assert f"'a' of version {added} (changed)" in message
    assert "segment.refresh()" in message
    assert f"dataset.at({added}).similar(" in message
    # Viewing still works, and so does each way out.
    assert labels.elements()["width"].to_list() == [3.0, 3.0]
    assert placed.at(added).similar(frame_id="f0", label_id="a", k=1).rows() == [
        ("f0", "b", 1.0)
    ]
    assert labels.refresh() == 1
    assert labels.similar(label_id="a", k=1).rows() == [("f0", "d", 47.0)]


def test_a_segment_is_searched_in_versions_that_have_its_elements_as_they_were(
    placed: lakehouse.Dataset, labels: lakehouse.Segment, frames: lakehouse.Segment
) -> None:
    added = placed.version
    placed.modify(labels=[key("a", width=9.0)])
    placed.delete(labels=[key("c")])

    was = placed.at(added)
    assert was.similar(label_id="b", within=labels)["label_id"].to_list() == ["a", "c"]
    assert was.similar(frame_id="f3", within=frames).height == 3
    with pytest.raises(
        lakehouse.InvalidInputError, match=r"'a' .*\(changed\), 'c' .*\(deleted\)"
    ):
        placed.latest().similar(label_id="b", within=labels)
    with pytest.raises(lakehouse.InvalidInputError, match=r"'f0' .*\(labels changed\)"):
        placed.latest().similar(frame_id="f3", within=frames)
    # An element that was added later than the version searched counts likewise.
    labels.remove(["c"])
    labels.refresh()
    with pytest.raises(
        lakehouse.InvalidInputError, match=r"'a' of version 3 \(changed\)"
    ):
        was.similar(label_id="b", within=labels)
    assert placed.at(3).similar(label_id="b", within=labels).height == 1
    assert placed.at(2).similar(label_id="b", within=labels).height == 1


def test_a_segment_of_another_kind_or_place_is_refused(
    project: lakehouse.Project, placed: lakehouse.Dataset, frames: lakehouse.Segment
) -> None:
    other = project.create_dataset("other")
    other.add([frame("f0", embedding=[0.0, 0.0])])

    with pytest.raises(
        lakehouse.InvalidInputError, match="holds frames, and labels are"
    ):
        placed.latest().similar(label_id="a", within=frames)
    with pytest.raises(lakehouse.InvalidInputError, match="no elements of other"):
        other.latest().similar(frame_id="f0", within=frames)
    frames.add(other)
    with pytest.raises(lakehouse.InvalidInputError, match="could be any of 2"):
        frames.similar(frame_id="f0")
    assert not frames.similar(frame_id="f0", dataset="other").height
