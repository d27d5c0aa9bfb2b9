"""Captured submissions of the client load, in order, and only once."""

from pathlib import Path

import pytest

import lakehouse
import lakehouse.aquarium as al

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def captured(lake: lakehouse.Lake) -> lakehouse.Dataset:
    lake.create_project("proj", classes=["cat", "dog"])
    al.ingest(lake, "proj", FIXTURES / "add_frame_bbox_metadata")
    return lake.project("proj").dataset("ds1")


def test_an_added_frame_has_everything_in_the_wire_rows(
    captured: lakehouse.Dataset,
) -> None:
    frame, labels = captured.latest().frame("frame_1")

    assert frame["date_captured"].isoformat() == "2023-08-01T12:00:00+00:00"
    assert (frame["device_id"], frame["latitude"], frame["longitude"]) == (
        "cam0",
        37.5,
        -122.25,
    )
    assert (frame["image_url"], frame["width"], frame["height"]) == (
        "https://x.test/1.jpg",
        640,
        480,
    )
    assert (frame["user__temp_c"], frame["user__n"], frame["user__night"]) == (
        21.5,
        3,
        False,
    )
    assert frame["user__tags"] == ["a", "b"]
    (label,) = labels.to_dicts()
    assert (label["class_name"], label["width"], label["iscrowd"]) == (
        "cat",
        10.5,
        False,
    )
    assert (label["links"], label["user__occluded"]) == ('{"track": "t1"}', True)
    assert captured.metadata == {"k": 1}


def test_a_modified_frame_keeps_what_was_not_set(
    lake: lakehouse.Lake, captured: lakehouse.Dataset
) -> None:
    al.ingest(
        lake, "proj", FIXTURES / "modify_frame_update_dataset_frames_one_unknown_id"
    )

    frame, _ = captured.latest().frame("frame_1")
    assert frame["user__test_metadata_field"] == "test_added_metadata_value"
    assert (frame["device_id"], frame["user__split"]) == ("cam0", "train")


def test_label_updates_add_replace_and_report(
    lake: lakehouse.Lake, captured: lakehouse.Dataset
) -> None:
    (upload,) = al.ingest(lake, "proj", FIXTURES / "update_labels")

    _, labels = captured.latest().frame("frame_1")
    assert labels.select("label_id", "class_name", "top", "user__q").rows() == [
        ("lab_1", "dog", 5.0, "x"),
        ("lab_2", "cat", 5.0, None),
    ]
    (warning,) = upload.errors().to_dicts()
    assert (warning["rule"], warning["label_id"]) == ("label.unknown", "lab_3")
    assert upload.status == "DONE"


def test_embeddings_come_from_the_arrow_files(
    lake: lakehouse.Lake, captured: lakehouse.Dataset
) -> None:
    al.ingest(lake, "proj", FIXTURES / "embeddings")

    vectors = captured.latest().frame_embeddings().sort("frame_id").collect()
    crops = captured.latest().label_embeddings().sort("label_id").collect()
    assert vectors["frame_id"].to_list() == ["e1", "e2"]
    assert vectors["embedding"].list.last().to_list() == [1.0, 2.0]
    assert crops["label_id"].to_list() == ["el1", "el2"]


def test_deleting_an_unknown_frame_is_a_warning(
    lake: lakehouse.Lake, captured: lakehouse.Dataset
) -> None:
    (upload,) = al.ingest(lake, "proj", FIXTURES / "delete_frame")

    assert upload.errors()["severity"].to_list() == ["warning"]
    assert captured.latest().counts["frames"] == 1


def test_a_folder_loaded_twice_is_one_upload(
    lake: lakehouse.Lake, captured: lakehouse.Dataset
) -> None:
    al.ingest(lake, "proj", FIXTURES / "add_frame_bbox_metadata")

    assert captured.version == 1
