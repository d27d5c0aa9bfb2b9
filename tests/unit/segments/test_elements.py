"""Elements stay as they were; what differs now is reported; only refresh moves them."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

import lakehouse
from tests.rows import box, frame

NOW = timedelta(0)


@pytest.fixture
def labelled(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add(
        [frame("f1", user__split="train"), frame("f2"), frame("f3")],
        [box("f1", "a"), box("f1", "b"), box("f2", "c", user__tight=False)],
    )
    return dataset


@pytest.fixture
def labels(project: lakehouse.Project) -> lakehouse.Segment:
    return project.create_segment(
        "loose boxes", type="label_quality", element_type="label"
    )


@pytest.fixture
def frames(project: lakehouse.Project) -> lakehouse.Segment:
    return project.create_segment("blurred", type="frame_issue", element_type="frame")


def key(frame_id: str, label_id: str) -> dict[str, str]:
    return {"frame_id": frame_id, "label_id": label_id}


def rows_as(elements: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    return elements.select(like.columns).sort(like.columns[:2])


def test_frames_labels_and_inferences_have_the_version_when_they_were_added(
    project: lakehouse.Project,
    labelled: lakehouse.Dataset,
    labels: lakehouse.Segment,
    frames: lakehouse.Segment,
) -> None:
    model = labelled.create_inference_set("model_a")
    model.add([box("f1", "x", confidence=0.9)])
    model.add([box("f2", "y", confidence=0.5)])
    inferences = project.create_segment("misses", element_type="inference")
    labelled.modify(labels=[key("f1", "a") | {"width": 5.0}])

    assert labels.add(labelled.at(1), labels=[key("f1", "a")]) == 1
    assert labels.add(labelled, labels=["b"]) == 1
    assert frames.add(labelled, frames=["f1", "f2"]) == 2
    assert inferences.add(model, inferences=[key("f2", "y")]) == 1

    assert dict(labels.tracking().select("label_id", "version").iter_rows()) == {
        "a": 1,
        "b": labelled.version,
    }
    assert frames.tracking()["version"].to_list() == [labelled.version] * 2
    (row,) = inferences.tracking().to_dicts()
    assert (row["inference_set"], row["version"]) == ("model_a", 2)
    assert (row["added_by"], row["status"]) == ("mira", "unstarted")


def test_elements_do_not_follow_the_dataset(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    before = labelled.latest().labels().collect()
    labels.add(labelled)

    labelled.upsert_labels([box("f1", "a", width=99.0)])
    labelled.delete(["f2"])
    labelled.modify(labels=[key("f1", "b") | {"user__later": 1}])

    assert rows_as(labels.elements(), before).equals(
        before.sort("frame_id", "label_id")
    )
    assert "user__later" not in labels.elements().columns


def test_a_second_reader_sees_the_same(
    lake: lakehouse.Lake, labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)
    labelled.delete(["f1"])

    other = lakehouse.connect(lake.root, author="noor").project("cells")

    assert other.segment("loose boxes").elements().equals(labels.elements())
    assert other.segment(labels.id).tracking().equals(labels.tracking())


def test_what_was_relabelled_is_out_of_date(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)
    assert not labels.out_of_date().height

    labelled.modify(labels=[key("f1", "a") | {"width": 9.0, "class_name": "debris"}])
    labelled.delete(labels=[key("f2", "c")])

    stale = labels.out_of_date()
    assert stale["label_id"].to_list() == ["a", "c"]
    assert stale["reason"].to_list() == ["changed", "deleted"]
    assert stale["fields"].to_list() == [["class_name", "class_id", "width"], []]
    assert stale["latest"].to_list() == [labelled.version] * 2


def test_a_frame_is_out_of_date_when_labels_on_it_are(
    labelled: lakehouse.Dataset, frames: lakehouse.Segment
) -> None:
    frames.add(labelled)

    labelled.upsert_labels([box("f1", "new"), box("f1", "a", width=9.0)])
    labelled.delete(labels=[key("f2", "c")])
    labelled.modify([{"frame_id": "f3", "user__split": "test"}])

    stale = frames.out_of_date()
    assert stale["reason"].to_list() == ["labels changed", "labels changed", "changed"]
    assert stale["labels"].to_list() == [["a", "new"], ["c"], []]
    assert stale["fields"].to_list() == [[], [], ["user__split"]]


def test_a_label_is_not_when_only_the_frame_changed(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)

    labelled.modify([{"frame_id": "f1", "user__split": "test"}])
    labelled.upsert_labels([box("f1", "another")])

    assert not labels.out_of_date().height


def test_what_was_changed_back_does_not_differ(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment, frames: lakehouse.Segment
) -> None:
    labels.add(labelled)
    frames.add(labelled)
    start = labelled.version
    labelled.modify(labels=[key("f1", "a") | {"width": 9.0}])
    labelled.delete(["f1", "f2"])
    assert labels.out_of_date().height == 3

    labelled.restore(start)

    assert not labels.out_of_date().height
    assert not frames.out_of_date().height


def test_what_is_out_of_date_is_viewed_and_refused_where_it_makes_no_sense(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)
    labels.require_current()
    labelled.modify(labels=[key("f1", "a") | {"width": 9.0}])

    assert labels.elements()["width"].to_list() == [3.0] * 3
    with pytest.raises(
        lakehouse.InvalidInputError, match=r"'a' \(changed\)"
    ) as refusal:
        labels.require_current()
    assert refusal.value.kind == "segment.out_of_date"
    labels.refresh()
    labels.require_current()


def test_what_is_there_now_lies_beside(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)
    labelled.modify(labels=[key("f1", "a") | {"width": 9.0}])
    labelled.delete(labels=[key("f1", "b")])

    was, now = labels.elements(), labels.current()

    ids = ["dataset", "inference_set", "frame_id", "label_id"]
    assert was.select(ids).equals(now.select(ids))
    assert now["is_deleted"].to_list() == [False, True, False]
    assert now["width"].to_list() == [9.0, None, 3.0]
    assert now["version"].to_list() == [labelled.version] * 3


def test_refreshing_moves_what_differs_and_notes_where_it_was(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)
    first = labelled.version
    labelled.modify(labels=[key("f1", "a") | {"width": 9.0}])
    labelled.delete(labels=[key("f2", "c")])
    second = labelled.version

    assert labels.refresh(["b"]) == 0
    assert labels.refresh() == 1

    kept = labels.tracking()
    assert kept["version"].to_list() == [second, first, first]
    assert kept["earlier"].to_list() == [[first], [], []]
    assert labels.elements()["width"].to_list() == [9.0, 3.0, 3.0]
    assert labels.out_of_date()["reason"].to_list() == ["deleted"]
    labelled.modify(labels=[key("f1", "a") | {"width": 10.0}])
    assert labels.refresh() == 1
    assert labels.tracking()["earlier"].to_list()[0] == [first, second]


def test_the_labels_of_frames_are_those_of_their_version(
    labelled: lakehouse.Dataset, frames: lakehouse.Segment
) -> None:
    frames.add(labelled.at(1), frames=["f1"])
    labelled.upsert_labels([box("f1", "late"), box("f2", "late")])
    labelled.delete(labels=[key("f1", "b")])
    frames.add(labelled, frames=["f2"])

    ids = frames.labels().select("frame_id", "label_id").rows()

    assert ids == [("f1", "a"), ("f1", "b"), ("f2", "c"), ("f2", "late")]


def test_a_label_deleted_and_added_again_is_compared_with_what_it_was(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled, labels=["a", "b"])
    labelled.delete(["f1"])
    labelled.add([frame("f1")], [box("f1", "a"), box("f1", "b", width=9.0)])

    assert labels.out_of_date().select("label_id", "reason").rows() == [
        ("b", "changed")
    ]
    assert labels.elements()["width"].to_list() == [3.0, 3.0]


def test_elements_of_an_archived_dataset_are_read_as_before(
    project: lakehouse.Project, labelled: lakehouse.Dataset, labels: lakehouse.Segment
) -> None:
    labels.add(labelled)
    labelled.modify(labels=[key("f1", "a") | {"width": 9.0}])
    labelled.archive()

    again = lakehouse.connect(store=labelled._collection.store).project("cells")
    segment = again.segment("loose boxes")

    assert segment.elements().height == 3
    assert segment.out_of_date()["label_id"].to_list() == ["a"]
    assert [one.name for one in project.segments(dataset="hela")] == ["loose boxes"]
    segment.add(labelled)


def test_a_segment_holds_elements_of_several_datasets(
    project: lakehouse.Project, labelled: lakehouse.Dataset, frames: lakehouse.Segment
) -> None:
    other = project.create_dataset("other")
    other.add([frame("f1", user__n=1), frame("z")])
    model = labelled.create_inference_set("model_a")
    model.add([box("f1", "x", confidence=0.9)])

    frames.add(labelled, frames=["f1"])
    frames.add(other)
    frames.add(model)

    ids = frames.elements().select("dataset", "inference_set", "frame_id").rows()
    assert ids == [
        ("hela", None, "f1"),
        ("hela", "model_a", "f1"),
        ("other", None, "f1"),
        ("other", None, "z"),
    ]
    assert frames.frame_ids(other) == ["f1", "z"]
    assert frames.frame_ids("hela") == ["f1"]
    assert frames.elements(dataset="other")["user__n"].to_list() == [1, None]
    assert frames.labels(inference_set="model_a")["confidence"].to_list() == [0.9]
    with pytest.raises(lakehouse.InvalidInputError, match="could be any of 3"):
        frames.remove(["f1"])
    assert frames.remove(frames.elements(dataset="other")) == 2


def test_a_field_of_two_types_is_read_one_dataset_at_a_time(
    project: lakehouse.Project, labelled: lakehouse.Dataset, frames: lakehouse.Segment
) -> None:
    other = project.create_dataset("other")
    other.add([frame("z", user__split=1)])
    frames.add(labelled, frames=["f1"])
    frames.add(other)

    with pytest.raises(
        lakehouse.InvalidInputError, match="user__split: Int64 and String"
    ):
        frames.elements()
    assert frames.elements(dataset="other")["user__split"].to_list() == [1]


@pytest.mark.parametrize("kind", ["label", "frame", "inference"])
def test_a_segment_without_elements_is_read_like_any(
    project: lakehouse.Project, kind: Any
) -> None:
    empty = project.create_segment("empty", element_type=kind)

    for rows in (empty.elements(), empty.current(), empty.out_of_date()):
        assert rows.columns[:3] == ["dataset", "inference_set", "frame_id"]
        assert not rows.height
    assert empty.tracking().height == empty.refresh() == empty.count == 0


def test_elements_outlive_compaction_and_garbage_collection(
    labelled: lakehouse.Dataset, labels: lakehouse.Segment, frames: lakehouse.Segment
) -> None:
    labels.add(labelled)
    frames.add(labelled)
    was, seen = labels.elements(), frames.labels()
    for width in (5.0, 6.0):
        labelled.upsert_labels(
            [box("f1", "a", width=width), box("f2", "c", width=width)]
        )
        labelled.compact()

    report = labelled.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert report.closed
    assert labelled._collection.is_closed(1)
    assert labels.elements().equals(was)
    assert frames.labels().equals(seen)
    assert labels.out_of_date()["fields"].to_list() == [
        ["width"],
        ["width", "user__tight"],
    ]
