"""The client's calls on projects and datasets, and what they refuse."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al

Made = Callable[..., al.LabeledFrame]


def content(*frames: al.LabeledFrame) -> al.LabeledDataset:
    made = al.LabeledDataset()
    for one in frames:
        made.add_frame(one)
    return made


# ----------------------------------- PROJECTS ----------------------------------- #


def test_a_project_is_described_with_classes(bench: Any) -> None:
    bench.client.create_project(
        "binary",
        al.LabelClassMap.from_classnames(["yes", "no"]),
        "BINARY_CLASSIFICATION",
        binary_classification_negative_class="no",
        external_metadata={"owner": "mira"},
        custom_metrics=al.CustomMetricsDefinition("f2", "objective"),
        include_no_gt=False,
    )

    described = bench.client.get_project("binary")

    assert (described["id"], described["primary_task"]) == (
        "binary",
        "BINARY_CLASSIFICATION",
    )
    assert [entry["name"] for entry in described["label_class_map"]] == ["yes", "no"]
    assert described["external_metadata"] == {"owner": "mira"}
    assert described["custom_metrics"] == [{"name": "f2", "metrics_type": "objective"}]
    assert described["include_no_gt"] is False
    assert {one["id"] for one in bench.client.get_projects()} == {"p", "binary"}


@pytest.mark.parametrize(
    "options",
    [
        {"project_id": "no spaces"},
        {"label_class_map": ["cat"]},
        {"label_class_map": al.LabelClassMap()},
        {"primary_task": "GUESSING"},
        {"primary_task": "BINARY_CLASSIFICATION"},
        {
            "primary_task": "BINARY_CLASSIFICATION",
            "binary_classification_negative_class": "bird",
        },
        {"custom_metrics": []},
        {"custom_metrics": "f2"},
        {"stratified_metrics": ["size"]},
        {"max_shown_categories": 0},
        {"max_shown_categories": "3"},
        {"metrics_confidence_threshold": 1},
        {"frame_links": "a"},
        {"default_camera_position": 3},
        {"external_metadata": {1: 2}},
    ],
)
def test_a_project_that_cannot_be_is_refused(
    bench: Any, options: dict[str, Any]
) -> None:
    classes = al.LabelClassMap.from_classnames(["cat", "dog"])

    with pytest.raises(lakehouse.InvalidInputError):
        bench.client.create_project(
            **{"project_id": "q", "label_class_map": classes, **options}
        )
    assert not bench.client.project_exists("q")


def test_a_deleted_project_is_kept_and_refuses_uploads(bench: Any, frame: Made) -> None:
    bench.send(frame())
    bench.client.delete_project("p")

    assert bench.client.project_exists("p")
    assert bench.client.get_projects() == []
    with pytest.raises(lakehouse.ArchivedError):
        bench.send(frame("g"))
    with pytest.raises(lakehouse.NotFoundError):
        bench.client.delete_project("none")


def test_project_metadata_are_replaced(bench: Any) -> None:
    bench.client.update_project_metadata("p", {"owner": "mira"})

    assert bench.client.get_project("p")["external_metadata"] == {"owner": "mira"}


def test_classes_get_other_colours(bench: Any) -> None:
    entry = al.ClassMapUpdateEntry(name="dog", color=(1, 2, 3))

    bench.client.update_label_class_map_colors("p", [entry])

    entries = bench.client.get_project("p")["label_class_map"]
    assert {one["name"]: one["color"] for one in entries}["dog"] == [1, 2, 3]
    with pytest.raises(lakehouse.InvalidInputError):
        bench.client.update_label_class_map_colors("p", [entry, entry])
    unknown = al.ClassMapUpdateEntry(name="bird", color=(1, 2, 3))
    with pytest.raises(lakehouse.InvalidInputError):
        bench.client.update_label_class_map_colors("p", [unknown])


# ----------------------------------- DATASETS ----------------------------------- #


@pytest.mark.parametrize(
    "options",
    [
        {"dataset": None},
        {"dataset": al.LabeledDataset()},
        {"dataset_id": "no spaces"},
        {"embedding_distance_metric": "manhattan"},
        {"wait_timeout": 60},
        {"external_metadata": {1: 2}},
        {"pipeline_mode": "batch"},
        {"is_unlabeled_indexed_dataset": True},
        {"seed_dataset_name_for_unlabeled_search": "x"},
        {"existing_embedding_version_uuid": "x"},
    ],
)
def test_a_refused_call_writes_nothing(
    bench: Any, frame: Made, options: dict[str, Any]
) -> None:
    sent = {
        "project_id": "p",
        "dataset_id": "d",
        "dataset": content(frame()),
        **options,
    }

    with pytest.raises(lakehouse.InvalidInputError):
        bench.client.create_or_update_dataset(**sent)
    assert bench.client.get_datasets("p", include_archived=True) == []


def test_all_unknown_classes_are_named_and_nothing_is_written(
    bench: Any, frame: Made
) -> None:
    new = frame()
    for label_id, name in (("a", "bird"), ("b", "cat"), ("c", "fish")):
        new.add_label_2d_bbox(
            label_id=label_id, classification=name, top=0, left=0, width=1, height=1
        )

    with pytest.raises(lakehouse.InvalidInputError) as refused:
        bench.send(new)

    assert [problem.label_id for problem in refused.value.problems] == ["a", "c"]
    assert not bench.client.dataset_exists("p", "d")


@pytest.mark.parametrize(
    ("task", "verb"),
    [("2D_SEMSEG", "semseg"), ("2D_INSTANCE_SEGMENTATION", "instance_seg")],
)
def test_a_segmentation_task_takes_one_mask_a_frame(
    bench: Any, frame: Made, task: str, verb: str
) -> None:
    classes = al.LabelClassMap.from_classnames(["cat"])
    bench.client.create_project("masks", classes, task)
    bench.project = "masks"
    more: dict[str, Any] = {"instance_mapping": []} if verb == "instance_seg" else {}
    masked = frame("masked")
    getattr(masked, f"add_label_2d_{verb}")(label_id="m", mask_url="m.png", **more)
    deleting = content(masked)
    deleting.delete_frame("other")

    upload = bench.client.create_dataset("masks", "d", dataset=deleting)

    assert upload.status == "DONE"
    with pytest.raises(lakehouse.InvalidInputError, match="exactly one"):
        bench.send(frame("bare"))


def test_arguments_may_be_given_by_place(
    bench: Any, frame: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    upload = bench.client.create_dataset(
        *("p", "d", None, None, content(frame()), True, timedelta(seconds=5))
    )

    printed = capsys.readouterr().out
    assert upload.status == "DONE"
    assert upload.id in printed
    assert "1 frames, 0 labels" in printed


def test_a_deferred_upload_is_processing_until_it_is_merged(
    bench: Any, frame: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    later = al.Client(api_endpoint=bench.client.lake.root, merge="deferred")
    timeout = timedelta(milliseconds=1)

    later.create_dataset(
        "p", "d", dataset=content(frame()), wait_until_finish=True, wait_timeout=timeout
    )
    change = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    change.add_user_metadata("split", "train")
    later.update_dataset_frames("p", "d", [change])

    assert "still pending" in capsys.readouterr().out
    assert not later.is_dataset_processed("p", "d")
    assert later.current_dataset_process_state("p", "d") == ("PENDING", 0.0)
    bench.dataset.merge_pending()
    assert later.is_dataset_processed("p", "d")
    assert later.current_dataset_process_state("p", "d") == ("DONE", 100.0)
    assert bench.frames()["user__split"].to_list() == ["train"]


def test_a_dataset_is_described_listed_and_deleted(bench: Any, frame: Made) -> None:
    bench.send(frame(), external_metadata={"source": "drone"})
    bench.client.update_dataset_metadata("p", "d", {"source": "plane"})

    described = bench.client.get_dataset("p", "d")
    bench.client.delete_dataset("p", "d")

    assert (described["id"], described["frames"], described["version"]) == ("d", 1, 1)
    assert described["external_metadata"] == {"source": "plane"}
    assert bench.client.get_datasets("p", include_archived=False) == []
    assert bench.client.dataset_exists("p", "d")
    assert bench.client.is_dataset_archived("p", "d")
    with pytest.raises(lakehouse.ArchivedError):
        bench.send(frame("g"), external_metadata={"source": "car"})
    assert bench.dataset.metadata == {"source": "plane"}


def test_errors_are_logged_with_frame_and_reason(bench: Any, frame: Made) -> None:
    bad = frame("bad")
    bad.add_label_2d_bbox(
        label_id="l", classification="cat", top=0, left=0, width=0, height=1
    )
    bench.send(frame("good"), bad)

    (log,) = bench.client.get_dataset_ingest_error_logs("p", "d")

    assert (log["frame_id"], log["label_id"]) == ("bad", "l")
    assert log["aquarium_dataflow_step"]
    assert "degenerate" in log["msg"]
    assert bench.client.current_dataset_process_state("p", "d")[0] == "WINDOW_ERRORED"


# ------------------------------------ UPDATES ----------------------------------- #


def test_unknown_frames_are_left_out_with_a_warning(bench: Any, frame: Made) -> None:
    bench.send(frame())
    changes = []
    for name in ("f", "none"):
        change = al.LabeledFrame(frame_id=name, update_type="MODIFY")
        change.add_user_metadata("split", "train")
        changes.append(change)

    upload = bench.client.update_dataset_frames("p", "d", changes)

    assert upload.status == "DONE"
    assert upload.errors().select("frame_id", "rule", "severity").rows() == [
        ("none", "frame.unknown", "warning")
    ]
    assert bench.frames()["frame_id"].to_list() == ["f"]
    with pytest.raises(lakehouse.InvalidInputError, match="nothing to update"):
        bench.client.update_dataset_frames("p", "d", changes[1:])
    label_set = al.UpdateGTLabelSet(frame_id="none")
    with pytest.raises(lakehouse.InvalidInputError, match="nothing to update"):
        bench.client.update_dataset_labels("p", "d", [label_set])


def test_updates_take_frames_and_label_sets_and_nothing_else(
    bench: Any, frame: Made
) -> None:
    bench.send(frame())
    label_set = al.UpdateGTLabelSet(frame_id="f")
    change = al.LabeledFrame(frame_id="f", update_type="MODIFY")

    with pytest.raises(lakehouse.InvalidInputError, match="no LabeledFrame"):
        bench.client.update_dataset_frames("p", "d", [label_set])
    with pytest.raises(lakehouse.InvalidInputError, match="no UpdateGTLabelSet"):
        bench.client.update_dataset_labels("p", "d", [change])
    with pytest.raises(lakehouse.InvalidInputError, match="given twice"):
        bench.client.update_dataset_frames("p", "d", [change, change])
    with pytest.raises(lakehouse.NotFoundError):
        bench.client.update_dataset_labels("p", "none", [label_set])


def test_several_uploads_may_have_one_upload_version(bench: Any, frame: Made) -> None:
    first = bench.client.add_to_streaming_dataset(
        "p", "d", dataset=content(frame("a")), upload_version="v1"
    )
    second = bench.client.add_to_streaming_dataset(
        "p", "d", dataset=content(frame("b")), upload_version="v1"
    )

    assert first.id != second.id
    assert [one.metadata for one in (first, second)] == [{"upload_version": "v1"}] * 2
    assert bench.frames()["frame_id"].to_list() == ["a", "b"]


def test_deletions_may_be_a_frame_s_update_type_and_are_harmless_twice(
    bench: Any, frame: Made
) -> None:
    bench.send(frame("a"), frame("b"))
    gone = al.LabeledFrame(frame_id="a", update_type="DELETE")

    first, second = bench.send(gone), bench.send(gone)

    assert bench.frames()["frame_id"].to_list() == ["b"]
    assert (first.status, second.status) == ("DONE", "DONE")
    assert second.errors()["severity"].to_list() == ["warning"]


def test_a_batch_is_all_or_nothing_and_may_be_sent_again_until_it_landed(
    bench: Any, frame: Made
) -> None:
    bad = frame("bad")
    bad.add_label_2d_bbox(
        label_id="l", classification="cat", top=0, left=0, width=0, height=1
    )

    failed = bench.send(frame("good"), bad, pipeline_mode="BATCH")
    landed = bench.send(frame("good"), pipeline_mode="BATCH")

    assert (failed.status, landed.status) == ("FAILED", "DONE")
    assert bench.frames()["frame_id"].to_list() == ["good"]
    for mode in ("BATCH", "STREAMING"):
        with pytest.raises(lakehouse.InvalidInputError):
            bench.send(frame("more"), pipeline_mode=mode)


def test_a_frame_got_back_has_everything_and_changes_nothing(
    bench: Any, frame: Made
) -> None:
    new = frame("f", date_captured="2024-01-01T00:00:00Z", device_id="cam0")
    new.add_geo_latlong_data(1.0, 2.0)
    new.add_user_metadata("split", "train")
    new.add_coordinate_frame_3d(coord_frame_id="lidar")
    new.add_point_cloud_pcd(sensor_id="pcd", pcd_url="c", coord_frame_id="lidar")
    new.add_label_2d_bbox(
        label_id="l", classification="cat", top=0, left=0, width=1, height=1
    )
    bench.send(new)

    got = bench.client.get_frame("p", "d", "f")
    upload = bench.client.update_dataset_frames("p", "d", [got])

    assert got.update_type == "MODIFY"
    assert (upload.counts["unchanged"], upload.label_counts["unchanged"]) == (1, 1)
    with pytest.raises(lakehouse.NotFoundError):
        bench.client.get_frame("p", "d", "none")


def test_the_lake_is_named_by_the_environment_or_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "named"))
    named = al.Client()
    monkeypatch.delenv("LAKEHOUSE_ROOT")
    here = al.Client()

    for client in (named, here):
        client.set_credentials(api_key="YOURKEY")
        client.create_project("p", al.LabelClassMap.from_classnames(["cat"]))

    assert {path.name for path in tmp_path.iterdir()} == {"named", "lake"}
