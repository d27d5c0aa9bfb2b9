"""What is sent by calls, and what is written to files and loaded, is the same."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from polars.testing import assert_frame_equal

import lakehouse
import lakehouse.aquarium as al
from lakehouse.model.labels import LABEL_TYPES, SENSOR_TYPES
from tests.unit.aquarium.folders import Folder, as_frame, bundle
from tests.unit.aquarium.inference_frames import BOX
from tests.unit.aquarium.random_frames import (
    EVERYTHING,
    FRAMES,
    VECTORS,
    changed,
    inferences_frame,
    labels_of,
    whole,
)

Row = dict[str, Any]


def clients() -> tuple[al.Client, al.Client]:
    made: list[al.Client] = []
    for _ in range(2):
        client = al.Client(api_endpoint=tempfile.mkdtemp(), compaction="manual")
        classes = al.LabelClassMap.from_classnames(["cat", "dog"])
        loss = al.CustomMetricsDefinition("loss", "objective")
        client.create_project("p", classes, custom_metrics=loss)
        made.append(client)
    return made[0], made[1]


def rows_of(snapshot: lakehouse.Snapshot, labels: str = "labels") -> list[pl.DataFrame]:
    """Every table, in one order of rows and columns."""
    scans = [
        snapshot.frames(),
        getattr(snapshot, labels)(),
        snapshot.frame_embeddings(),
        snapshot.label_embeddings(),
    ]
    tables = [scan.collect() for scan in scans]
    return [
        table.select(sorted(table.columns)).sort("frame_id", *_label_id(table))
        for table in tables
    ]


def _label_id(table: pl.DataFrame) -> list[str]:
    return ["label_id"] if "label_id" in table.columns else []


def outcome(upload: lakehouse.Upload) -> tuple[Any, ...]:
    """What does not depend on when and how it was sent."""
    problems = upload.errors().select("frame_id", "label_id", "rule", "severity")
    return (
        upload.status,
        upload.counts,
        upload.label_counts,
        sorted(map(str, problems.rows())),
    )


def dataset_of(client: al.Client) -> lakehouse.Dataset:
    return client.lake.project("p").dataset("d")


def two_frames(first: Row, second: Row, vectors: str) -> al.LabeledDataset:
    """The frames f and g, with what was drawn for each."""
    rows = {"f": first, "g": second}
    return bundle([whole(name, row, vectors=vectors) for name, row in rows.items()])


def assert_equal(
    sending: lakehouse.Snapshot, loading: lakehouse.Snapshot, labels: str = "labels"
) -> None:
    for sent, loaded in zip(
        rows_of(sending, labels), rows_of(loading, labels), strict=True
    ):
        assert_frame_equal(sent, loaded, check_exact=True)
    assert sending.fingerprint == loading.fingerprint


ALL: Row = {"first": EVERYTHING, "second": EVERYTHING}
both_clients = pytest.mark.parametrize("newer", [False, True], ids=["0.0.67", "1.0.7"])


@both_clients
@settings(max_examples=5)
@given(first=FRAMES, second=FRAMES, third=FRAMES, vectors=VECTORS)
@example(**ALL, third=EVERYTHING, vectors="frames and labels")
@example(**ALL, third=EVERYTHING, vectors="labels")
def test_frames_sent_and_frames_loaded_from_files_are_equal(
    *, newer: bool, first: Row, second: Row, third: Row, vectors: str
) -> None:
    sending, loading = clients()
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place), newer=newer)
        added = two_frames(first, second, vectors)
        again = bundle([whole("g", third, keeps=bool(vectors))], ["none"])
        moved = labels_of("f", first, third)
        sent = [
            sending.create_dataset("p", "d", dataset=added),
            sending.update_dataset_frames("p", "d", [changed("f", second)]),
            sending.update_dataset_labels("p", "d", [moved]),
            sending.create_or_update_dataset("p", "d", dataset=again),
        ]
        folder.send(added)
        folder.send(bundle([changed("f", second)]))
        folder.send(bundle([as_frame(moved)]))
        folder.send(again)

        loaded = al.ingest(loading.lake, "p", place)

    assert [outcome(one) for one in loaded] == [outcome(one) for one in sent]
    assert [one.status for one in sent] == ["DONE"] * 4
    assert_equal(dataset_of(sending).latest(), dataset_of(loading).latest())


@both_clients
@settings(max_examples=5)
@given(first=FRAMES, second=FRAMES, vectors=VECTORS)
@example(**ALL, vectors="frames and labels")
@example(**ALL, vectors="labels")
def test_a_batch_sent_and_one_loaded_from_files_are_equal(
    *, newer: bool, first: Row, second: Row, vectors: str
) -> None:
    sending, loading = clients()
    with tempfile.TemporaryDirectory() as place:
        content = two_frames(first, second, vectors)
        Folder(Path(place), newer=newer).batch(content)
        sent = sending.create_dataset("p", "d", dataset=content, pipeline_mode="BATCH")

        (loaded,) = al.ingest(loading.lake, "p", place)

    assert (outcome(loaded), loaded.status) == (outcome(sent), "DONE")
    assert dataset_of(loading).mode == "BATCH"
    assert_equal(dataset_of(sending).latest(), dataset_of(loading).latest())


@both_clients
@settings(max_examples=5)
@given(first=FRAMES, second=FRAMES, vectors=VECTORS)
@example(**ALL, vectors="frames and labels")
@example(**ALL, vectors="labels")
def test_inferences_sent_and_loaded_from_files_are_equal(
    *, newer: bool, first: Row, second: Row, vectors: str
) -> None:
    sending, loading = clients()
    frames = bundle([whole("f", first), whole("g", second)])
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place), newer=newer)
        content = al.Inferences()
        content.add_frame(inferences_frame("f", first, vectors=vectors))
        content.add_frame(inferences_frame("g", second, vectors=vectors))
        content.delete_frame("none")
        sending.create_dataset("p", "d", dataset=frames)
        sent = sending.create_inferences("p", "d", "m", inferences=content)
        folder.send(frames)
        folder.infer(content, "m")

        _, loaded = al.ingest(loading.lake, "p", place)

    assert (outcome(loaded), loaded.status) == (outcome(sent), "DONE")
    assert_equal(
        dataset_of(sending).inference_set("m").latest(),
        dataset_of(loading).inference_set("m").latest(),
        "inferences",
    )


def test_the_whole_frame_has_every_type_of_label_and_of_sensor() -> None:
    client, _ = clients()

    client.create_dataset("p", "d", dataset=bundle([whole("f", EVERYTHING)]))

    (frame,) = dataset_of(client).latest().frames().collect().to_dicts()
    labels = dataset_of(client).latest().labels().collect()
    assert {one["sensor_type"] for one in frame["sensors"]} == set(SENSOR_TYPES)
    assert set(labels["label_type"]) == set(LABEL_TYPES)


def test_folders_below_a_folder_are_loaded_in_the_order_of_their_names(
    tmp_path: Path,
) -> None:
    client, _ = clients()
    for number, name in enumerate(["10_later", "02_first"]):
        (tmp_path / name).mkdir()
        frame = al.LabeledFrame(frame_id="f", device_id=f"cam{number}")
        frame.add_image(image_url="f.png")
        Folder(tmp_path / name).send(bundle([frame]))

    uploads = al.ingest(client.lake, "p", tmp_path)

    assert [one.counts["created"] for one in uploads] == [1, 0]
    (device,) = (
        client.lake.project("p").dataset("d").latest().frames().collect()["device_id"]
    )
    assert device == "cam0"


def test_one_invalid_file_in_a_tree_of_folders_loads_nothing(tmp_path: Path) -> None:
    client, _ = clients()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        frame = al.LabeledFrame(frame_id="f")
        frame.add_image(image_url="f.png")
        Folder(tmp_path / name).send(bundle([frame]))
    next((tmp_path / "b").glob("*crop*")).unlink()

    with pytest.raises(lakehouse.InvalidInputError, match="crop"):
        al.ingest(client.lake, "p", tmp_path)
    assert client.get_datasets("p", include_archived=True) == []


def test_rows_and_files_say_what_was_set() -> None:
    frame = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    frame.add_user_metadata("split", "train")
    frame.add_label_2d_bbox(label_id="a", classification="cat", **BOX)
    content = bundle([frame], ["g"])

    first = content.get_first_frame_dict()

    assert first == frame.to_dict() | {"label_data": first["label_data"]}
    assert set(first["explicitly_set_keys"]) == {
        "user__split",
        "reuse_latest_embedding",
    }
    assert first["user_metadata_types"] == {"user__split": "str"}
    (label,) = first["label_data"]
    assert (label["uuid"], label["change"], label["attributes"]["top"]) == (
        "a",
        "ADD",
        1,
    )
    lines = io.StringIO()
    content.write_to_file(lines)
    changes = [json.loads(line)["change"] for line in lines.getvalue().splitlines()]
    assert changes == ["MODIFY", "DELETE"]
    for write in (content.write_embeddings_to_file, content.write_label_assets_to_file):
        nothing = io.BytesIO()
        write(nothing)
        assert not nothing.getvalue()


def test_vectors_are_written_with_the_ids_of_their_frames() -> None:
    frame = al.LabeledFrame(frame_id="f")
    frame.add_label_2d_bbox(label_id="a", classification="cat", **BOX)
    frame.add_frame_embedding(embedding=[1, 2])
    assert frame.validate_and_backfill_crop_embeddings()
    frame.add_crop_embedding(label_id="a", embedding=[3.0, 4.0])
    assert not frame.validate_and_backfill_crop_embeddings()
    written = io.BytesIO()

    bundle([frame]).write_embeddings_to_file(written)

    assert pl.read_ipc(written.getvalue()).to_dicts() == [
        {
            "frame_ids": "f",
            "frame_embeddings": [1.0, 2.0],
            "crop_ids": ["a"],
            "crop_embeddings": [[3.0, 4.0]],
        }
    ]
