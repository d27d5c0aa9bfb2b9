"""Segments themselves: created, opened, moved through states, archived, commented."""

import csv
import json
import pickle
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.segments.rules import STATES, TYPES
from tests.rows import box, frame


@pytest.fixture
def labelled(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    labels = [box("f1", "a"), box("f1", "b"), box("f2", "a"), box("f2", "c")]
    dataset.add([frame("f1"), frame("f2")], labels)
    return dataset


@pytest.fixture
def segment(project: lakehouse.Project) -> lakehouse.Segment:
    return project.create_segment("loose boxes", element_type="label")


# -------------------------------- DESCRIPTION --------------------------------- #


def test_states_are_tracked_and_filtered_by(
    project: lakehouse.Project, segment: lakehouse.Segment
) -> None:
    other = project.create_segment("other", element_type="frame")
    assert segment.state == "triage"

    for state in ("in_progress", "resolved"):
        segment.set_state(state)

    assert [one.name for one in project.segments(state="resolved")] == ["loose boxes"]
    assert [one.name for one in project.segments(state="triage")] == ["other"]
    for state in STATES:
        other.set_state(state)
    assert other.state == STATES[-1]


def test_what_is_archived_is_hidden_and_still_loaded(
    project: lakehouse.Project, labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    segment.add(labelled)
    segment.set_state("resolved")
    segment.archive()

    assert project.segments() == []
    assert [one.name for one in project.segments(archived=True)] == ["loose boxes"]
    opened = project.segment("loose boxes")
    assert (opened.is_archived, opened.state, opened.elements().height) == (
        True,
        "resolved",
        4,
    )
    for refused in (
        lambda: opened.add(labelled),
        lambda: opened.remove(["b"]),
        lambda: opened.set_state("triage"),
        lambda: opened.comment("late"),
        opened.refresh,
    ):
        with pytest.raises(lakehouse.ArchivedError, match="archived=False"):
            refused()
    opened.archive(archived=False)
    assert opened.remove(["b"]) == 1


def test_segments_of_an_archived_project_are_read_only(
    project: lakehouse.Project, labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    segment.add(labelled)
    project.archive()

    assert segment.elements().height == 4
    with pytest.raises(lakehouse.ArchivedError):
        segment.remove(["b"])
    with pytest.raises(lakehouse.ArchivedError):
        project.create_segment("new", element_type="frame")


def test_names_are_unique_and_change(
    project: lakehouse.Project, labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    segment.add(labelled, labels=["b"])
    other = project.create_segment("other", type="bucket", element_type="label")

    segment.rename("tight boxes")

    assert project.segment("tight boxes").elements().height == 1
    with pytest.raises(lakehouse.NotFoundError, match="Did you mean 'tight boxes'"):
        project.segment("tigt boxes")
    with pytest.raises(lakehouse.AlreadyExistsError):
        other.rename("tight boxes")
    with pytest.raises(lakehouse.AlreadyExistsError):
        project.create_segment("other", element_type="frame", exist_ok=True)
    again = project.create_segment("other", element_type="label", exist_ok=True)
    assert again.id == other.id
    other.archive()
    with pytest.raises(lakehouse.AlreadyExistsError, match="is archived"):
        project.create_segment("other", element_type="label")


def test_all_problems_are_reported_at_once(project: lakehouse.Project) -> None:
    arguments: dict[str, Any] = {
        "type": "label_qualty",
        "element_type": "labels",
        "thresholds": {"AP": "high"},
    }

    with pytest.raises(lakehouse.InvalidInputError) as refusal:
        project.create_segment(" ", **arguments)

    paths = [problem.path for problem in refusal.value.problems]
    assert paths == ["name", "type", "element_type", "thresholds['AP']"]
    assert "Did you mean 'label_quality'?" in str(refusal.value)
    assert project.segments() == []
    with pytest.raises(lakehouse.InvalidInputError, match="'resolved'"):
        project.segments(state="resolve")  # type: ignore[arg-type]
    with pytest.raises(lakehouse.NotFoundError, match="no dataset 'nowhere'"):
        project.segments(dataset="nowhere")


def test_what_is_kept_of_a_segment_comes_back(
    lake: lakehouse.Lake, project: lakehouse.Project
) -> None:
    made = project.create_segment(
        "night",
        type="scenario",
        element_type="frame",
        metadata={"ticket": 7},
        assignee="noor",
        thresholds={"AP": 0.5},
    )
    made.set_metadata({"ticket": 8})
    made.set_thresholds({"AP": 0.6, "recall": 0.9})
    made.set_assignee(None)
    made.comment("first")
    made.comment("second")

    opened = lakehouse.connect(lake.root).project("cells").segment("night")

    assert (opened.type, opened.element_type) == ("scenario", "frame")
    assert (opened.metadata, opened.assignee) == ({"ticket": 8}, None)
    assert opened.thresholds == {"AP": 0.6, "recall": 0.9}
    assert opened.comments["text"].to_list() == ["first", "second"]
    assert opened.comments["author"].to_list() == ["mira", "mira"]
    assert opened.created_by == "mira"
    assert opened.created_at < opened.updated_at
    assert [one.name for one in project.segments(type="scenario")] == ["night"]
    assert set(TYPES) > {"scenario"}


def test_thresholds_say_what_a_model_reaches(
    project: lakehouse.Project, labelled: lakehouse.Dataset
) -> None:
    limits = {"precision": 0.9, "recall": 0.6, "AP": 0.0}
    segment = project.create_segment(
        "night", type="regression", element_type="frame", thresholds=limits
    )
    model = labelled.create_inference_set("model_a")
    model.add([box("f1", "x", confidence=0.9)])

    rows = segment.passes(model.metrics())

    passed = {row["metric"]: row["passed"] for row in rows.to_dicts()}
    assert passed == {"precision": True, "recall": False, "AP": True}
    undefined = segment.passes({"precision": None, "recall": 0.6, "AP": 1.0})
    assert undefined["passed"].to_list() == [False, True, True]
    with pytest.raises(lakehouse.InvalidInputError) as refusal:
        segment.passes({"precisions": 1.0})
    assert len(refusal.value.problems) == 3
    with pytest.raises(
        lakehouse.InvalidInputError, match="regression, scenario, split"
    ):
        project.create_segment("b", element_type="frame", thresholds=limits)


# ---------------------------------- ELEMENTS ---------------------------------- #


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "c"],
        pl.Series(["b", "c"]),
        (name for name in ("b", "c")),
        [{"frame_id": "f1", "label_id": "b"}, {"frame_id": "f2", "label_id": "c"}],
        pl.DataFrame({"frame_id": ["f1", "f2"], "label_id": ["b", "c"], "other": 1}),
        pl.LazyFrame({"label_id": ["b", "c", "b"]}),
        pl.DataFrame({"frame_id": ["f1", "f2"], "label_id": ["b", "c"]}).to_arrow(),
    ],
    ids=["ids", "series", "generator", "dicts", "rows", "lazy", "arrow"],
)
def test_elements_are_named_in_many_ways(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment, labels: Any
) -> None:
    assert segment.add(labelled, labels=labels) == 2
    assert segment.elements()["label_id"].to_list() == ["b", "c"]


def test_a_filtered_snapshot_is_enough(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    snapshot = labelled.latest().filter(labels=pl.col("label_id") == "a")

    assert segment.add(snapshot) == 2
    with pytest.raises(
        lakehouse.InvalidInputError, match="'b' of frame 'f1' is not in"
    ):
        segment.add(snapshot, labels=[{"frame_id": "f1", "label_id": "b"}])
    assert segment.add(labelled.latest().filter(frames=pl.col("frame_id") == "f1")) == 1
    assert segment.tracking()["label_id"].to_list() == ["a", "b", "a"]


def test_what_is_not_there_is_listed_and_nothing_is_written(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    missing = [{"frame_id": f"g{n}", "label_id": "a"} for n in range(30)]

    with pytest.raises(lakehouse.InvalidInputError, match="… and 10 more") as refusal:
        segment.add(labelled, labels=[*missing, {"frame_id": "f1", "label_id": "b"}])

    assert len(refusal.value.problems) == 30
    assert refusal.value.problems[3].frame_id == "g3"
    assert segment.count == 0
    with pytest.raises(lakehouse.InvalidInputError, match="'a' could be any of 2"):
        segment.add(labelled, labels=["a"])
    with pytest.raises(lakehouse.InvalidInputError, match="is no id"):
        segment.add(labelled, labels=[{"frame_id": None, "label_id": 3}])
    with pytest.raises(lakehouse.InvalidInputError, match="no column 'label_id'"):
        segment.add(labelled, labels=[{"frame_id": "f1"}])
    assert segment.add(labelled, labels=[]) == 0


def test_unknown_ids_suggest_the_nearest(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    dataset.add([frame("frame_1")], [box("frame_1", "left_eye")])
    labels = project.create_segment("labels", element_type="label")
    frames = project.create_segment("frames", element_type="frame")
    labels.add(dataset)

    near = [{"frame_id": "frame_1", "label_id": "left_eyes"}]
    with pytest.raises(lakehouse.InvalidInputError, match="Did you mean 'left_eye'"):
        labels.add(dataset, labels=near)
    with pytest.raises(lakehouse.InvalidInputError, match="Did you mean 'left_eye'"):
        labels.set_status(["left_eyes"], "done")
    with pytest.raises(lakehouse.InvalidInputError, match="Did you mean 'frame_1'"):
        frames.add(dataset, frames=["frame1"])


def test_a_segment_holds_what_it_says(
    lake: lakehouse.Lake, labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    model = labelled.create_inference_set("model_a")
    elsewhere = lake.create_project("other", classes=["cell"]).create_dataset("hela")

    with pytest.raises(lakehouse.InvalidInputError, match="frames= was given"):
        segment.add(labelled, frames=["f1"])
    with pytest.raises(lakehouse.InvalidInputError, match="no labels in version 0"):
        segment.add(model)
    with pytest.raises(lakehouse.InvalidInputError, match="its own project"):
        segment.add(elsewhere)


def test_adding_twice_changes_nothing(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    segment.add(labelled.at(1), labels=["b"])
    labelled.upsert_labels([box("f1", "b", width=9.0)])

    assert segment.add(labelled, labels=["b", "c"]) == 1
    assert segment.tracking()["version"].to_list() == [1, 2]
    segment.remove(["b"])
    assert segment.add(labelled, labels=["b"]) == 1
    assert segment.elements()["width"].to_list() == [9.0, 3.0]


def test_work_on_elements_is_tracked(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    segment.add(labelled, batch="first", assignee="mira")

    assert segment.set_status(["b", "c"], "done") == 2
    assert segment.set_status(None, "done") == 2
    assert segment.set_status(segment.elements().filter(label_id="b"), "unstarted") == 1
    assert segment.assign(["b"], batch="second") == 1
    assert segment.assign(assignee="noor") == 4
    segment.comment("too wide", ["b"])
    segment.comment("still", ["b"])

    kept = segment.tracking().filter(label_id="b").row(0, named=True)
    assert (kept["status"], kept["batch"], kept["assignee"]) == (
        "unstarted",
        "second",
        "noor",
    )
    assert [comment["text"] for comment in kept["comments"]] == ["too wide", "still"]
    assert kept["added_at"] < kept["updated_at"]
    assert segment.elements()["batch"].to_list() == [
        "first",
        "second",
        "first",
        "first",
    ]
    with pytest.raises(lakehouse.InvalidInputError, match="unstarted, done"):
        segment.set_status(None, "finished")
    with pytest.raises(lakehouse.InvalidInputError, match="Nothing is assigned"):
        segment.assign(["b"])


def test_a_segment_is_written_as_json_and_csv(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment, tmp_path: Path
) -> None:
    segment.add(labelled)
    segment.comment("„zu weit“, 3 px", ["b"])
    labelled.upsert_labels([box("f1", "b", width=9.0)])

    assert segment.export(tmp_path / "s.json") == 4
    assert segment.export(tmp_path / "s.csv") == 4

    exported = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert exported["segment"]["name"] == "loose boxes"
    (one,) = [row for row in exported["elements"] if row["label_id"] == "b"]
    assert (one["width"], one["version"], one["status"]) == (3.0, 1, "unstarted")
    assert one["comments"][0]["text"] == "„zu weit“, 3 px"
    assert datetime.fromisoformat(one["added_at"]).tzinfo
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[1]["comments"])[0]["author"] == "mira"
    assert [row["width"] for row in rows] == ["3.0"] * 4
    with pytest.raises(lakehouse.InvalidInputError, match=r"\.json or \.csv"):
        segment.export(tmp_path / "s.parquet")


def test_errors_cross_process_borders(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    with pytest.raises(lakehouse.InvalidInputError) as refusal:
        segment.add(labelled, labels=["zz"])

    again = pickle.loads(pickle.dumps(refusal.value))

    assert (again.kind, again.problems) == ("element.unknown", refusal.value.problems)


def test_a_segment_says_what_it_is(
    labelled: lakehouse.Dataset, segment: lakehouse.Segment
) -> None:
    segment.add(labelled)

    assert repr(segment) == "<Segment 'loose boxes' (bucket, triage): 4 labels>"
