"""Every captured call lands as exactly the rows that it says, in both clients' files."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.captured import (
    CAMERA,
    IMAGE,
    INFERENCE,
    LABEL,
    LINKED,
    MOVED,
    NEWER,
    NOON,
    OLDER,
    PLAIN,
    URL,
)

Row = dict[str, Any]

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def dataset(lake: lakehouse.Lake) -> lakehouse.Dataset:
    project = lake.create_project("proj", classes=["cat", "dog"])
    return project.create_dataset("ds1")


def load(lake: lakehouse.Lake, *names: str) -> lakehouse.Upload:
    """Load captures, one behind the other; the upload of the last."""
    upload = None
    for name in names:
        (upload,) = al.ingest(lake, "proj", FIXTURES / name)
        assert upload.status == "DONE"
    assert upload is not None
    return upload


def without_nulls(value: Any) -> Any:
    """The value without what is null in it."""
    if isinstance(value, dict):
        return {
            name: without_nulls(one) for name, one in value.items() if one is not None
        }
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def rows(scanned: pl.LazyFrame) -> Any:
    table = scanned.collect()
    return without_nulls(table.sort(table.columns[:2]).to_dicts())


def content(dataset: lakehouse.Dataset) -> tuple[list[Row], list[Row]]:
    latest = dataset.latest()
    return rows(latest.frames()), rows(latest.labels())


def problems(upload: lakehouse.Upload) -> list[tuple[Any, ...]]:
    columns = ["frame_id", "label_id", "rule", "severity"]
    return upload.errors().select(columns).rows()


# ----------------------------------- DATASETS ---------------------------------- #


def test_an_added_frame(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> None:
    upload = load(lake, "add_frame_bbox_metadata")

    assert content(dataset) == ([OLDER], [LINKED])
    assert problems(upload) == []
    assert dataset.metadata == {"k": 1}


def test_a_changed_frame(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> None:
    change = "modify_frame_update_dataset_frames_one_unknown_id"
    upload = load(lake, "add_frame_bbox_metadata", change)

    added: Row = {"user__test_metadata_field": "test_added_metadata_value"}
    assert content(dataset) == ([OLDER | added], [LINKED])
    assert problems(upload) == []


def test_a_set_of_changed_labels(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset
) -> None:
    upload = load(lake, "add_frame_bbox_metadata", "update_labels")

    replaced = PLAIN | MOVED | {"class_name": "dog", "class_id": 1, "user__q": "x"}
    new = PLAIN | MOVED | {"label_id": "lab_2"}
    assert content(dataset) == ([OLDER], [replaced, new])
    assert problems(upload) == [("frame_1", "lab_3", "label.unknown", "warning")]


def test_a_deleted_frame(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> None:
    load(lake, "add_frame_bbox_metadata")
    box = {**INFERENCE, "frame_id": "frame_9", "label_id": "l"}
    del box["confidence"]
    dataset.add([{"frame_id": "frame_9", "image_url": URL}], [box])

    upload = load(lake, "delete_frame")

    assert content(dataset) == ([OLDER], [LINKED])
    assert problems(upload) == []
    assert dataset.at(2).counts == {"frames": 2, "labels": 2}


def test_frames_with_vectors(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> None:
    load(lake, "embeddings")

    frames, labels = content(dataset)
    bare: Row = {
        "date_captured": NOON,
        "image_url": URL,
        "sensors": [CAMERA],
        "coordinate_frames": [IMAGE],
    }
    box: Row = {"top": 1.0, "left": 2.0, "width": 3.0, "height": 4.0}
    assert frames == [{"frame_id": name} | bare for name in ("e1", "e2")]
    assert labels == [
        PLAIN | box | {"frame_id": f"e{n}", "label_id": f"el{n}"} for n in (1, 2)
    ]
    single = pl.Series([0.1, 0.2, 0.3], dtype=pl.Float32).to_list()
    assert rows(dataset.latest().frame_embeddings()) == [
        {"frame_id": f"e{n}", "embedding": [*single, float(n)]} for n in (1, 2)
    ]
    assert rows(dataset.latest().label_embeddings()) == [
        {"frame_id": f"e{n}", "label_id": f"el{n}", "embedding": [1.0, 2.0]}
        for n in (1, 2)
    ]


def test_a_frame_added_by_the_newer_client(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset
) -> None:
    upload = load(lake, "newer_client_add_frame")

    assert content(dataset) == ([NEWER], [LABEL])
    assert problems(upload) == []


def test_a_frame_and_labels_changed_by_the_newer_client(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset
) -> None:
    upload = load(lake, "newer_client_add_frame", "newer_client_modify_frame")

    unit: Row = {"top": 0.0, "left": 0.0, "width": 1.0, "height": 1.0}
    new = PLAIN | unit | {"label_id": "lab_2", "class_name": "dog", "class_id": 1}
    assert content(dataset) == (
        [NEWER | {"user__test_metadata_field": "v"}],
        [LABEL | {"top": 99.0}, new],
    )
    assert problems(upload) == []


# ---------------------------------- INFERENCES --------------------------------- #


def test_added_and_deleted_inferences(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset
) -> None:
    load(lake, "add_frame_bbox_metadata")
    dataset.add([{"frame_id": "frame_2", "image_url": URL}])
    model = dataset.create_inference_set("m1")
    model.add([INFERENCE | {"frame_id": "frame_2", "label_id": "gone"}])

    upload = load(lake, "inferences_add_delete")

    frame = {
        "frame_id": "frame_1",
        "custom_metrics": '{"my_metric": 0.5}',
        "visualization_assets": '{"heat": "https://x.test/h.png"}',
        "user__m": "v",
    }
    assert rows(model.latest().frames()) == [frame]
    assert rows(model.latest().inferences()) == [INFERENCE]
    assert problems(upload) == []


def test_inferences_of_the_newer_client(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset
) -> None:
    load(lake, "newer_client_add_frame", "newer_client_inferences")

    latest = dataset.inference_set("m1").latest()
    assert rows(latest.frames()) == [
        {
            "frame_id": "frame_1",
            "custom_metrics": '{"my_metric": 0.5}',
            "user__m": "v",
        }
    ]
    assert rows(latest.inferences()) == [INFERENCE]
    assert dataset.inference_set("m1").pin == 1


def test_every_capture_is_loaded_by_a_test() -> None:
    names = {place.name for place in FIXTURES.iterdir()}

    text = Path(__file__).read_text(encoding="utf-8")
    assert len(names) > 8
    assert [name for name in sorted(names) if f'"{name}"' not in text] == []
