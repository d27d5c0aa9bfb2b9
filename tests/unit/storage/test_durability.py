"""What survives a power cut on a local disk, and what a failing disk leaves."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import lakehouse
from lakehouse.errors import StorageError
from lakehouse.storage.conditional import put_once
from lakehouse.storage.local import LocalStore
from lakehouse.testing.faults import Loss, VolatileStore
from tests.rows import box, frame


class Careless(LocalStore):
    """Another process that was stopped before it flushed anything."""

    def _sync(self, path: str) -> None:
        del path


@pytest.fixture
def root(tmp_path: Path) -> str:
    lake = lakehouse.connect(tmp_path / "lake", compaction="manual")
    lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    return str(tmp_path / "lake")


def dataset_in(store: LocalStore, merge: str = "inline") -> lakehouse.Dataset:
    lake = lakehouse.connect(store=store, compaction="manual", merge=merge)  # type: ignore[arg-type]
    return lake.project("cells").dataset("hela")


@pytest.mark.parametrize(
    ("merge", "loss"),
    [("inline", "gone"), ("deferred", "gone"), ("deferred", "emptied")],
)
def test_an_acknowledged_upload_survives(root: str, merge: str, loss: Loss) -> None:
    store = VolatileStore(root)
    upload = dataset_in(store, merge).add([frame("f1")], [box("f1", "a")])

    store.cut_power(loss)

    mended = lakehouse.connect(root).project("cells").dataset("hela")
    assert upload.id in mended.uploads()["upload_id"].to_list()
    mended.merge_pending()
    assert mended.latest().labels().collect()["label_id"].to_list() == ["a"]


def test_entries_that_others_put_are_durable_before_the_next_is_there(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "store"
    LocalStore(folder).put_new("ledger/0", b"zero", durable=True)
    store = VolatileStore(folder)
    Careless(folder).put_new("ledger/1", b"one", durable=True)

    flushes: list[set[str]] = []
    link = store._sync

    def sync(path: str) -> None:
        link(path)
        if path.endswith("ledger"):
            flushes.append(set(store.names("ledger")))

    store._sync = sync  # type: ignore[method-assign]
    store.put_new("ledger/2", b"two", durable=True)

    assert flushes == [{"0", "1"}, {"0", "1", "2"}]


def test_an_id_that_another_process_settled_is_durable_once_answered(root: str) -> None:
    upload_id = str(uuid.uuid4())
    store = VolatileStore(root)
    dataset_in(Careless(root)).add([frame("f1")], upload_id=upload_id)

    assert dataset_in(store).add([frame("f1")], upload_id=upload_id).status == "DONE"

    store.cut_power("gone")
    ledger = Path(root, "cells/datasets/hela/ledger")
    assert sorted(path.stem.lstrip("0") for path in ledger.glob("*.json")) == ["", "1"]


def test_a_put_whose_flush_failed_has_landed_once_a_flush_succeeds(
    tmp_path: Path,
) -> None:
    store = LocalStore(tmp_path)
    failing = ["the flush of the name"]

    def sync(path: str) -> None:
        if path.endswith("ledger") and store.exists("ledger/0") and failing:
            raise OSError(5, failing.pop())

    store._sync = sync  # type: ignore[method-assign]

    assert put_once(store, "ledger/0", b"zero", durable=True)
    assert not failing


def test_an_add_flushes_in_two_rounds(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)
    dataset = dataset_in(store)
    dataset.add([frame("f1")])
    rounds: list[int] = []
    flush, sync = LocalStore._flush, LocalStore._sync

    def counted(self: LocalStore, files: list[str]) -> None:
        rounds.append(len(files))
        monkeypatch.setattr(LocalStore, "_sync", sync)
        flush(self, files)
        monkeypatch.setattr(LocalStore, "_sync", alone)

    def alone(self: LocalStore, path: str) -> None:
        rounds.append(1)
        sync(self, path)

    monkeypatch.setattr(LocalStore, "_flush", counted)
    monkeypatch.setattr(LocalStore, "_sync", alone)

    dataset.add([frame("f2")])

    assert len(rounds) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named_and_what_was_begun_is_removed(small_disk: Path) -> None:
    lake = lakehouse.connect(small_disk / "lake", compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    large = pl.DataFrame(
        {
            "frame_id": [f"f{n}" for n in range(20_000)],
            "image_url": [os.urandom(160).hex() for _ in range(20_000)],
        }
    )

    with pytest.raises(StorageError, match=r"on the disk of .*Free space on it"):
        dataset.add(large)

    assert dataset.add([frame("f1")]).status == "DONE"
