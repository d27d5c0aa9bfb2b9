"""Rows of the wire format, of both client lines, as the service was sent them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al

Row = dict[str, Any]
Capture = Callable[..., Path]

FRAME: Row = {
    "task_id": "frame_1",
    "date_captured": "2023-08-01T12:00:00+00:00",
    "device_id": "default_device",
    "coordinate_frames": [
        {
            "coordinate_frame_id": "DEFAULT",
            "coordinate_frame_type": "IMAGE",
            "coordinate_frame_metadata": '{"parent_frame_id": "world"}',
        },
        {
            "coordinate_frame_id": "world",
            "coordinate_frame_type": "WORLD",
            "coordinate_frame_metadata": '{"parent_frame_id": null}',
        },
    ],
    "sensor_data": [
        {
            "coordinate_frame": "DEFAULT",
            "data_urls": {"image_url": "https://x.test/1.jpg"},
            "date_captured": "2023-08-01T12:00:00+00:00",
            "sensor_id": "DEFAULT",
            "sensor_metadata": {"width": 640, "height": 480},
            "sensor_type": "IMAGE_V0",
            "mirror_asset": False,
        }
    ],
    "geo_data": "{}",
    "reuse_latest_embedding": False,
    "change": "ADD",
    "user__split": "train",
    "user__tags": [],
    "user_metadata_types": {"user__split": "str", "user__tags": "str"},
    "user_metadata_modes": {"user__split": "scalar", "user__tags": "list"},
}


def label(label_id: str, kind: str = "BBOX_2D", **attributes: Any) -> Row:
    return {
        "uuid": label_id,
        "label_type": kind,
        "label": "cat",
        "class_id": 0,
        "label_coordinate_frame": "DEFAULT",
        "attributes": attributes,
        "reuse_latest_embedding": False,
        "change": "ADD",
    }


BOX: dict[str, Any] = {"top": 1, "left": 2, "width": 10.5, "height": 4}


@pytest.fixture
def dataset(lake: lakehouse.Lake) -> lakehouse.Dataset:
    return lake.create_project("proj", classes=["cat", "dog"]).create_dataset("ds1")


@pytest.fixture
def captured(tmp_path: Path) -> Capture:
    """Write rows as a captured folder."""

    def written(
        *pairs: tuple[Row, list[Row]],
        vectors: Row | None = None,
        crop_vectors: Row | None = None,
        is_batch: bool = False,
    ) -> Path:
        place = tmp_path / f"capture_{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        frames = [frame for frame, _ in pairs]
        crops = [{"task_id": f["task_id"], "label_data": labels} for f, labels in pairs]
        both = [{**f, **c} for f, c in zip(frames, crops, strict=True)]
        files = (
            {"data": both} if is_batch else {"frame_data": frames, "crop_data": crops}
        )
        for kind, rows in files.items():
            lines = "\n".join(json.dumps(row) for row in rows)
            (place / f"{kind}_batch_000001.jsonl").write_text(lines)
        bucket = f"gs://bucket/{place.name.replace('_', '-')}"
        url: Any = {
            kind: [f"{bucket}_{kind}_data_batch_000001.jsonl"]
            for kind in ("frame", "crop")
        }
        for kind, table in (("frame", vectors), ("crop", crop_vectors)):
            if table is not None:
                name = f"{kind}_embeddings_batch_000001.arrow"
                pl.DataFrame(table).write_ipc(place / name)
                url[f"{kind}_embeddings"] = [f"{bucket}_{name}"]
        if is_batch:
            url = [f"{bucket}_data_batch_000001.jsonl"]
        body = {"dataset_id": "ds1", "data_url": url}
        request = {"path": "/api/v1/projects/proj/datasets", "json": body}
        (place / "requests.json").write_text(json.dumps([request]))
        return place

    return written


def test_the_newer_client_s_frames_land(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    crops = [label("lab_1", **BOX, iscrowd=False, user__occluded=True)]

    (upload,) = al.ingest(lake, "proj", captured((FRAME, crops)))

    assert (upload.status, upload.errors().height) == ("DONE", 0)
    frame, labels = dataset.latest().frame("frame_1")
    assert (frame["image_url"], frame["width"]) == ("https://x.test/1.jpg", 640)
    assert (frame["user__tags"], frame["latitude"], frame["device_id"]) == (
        [],
        None,
        None,
    )
    (box,) = labels.to_dicts()
    assert (box["class_id"], box["width"], box["user__occluded"]) == (0, 10.5, True)


def test_the_newer_client_s_changes_merge(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    al.ingest(lake, "proj", captured((FRAME, [label("lab_1", **BOX)])))
    change = {
        **FRAME,
        "date_captured": "2026-11-22 13:42:44.544022",
        "device_id": "never_said",
        "sensor_data": [],
        "coordinate_frames": [],
        "reuse_latest_embedding": True,
        "change": "MODIFY",
        "user__split": "test",
        "explicitly_set_keys": ["user__split", "user_metadata_types"],
    }
    del change["user__tags"]
    moved = label("lab_1", top=99, polygons=None) | {"change": "MODIFY"}
    del moved["label"], moved["class_id"], moved["label_coordinate_frame"]
    new = label("lab_2", **BOX) | {"label": "dog", "label_coordinate_frame": None}

    al.ingest(lake, "proj", captured((change, [moved, new])))

    frame, labels = dataset.latest().frame("frame_1")
    assert (frame["user__split"], frame["user__tags"]) == ("test", [])
    assert frame["date_captured"].year == 2023
    assert (frame["device_id"], frame["width"]) == (None, 640)
    assert labels.select("label_id", "class_name", "top", "left").rows() == [
        ("lab_1", "cat", 99, 2),
        ("lab_2", "dog", 1, 2),
    ]


def test_every_type_of_label_is_read(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    axes = {"pos": "xyz", "dim": "xyz", "rot": "xyzw"}
    solid = {f"{part}_{axis}": 1.0 for part, names in axes.items() for axis in names}
    inner = {"id": 7, "resize_mode": None, "attributes": {"alive": True}}
    crops = [
        label("line", "LINE_SEGMENT_2D", x1=0, y1=0, x2=1, y2=1),
        label("points", "KEYPOINTS_2D", keypoints=[{"x": 1, "y": 2, "name": "nose"}]),
        label(
            "shape",
            "POLYGON_LIST_2D",
            polygons=[{"vertices": [[0, 0], [1, 0], [1, 1]]}],
            center=None,
        ),
        label("solid", "CUBOID_3D", **solid) | {"label_coordinate_frame": "world"},
        label("mask", "SEMANTIC_LABEL_URL_2D", url="m.png", resize_mode="fill")
        | {"label": "__mask"},
        label("ins_7", "INSTANCE_LABEL_2D", **inner),
        label("ins", "INSTANCE_LABEL_URL_2D", url="i.png") | {"label": "__mask"},
        label("whole", "CLASSIFICATION_2D", weather="rain", derived__x=1, user__q="a"),
        label("scene", "CLASSIFICATION_3D"),
        label("token", "TEXT_TOKEN", index=0, token="a", visible=True),
        label("linked", **BOX, link__track="t1"),
    ]

    (upload,) = al.ingest(lake, "proj", captured((FRAME, crops)))

    assert upload.errors().to_dicts() == []
    rows = {
        row["label_id"]: row for row in dataset.latest().labels().collect().to_dicts()
    }
    assert len(rows) == len(crops)
    assert rows["shape"]["polygons"] == [[[0, 0], [1, 0], [1, 1]]]
    assert rows["solid"]["rotation"] == [1.0] * 4
    assert (rows["mask"]["mask_url"], rows["mask"]["resize_mode"]) == ("m.png", "fill")
    assert (rows["ins_7"]["instance_id"], rows["ins_7"]["user__alive"]) == (7, True)
    assert json.loads(rows["whole"]["secondary_labels"]) == {"weather": "rain"}
    assert json.loads(rows["linked"]["links"]) == {"track": "t1"}


def test_an_unknown_change_rejects_one_frame_alone(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    odd = {**FRAME, "task_id": "odd", "change": "UPSERT"}
    del (old := {**FRAME, "task_id": "old"})["change"]

    (upload,) = al.ingest(lake, "proj", captured((odd, []), (old, [])))

    assert upload.status == "PARTIAL"
    assert upload.errors().filter(rule="wire.change")["frame_id"].to_list() == ["odd"]
    assert dataset.latest().frames().collect()["frame_id"].to_list() == ["old"]


def test_vectors_go_by_row_and_fillers_are_none(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    pairs = [({**FRAME, "task_id": name}, [label("same", **BOX)]) for name in "abc"]
    place = captured(
        *pairs,
        vectors={
            "frame_ids": ["a", "b", "c"],
            "frame_embeddings": [[1, 2, 3], [0, 0, 0], [4, 5, 6]],
        },
        crop_vectors={
            "crop_ids": [["same"], ["same"], None],
            "crop_embeddings": [[[1.0, 2.0]], [[3.0, 4.0]], None],
        },
    )

    (upload,) = al.ingest(lake, "proj", place)

    latest = dataset.latest()
    frames = latest.frame_embeddings().sort("frame_id").collect()
    crops = latest.label_embeddings().sort("frame_id").collect()
    assert upload.status == "DONE"
    assert frames.rows() == [("a", [1.0, 2.0, 3.0]), ("c", [4.0, 5.0, 6.0])]
    assert crops["embedding"].to_list() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_frame_added_anew_keeps_vectors_where_asked_to(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    vectors = {"frame_ids": ["frame_1"], "frame_embeddings": [[1.0, 2.0]]}
    crops = {"crop_ids": [["l"]], "crop_embeddings": [[[3.0, 4.0]]]}
    first = (FRAME, [label("l", **BOX)])
    al.ingest(lake, "proj", captured(first, vectors=vectors, crop_vectors=crops))
    kept = {"reuse_latest_embedding": True}

    al.ingest(lake, "proj", captured((FRAME | kept, [label("l", **BOX) | kept])))

    latest = dataset.latest()
    assert latest.frame_embeddings().collect()["embedding"].to_list() == [[1.0, 2.0]]
    assert latest.label_embeddings().collect()["embedding"].to_list() == [[3.0, 4.0]]


def test_new_vectors_for_the_same_rows_are_a_new_upload(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    for vector in ([1.0, 2.0], [3.0, 4.0]):
        vectors = {"frame_ids": ["frame_1"], "frame_embeddings": [vector]}
        al.ingest(lake, "proj", captured((FRAME, []), vectors=vectors))

    assert dataset.latest().frame_embeddings().collect()["embedding"].to_list() == [
        [3.0, 4.0]
    ]


def test_the_same_rows_submitted_again_later_count_again(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    for name in ("cat", "dog", "cat"):
        crops = [label("l", **BOX) | {"label": name}]
        al.ingest(lake, "proj", captured((FRAME, crops)))

    assert dataset.latest().labels().collect()["class_name"].to_list() == ["cat"]
    assert dataset.version == 3


def test_a_batch_has_frame_and_labels_in_one_row(
    lake: lakehouse.Lake, captured: Capture
) -> None:
    project = lake.create_project("proj", classes=["cat"])

    (upload,) = al.ingest(
        lake, "proj", captured((FRAME, [label("l", **BOX)]), is_batch=True)
    )

    assert upload.status == "DONE"
    assert project.dataset("ds1").mode == "BATCH"
    assert project.dataset("ds1").latest().counts == {"frames": 1, "labels": 1}


def test_files_of_different_frames_are_refused(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset, captured: Capture
) -> None:
    place = captured((FRAME, []))
    (place / "crop_data_batch_000001.jsonl").write_text('{"task_id": "other"}')

    with pytest.raises(lakehouse.InvalidInputError, match="same frames"):
        al.ingest(lake, "proj", place)
    (place / "crop_data_batch_000001.jsonl").unlink()
    with pytest.raises(lakehouse.InvalidInputError, match="crop_data"):
        al.ingest(lake, "proj", place)
    with pytest.raises(lakehouse.InvalidInputError, match=r"requests\.json"):
        al.ingest(lake, "proj", place.parent / "none")
    assert dataset.version == 0
