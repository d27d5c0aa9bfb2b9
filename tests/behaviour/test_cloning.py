"""Clones begin with exactly what was cloned, own their files, and go their own way."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al
from lakehouse.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    WaitTimeoutError,
)
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
)
from lakehouse.transactions.clone import clone_content
from tests.rows import box, frame

NOW = timedelta(0)
IDS = [f"f{n:02}" for n in range(12)]


@pytest.fixture
def source(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    """With vectors, metadata, compacted files, and rows marked dead in them."""
    dataset.add(
        [frame(one, user__n=n, embedding=[n, 1.0]) for n, one in enumerate(IDS)],
        [box(one, "a") for one in IDS],
    )
    dataset.modify(labels=[{"frame_id": "f03", "label_id": "a", "width": 9.0}])
    dataset.compact()
    dataset.delete(["f05"])
    dataset.add([frame("g")], [box("g", "a", class_name="debris")])
    state = dataset._collection.state("labels", dataset._collection.head().version)
    assert any(file.dead_rows for file in state.files.values())
    return dataset


def assert_whole(dataset: lakehouse.Dataset) -> None:
    """Sound in every way there is to look at it."""
    report = dataset.verify()
    assert report.is_sound, report.problems.to_dicts()
    assert_ledger_linear(dataset)
    assert_sound(dataset.latest())
    assert_log_replays(dataset)
    assert_plain_engine_agrees(dataset.latest())


def rows_of(snapshot: lakehouse.Snapshot) -> list[pl.DataFrame]:
    tables = (
        snapshot.frames(), snapshot.labels(),
        snapshot.frame_embeddings(), snapshot.label_embeddings(),
    )  # fmt: skip
    return [rows.sort(rows.collect_schema().names()[:2]).collect() for rows in tables]


@pytest.mark.parametrize("at", [1, 2, 3, "latest"])
def test_a_clone_begins_with_the_content_of_the_cloned_version(
    source: lakehouse.Dataset, at: int | str
) -> None:
    clone = source.clone("copy", at).wait()

    assert clone.version == 0
    assert clone.latest().fingerprint == source.at(at).fingerprint
    assert clone.latest().counts == source.at(at).counts
    for rows, expected in zip(
        rows_of(clone.latest()), rows_of(source.at(at)), strict=True
    ):
        assert rows.equals(expected)
    assert_whole(clone)


def test_every_table_of_a_clone_is_read_by_plain_engines(
    source: lakehouse.Dataset,
) -> None:
    clone = source.clone("copy").wait()

    for table in COLLECTION_TABLES:
        uri = clone._collection.store.uri(clone._collection.table_path(table))
        rows = pl.scan_delta(uri, version=0).collect()
        if table in {"labels", "labels_changes"}:
            assert rows.height == source.latest().counts["labels"]


def test_data_files_are_linked_and_none_is_written_again(
    source: lakehouse.Dataset,
) -> None:
    clone = source.clone("copy").wait()

    def inodes(dataset: lakehouse.Dataset, table: str) -> set[int]:
        collection = dataset._collection
        state = collection.state(table, collection.head().version)
        folder = collection.store.uri(collection.table_path(table))
        return {Path(folder, path).stat().st_ino for path in state.files}

    for table in ("frames", "labels", "frame_embeddings"):
        assert inodes(clone, table) == inodes(source, table)
        assert inodes(clone, f"{table}_changes") == inodes(source, table)


def test_both_go_their_own_way(source: lakehouse.Dataset) -> None:
    before, version = source.latest().fingerprint, source.version
    clone = source.clone("copy").wait()

    clone.modify(labels=[{"frame_id": "f03", "label_id": "a", "width": 1.0}])
    clone.delete(["f01"])
    clone.add([frame("h")], [box("h", "a")])
    source.delete(["f02"])
    clone.compact()

    assert source.at(version).fingerprint == before == clone.at(0).fingerprint
    assert clone.latest().counts == {"frames": 12, "labels": 12}
    assert clone.diff(0, "latest").frames().height == 2
    assert clone.restore(0).status == "DONE"
    assert clone.latest().fingerprint == before
    assert_whole(clone)
    assert_whole(source)


def test_version_0_stays_readable_after_its_files_are_collected(
    source: lakehouse.Dataset,
) -> None:
    before = rows_of(source.latest())
    clone = source.clone("copy").wait()
    clone.add([frame(one) for one in IDS], [])
    clone.compact()

    clone.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    with pytest.raises(NotFoundError):
        _ = clone.at(0).tables
    for rows, expected in zip(rows_of(clone.at(0)), before, strict=True):
        assert rows.select(expected.columns).equals(expected)
    assert_whole(clone)
    assert_whole(source)


def test_a_version_whose_files_were_collected_is_cloned_from_the_change_log(
    source: lakehouse.Dataset,
) -> None:
    before = source.at(1).fingerprint
    source.delete(IDS[:9])
    source.compact()
    source.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    with pytest.raises(NotFoundError):
        _ = source.at(1).tables

    clone = source.clone("copy", 1).wait()

    assert clone.latest().fingerprint == before
    assert_whole(clone)


def test_a_clone_is_cloned(source: lakehouse.Dataset) -> None:
    clone = source.clone("copy").wait()
    clone.delete(["f00"])

    again = clone.clone("again").wait()

    assert again.latest().fingerprint == clone.latest().fingerprint
    assert again.clone_of == "copy"
    assert_whole(again)


def test_what_was_uploaded_before_comes_along_at_version_0(
    source: lakehouse.Dataset,
) -> None:
    clone = source.clone("copy", 2).wait()

    uploads = clone.uploads()
    assert uploads["version"].to_list() == [0, 0]
    assert set(uploads["upload_id"]) == set(source.uploads()["upload_id"][-2:])
    history = clone.history("f03")
    assert set(history["version"]) == {0}
    assert set(history["op"]) == {"ADD"}
    rows = clone.latest().labels(provenance=True).collect()
    assert rows["version"].to_list() == [0] * 12
    with pytest.raises(InvalidInputError, match="came with the clone"):
        clone.revert(str(uploads["upload_id"][0]))
    with pytest.raises(InvalidInputError, match="came with the clone"):
        clone.upload(str(uploads["upload_id"][0])).diff()


def test_types_and_dimensions_stay_fixed_in_a_clone(source: lakehouse.Dataset) -> None:
    clone = source.clone("copy").wait()

    wrong = [frame("x", user__n="one"), frame("y", embedding=[1.0, 2.0, 3.0])]
    upload = clone.add([*wrong, frame("z", user__n=1)])

    assert upload.counts["rejected"] == 2
    assert upload.counts["created"] == 1


def test_a_clone_is_listed_before_it_can_be_read(lake_root: str) -> None:
    lake = lakehouse.connect(lake_root)
    project = lake.create_project("cells", classes=["cell"])
    project.create_dataset("hela").add([frame("f1")], [box("f1", "a")])
    later = lakehouse.connect(lake_root, merge="deferred").project("cells")

    clone = later.dataset("hela").clone("copy")

    assert clone.status == "PENDING"
    assert [one.name for one in project.datasets()] == ["copy", "hela"]
    copy = project.dataset("copy")
    assert not copy.is_ready
    assert repr(copy) == "<Dataset cells/copy: being cloned>"
    assert (copy.clone_of, project.dataset("hela").clone_name) == ("hela", "copy")
    assert [name for name, _ in lake.collections()] == ["cells/hela"]
    assert project.uploads().height == 1
    with pytest.raises(ConflictError, match="still being cloned"):
        copy.add([frame("f2")])
    with pytest.raises(WaitTimeoutError, match="finish_clones"):
        clone.wait(timedelta(milliseconds=10))

    assert [one.name for one in project.finish_clones()] == ["copy"]
    assert {clone.status} == {"DONE"}
    assert clone.wait().latest().counts == {"frames": 1, "labels": 1}
    assert project.finish_clones() == []


def test_the_version_asked_for_is_cloned_whatever_comes_meanwhile(
    lake_root: str,
) -> None:
    project = lakehouse.connect(lake_root).create_project("cells", classes=["cell"])
    dataset = project.create_dataset("hela")
    dataset.add([frame("f1")])
    later = lakehouse.connect(lake_root, merge="deferred").project("cells")
    later.dataset("hela").clone("copy")
    dataset.add([frame("f2")])
    dataset.compact()

    (copy,) = project.finish_clones()

    assert copy.latest().fingerprint == dataset.at(1).fingerprint


def test_a_name_that_is_taken_is_refused(
    project: lakehouse.Project, source: lakehouse.Dataset
) -> None:
    project.create_dataset("other")

    with pytest.raises(AlreadyExistsError):
        source.clone("other")
    with pytest.raises(InvalidInputError):
        source.clone("no name")
    source.clone("copy").wait()
    with pytest.raises(AlreadyExistsError):
        source.clone("copy")
    assert source.clone("copy", exist_ok=True).wait().clone_of == "hela"
    with pytest.raises(AlreadyExistsError):
        project.dataset("other").clone("copy", exist_ok=True)


def test_another_collection_in_the_clones_place_is_not_taken_for_it(
    project: lakehouse.Project, source: lakehouse.Dataset
) -> None:
    other = project.create_dataset("other")._collection

    with pytest.raises(AlreadyExistsError, match="another collection"):
        clone_content(source._collection, other, 1, author=None)


# ------------------------------- BATCH DATASETS ------------------------------ #


@pytest.fixture
def batch(project: lakehouse.Project) -> lakehouse.Dataset:
    dataset = project.create_dataset("legacy", mode="BATCH", metadata={"by": "mira"})
    dataset.add([frame("f1")], [box("f1", "a")])
    return dataset


def test_a_batch_dataset_is_cloned_as_a_mutable_one(
    project: lakehouse.Project, batch: lakehouse.Dataset
) -> None:
    clone = batch.clone_as_mutable().wait()

    assert (clone.name, clone.mode) == ("MUTABLE_legacy", "STREAMING")
    assert (clone.clone_of, batch.clone_name) == ("legacy", "MUTABLE_legacy")
    assert clone.metadata == {"by": "mira"}
    assert clone.modify(frames=[{"frame_id": "f1", "user__n": 1}]).status == "DONE"
    assert batch.latest().fingerprint == clone.at(0).fingerprint
    with pytest.raises(AlreadyExistsError):
        batch.clone_as_mutable()
    with pytest.raises(InvalidInputError, match="takes changes already"):
        clone.clone_as_mutable()
    assert_whole(clone)


def test_f_72_and_f_73_inference_sets_are_not_cloned_and_may_be_uploaded_anew(
    lake_root: str, batch: lakehouse.Dataset
) -> None:
    batch.create_inference_set("model_a").add([box("f1", "x", confidence=0.9)])

    clone = batch.clone_as_mutable().wait()

    assert clone.inference_sets() == []
    assert clone.checkpoints().height == 0
    client = al.Client(api_endpoint=lake_root)
    inferences = al.Inferences()
    guess = al.InferencesFrame(frame_id="f1")
    guess.add_inference_2d_bbox(
        label_id="x", classification="cell", top=1, left=2, width=3, height=4,
        confidence=0.9,
    )  # fmt: skip
    inferences.add_frame(guess)
    upload = client.create_or_update_inferences(
        "cells", clone.name, "model_a", inferences=inferences
    )
    assert upload.status == "DONE"
    model = clone.inference_set("model_a")
    assert model.pin == 0
    assert model.metrics(iou=0.5).matches()["outcome"].to_list() == ["TP"]
    assert batch.inference_set("model_a").pin == 1


# ------------------------------------- S3 ----------------------------------- #


@pytest.mark.s3
def test_a_clone_on_s3_is_copied_by_the_store(
    s3_root: str, s3_options: dict[str, str]
) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame(one) for one in IDS], [box(one, "a") for one in IDS])
    dataset.modify(labels=[{"frame_id": "f03", "label_id": "a", "width": 9.0}])

    clone = dataset.clone("copy").wait()
    clone.delete(["f01"])

    assert clone.at(0).fingerprint == dataset.latest().fingerprint
    assert clone.verify().is_sound
    assert clone.latest().counts == {"frames": 11, "labels": 11}


# ---------------------------------- COMMANDS -------------------------------- #


def test_commands_clone_and_list(lake_root: str, batch: lakehouse.Dataset) -> None:
    from tests.unit.cli.test_commands import as_json, run  # noqa: PLC0415 - its helpers

    made = as_json(lake_root, "dataset", "clone", "cells/legacy", "--deferred")
    assert made == {"name": "MUTABLE_legacy", "status": "PENDING"}
    listed = as_json(lake_root, "dataset", "list", "cells")
    assert [(row["name"], row["mode"], row["status"]) for row in listed] == [
        ("MUTABLE_legacy", "STREAMING", "PENDING"), ("legacy", "BATCH", "DONE"),
    ]  # fmt: skip
    shown = as_json(lake_root, "dataset", "show", "cells/MUTABLE_legacy")
    assert shown["status"] == "PENDING"
    assert run(lake_root, "run", "verify").exit_code == 0

    assert as_json(lake_root, "run", "clone") == [
        {"target": "cells/MUTABLE_legacy", "clone_of": "legacy"}
    ]
    made = as_json(lake_root, "dataset", "clone", "cells/legacy@0", "empty")
    assert made == {"name": "empty", "status": "DONE"}
    shown = as_json(lake_root, "dataset", "show", "cells/MUTABLE_legacy")
    assert (shown["frames"], shown["clone_of"]) == (1, "legacy")
    assert json.dumps(shown)
