"""What may be written in several ways is read as the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al

Row = dict[str, Any]
Change = Callable[[Row, Row], None]

FIXTURES = Path(__file__).parent / "fixtures"


def written(place: Path, name: str, change: Change, **vectors: pl.DataFrame) -> Path:
    """A capture with its frame row and crop row changed, and with vectors."""
    place.mkdir()
    lines: list[Row] = []
    for kind in ("frame", "crop"):
        file = FIXTURES / name / f"{kind}_data_batch_000001.jsonl"
        lines.append(json.loads(file.read_text(encoding="utf-8")))
    change(*lines)
    listing = FIXTURES / name / "requests.json"
    requests = json.loads(listing.read_text(encoding="utf-8"))
    for kind, row in zip(("frame", "crop"), lines, strict=True):
        (place / f"{kind}_data_batch_000001.jsonl").write_text(json.dumps(row))
    for kind, table in vectors.items():
        table.write_ipc(place / f"{kind}.arrow")
        requests[0]["json"]["data_url"][kind] = [f"gs://bucket/{kind}.arrow"]
    (place / "requests.json").write_text(json.dumps(requests))
    return place


def loaded(lake: lakehouse.Lake, project: str, *places: Path) -> lakehouse.Dataset:
    lake.create_project(project, classes=["cat", "dog"])
    for place in places:
        (upload,) = al.ingest(lake, project, place)
        assert (upload.status, upload.errors().to_dicts()) == ("DONE", [])
    return lake.project(project).dataset("ds1")


def as_text(row: Row, *names: str) -> None:
    for name in names:
        row[name] = json.dumps(row[name])


def nested_as_text(frame: Row, crop: Row) -> None:
    as_text(frame, "geo_data", "user_metadata_types", "user_metadata_modes")
    for sensor in frame["sensor_data"]:
        as_text(sensor, "data_urls", "sensor_metadata")
    for label in crop["label_data"]:
        as_text(label, "attributes")


def metadata_as_object(frame: Row, _: Row) -> None:
    for one in frame["coordinate_frames"]:
        one["coordinate_frame_metadata"] = json.loads(one["coordinate_frame_metadata"])


def no_change_named(frame: Row, crop: Row) -> None:
    del frame["change"]
    for label in crop["label_data"]:
        del label["change"]


def another_class_id(_: Row, crop: Row) -> None:
    for label in crop["label_data"]:
        label["class_id"] = 7


def what_does_not_count(frame: Row, crop: Row) -> None:
    crop["type"] = "Inference"
    frame["previously_written_window"] = None
    for label in crop["label_data"]:
        label |= {"linked_labels": ["other"]}
        label["attributes"]["derived__x"] = 1


CHANGES: list[Change] = [
    nested_as_text,
    metadata_as_object,
    no_change_named,
    another_class_id,
    what_does_not_count,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_another_form_is_the_same_frame(
    lake: lakehouse.Lake, tmp_path: Path, change: Change
) -> None:
    name = "newer_client_add_frame"
    usual = loaded(lake, "usual", FIXTURES / name)

    other = loaded(lake, "other", written(tmp_path / "other", name, change))

    assert other.latest().fingerprint == usual.latest().fingerprint
    assert other.latest().counts == {"frames": 1, "labels": 1}


def test_what_a_change_does_not_list_is_not_applied(
    lake: lakehouse.Lake, tmp_path: Path
) -> None:
    def noisy(frame: Row, _: Row) -> None:
        frame["geo_data"] = {"geo_EPSG4326_lat": 1.0, "geo_EPSG4326_lon": 2.0}
        frame["sensor_data"] = [{"sensor_id": "s", "sensor_type": "TEXT"}]
        frame["previously_written_window"] = "window-0000"

    added, name = FIXTURES / "newer_client_add_frame", "newer_client_modify_frame"
    usual = loaded(lake, "usual", added, FIXTURES / name)

    other = loaded(lake, "other", added, written(tmp_path / "other", name, noisy))

    assert other.latest().fingerprint == usual.latest().fingerprint


@pytest.mark.parametrize("prefix", ["", "user__"])
def test_attributes_of_an_instance_have_a_prefix_or_none(
    lake: lakehouse.Lake, tmp_path: Path, prefix: str
) -> None:
    def instance(_: Row, crop: Row) -> None:
        (label,) = crop["label_data"]
        label["label_type"] = "INSTANCE_LABEL_2D"
        inner = {f"{prefix}alive": True}
        label["attributes"] = {"id": 7, "resize_mode": None, "attributes": inner}

    place = written(tmp_path / "i", "newer_client_add_frame", instance)

    (label,) = loaded(lake, "proj", place).latest().labels().collect().to_dicts()
    assert (label["instance_id"], label["user__alive"]) == (7, True)


def unchanged(_: Row, __: Row) -> None:
    """The rows as captured."""


@pytest.mark.parametrize("numbers", [pl.Int64, pl.Float32, pl.Float64])
def test_vectors_are_of_any_numbers(
    lake: lakehouse.Lake, tmp_path: Path, numbers: Any
) -> None:
    frames = pl.DataFrame(
        {"frame_ids": ["frame_1"], "frame_embeddings": [[1, 2]]},
        schema_overrides={"frame_embeddings": pl.List(numbers)},
    )
    crops = pl.DataFrame(
        {"crop_ids": [["lab_1"]], "crop_embeddings": [[[3, 4]]]},
        schema_overrides={"crop_embeddings": pl.List(pl.List(numbers))},
    )
    place = written(
        tmp_path / "v", "newer_client_add_frame", unchanged,
        frame_embeddings=frames, crop_embeddings=crops,
    )  # fmt: skip

    latest = loaded(lake, "proj", place).latest()

    assert latest.frame_embeddings().collect()["embedding"].to_list() == [[1.0, 2.0]]
    assert latest.label_embeddings().collect()["embedding"].to_list() == [[3.0, 4.0]]


def test_files_of_vectors_in_which_none_is_have_none(
    lake: lakehouse.Lake, tmp_path: Path
) -> None:
    nothing: Any = pl.List(pl.Null)
    frames = pl.DataFrame(
        {"frame_ids": ["frame_1"], "frame_embeddings": [[]]},
        schema_overrides={"frame_embeddings": nothing},
    )
    crops = pl.DataFrame(
        {"crop_ids": [[]], "crop_embeddings": [[]]},
        schema_overrides={"crop_ids": nothing, "crop_embeddings": nothing},
    )
    place = written(
        tmp_path / "v", "newer_client_add_frame", unchanged,
        frame_embeddings=frames, crop_embeddings=crops,
    )  # fmt: skip

    latest = loaded(lake, "proj", place).latest()

    assert latest.frame_embeddings().collect().height == 0
    assert latest.label_embeddings().collect().height == 0
