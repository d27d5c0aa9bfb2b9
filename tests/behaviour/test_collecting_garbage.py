"""Garbage collection: what goes, what stays, and that every version is still read."""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

import lakehouse
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.storage import open_store
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
)
from lakehouse.transactions import finish
from tests.rows import box, frame

NOW = timedelta(0)
DAY = timedelta(days=1)
WHOLE_SECONDS = timedelta(seconds=-1)
"""The clock of S3 has whole seconds: a file written just now may be of the future."""


@pytest.fixture
def changed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    """Six versions whose files were written again in between."""
    dataset.add(
        [frame(f"f{n}") for n in range(4)], [box(f"f{n}", "a") for n in range(4)]
    )
    dataset.checkpoint("first")
    for width in (5.0, 6.0):
        dataset.upsert_labels([box(f"f{n}", "a", width=width) for n in range(4)])
        dataset.compact()
    dataset.modify([{"frame_id": "f0", "user__n": 1}])
    dataset.delete(["f3"])
    dataset.compact()
    return dataset


def fingerprints(dataset: lakehouse.Dataset) -> dict[int, str]:
    return {v: dataset.at(v).fingerprint for v in dataset.versions()["version"]}


def assert_all_read(
    dataset: lakehouse.Dataset, before_collection: dict[int, str]
) -> None:
    """Every version's rows are those that its fingerprint was made of."""
    assert fingerprints(dataset) == before_collection
    for version in before_collection:
        assert_sound(dataset.at(version))
        assert_plain_engine_agrees(dataset.at(version))
    assert_log_replays(dataset)
    assert_ledger_linear(dataset)


def forget_leases(dataset: lakehouse.Dataset) -> None:
    folder = dataset._collection.store.uri(f"{dataset._collection.path}/leases")
    shutil.rmtree(folder, ignore_errors=True)


def collect(dataset: lakehouse.Dataset, **options: timedelta) -> lakehouse.Garbage:
    wanted = {"retention": NOW, "grace": NOW} | options
    return dataset.collect_garbage(**wanted, dry_run=False)


def files_of(dataset: lakehouse.Dataset) -> set[str]:
    store = dataset._collection.store
    return {file.path for file in store.files(dataset._collection.path)}


def test_a_dry_run_tells_and_touches_nothing(changed: lakehouse.Dataset) -> None:
    before = files_of(changed)

    garbage = changed.collect_garbage(retention=NOW, grace=NOW)

    assert garbage.dry_run
    assert garbage.files > 0
    assert garbage.bytes > 0
    assert garbage.closed
    assert "labels" in garbage.to_frame()["folder"].to_list()
    assert files_of(changed) == before
    done = collect(changed)
    assert (done.files, done.bytes, done.closed) == (
        garbage.files, garbage.bytes, garbage.closed,
    )  # fmt: skip
    assert len(before - files_of(changed)) == garbage.files


def test_every_version_is_read_as_before(changed: lakehouse.Dataset) -> None:
    before_collection = fingerprints(changed)

    garbage = collect(changed)

    assert not garbage.damaged
    assert not changed._collection.is_closed(1)
    assert changed._collection.is_closed(garbage.closed[0])
    assert_all_read(changed, before_collection)
    fresh = lakehouse.connect(store=changed._collection.store)
    assert_all_read(fresh.project("cells").dataset("hela"), before_collection)


def test_reading_tables_of_a_collected_version_names_restore(
    changed: lakehouse.Dataset,
) -> None:
    closed = collect(changed).closed[0]

    with pytest.raises(lakehouse.NotFoundError, match=f"restore\\({closed}\\)"):
        _ = changed.at(closed).tables


def test_history_and_restore_know_closed_versions(changed: lakehouse.Dataset) -> None:
    before = changed.history("f3")
    closed = collect(changed).closed[-1]

    assert changed.history("f3").equals(before)
    changed.restore(closed)
    assert changed.latest().fingerprint == changed.at(closed).fingerprint
    assert_sound(changed.latest())


def test_what_is_young_or_lately_the_latest_stays(changed: lakehouse.Dataset) -> None:
    assert collect(changed, grace=DAY).files == 0
    assert collect(changed, retention=DAY).closed == ()
    assert not collect(changed).damaged


def test_within_the_retention_time_only_files_that_compaction_replaced_go(
    changed: lakehouse.Dataset,
) -> None:
    before_collection = fingerprints(changed)

    garbage = collect(changed, retention=DAY)

    assert garbage.files > 0
    assert_all_read(changed, before_collection)


def test_nothing_unnamed_remains(changed: lakehouse.Dataset) -> None:
    changed.get_checkpoint("first").archive()
    collect(changed)
    finish()

    assert changed.collect_garbage(retention=NOW, grace=NOW).files == 0
    collection = changed._collection
    named = {
        f"{collection.table_path(table)}/{path}"
        for table in COLLECTION_TABLES
        for path in collection.state(table, collection.head().version).files
    }
    rest = {
        path
        for path in files_of(changed) - named
        if "/ledger/" not in path and "/_delta_log/" not in path
    }
    assert rest == set()


def test_an_archived_checkpoint_lets_its_files_go(changed: lakehouse.Dataset) -> None:
    before_collection = fingerprints(changed)
    collect(changed)
    assert not changed._collection.is_closed(1)

    changed.get_checkpoint("first").archive()
    collect(changed)

    assert changed._collection.is_closed(1)
    assert changed.at("first").fingerprint == before_collection[1]
    assert_all_read(changed, before_collection)


def test_a_checkpoint_on_a_closed_version_is_read_from_the_change_log(
    changed: lakehouse.Dataset,
) -> None:
    closed = collect(changed).closed[0]

    changed.checkpoint("late", closed)

    assert_sound(changed.at("late"))
    assert not collect(changed).damaged
    assert_sound(changed.at("late"))


# ------------------------------------ RACES ----------------------------------- #


def test_a_lease_keeps_the_files_of_a_reader(changed: lakehouse.Dataset) -> None:
    rows = changed.at(4).labels()
    wanted = rows.sort("frame_id").collect()

    garbage = collect(changed)

    assert rows.sort("frame_id").collect().equals(wanted)
    assert changed._collection.is_closed(4) == (4 in garbage.closed)
    forget_leases(changed)
    collect(changed)
    assert changed.at(4).labels().sort("frame_id").collect().equals(wanted)


def test_a_lease_that_ran_out_keeps_nothing(changed: lakehouse.Dataset) -> None:
    changed.at(4).labels().collect()
    collection = changed._collection
    (lease,) = collection.store.files(f"{collection.path}/leases")
    ended = (lease.modified - timedelta(days=2)).timestamp()
    os.utime(collection.store.uri(lease.path), (ended, ended))

    collect(changed)

    assert not collection.store.names(f"{collection.path}/leases")
    assert changed.collect_garbage(retention=NOW, grace=NOW).files == 0


def test_a_reader_without_a_lease_is_protected_by_the_grace_time(
    changed: lakehouse.Dataset,
) -> None:
    rows = changed.latest().labels()
    wanted = rows.sort("frame_id").collect()
    age_files(changed)
    changed.upsert_labels([box(f"f{n}", "a", width=1.5) for n in range(3)])
    changed.compact()

    collect(changed, grace=timedelta(minutes=1))

    assert rows.sort("frame_id").collect().equals(wanted)


def age_files(dataset: lakehouse.Dataset) -> None:
    """Let every file there is be a day old."""
    past = time.time() - DAY.total_seconds()
    for path in files_of(dataset):
        os.utime(dataset._collection.store.uri(path), (past, past))


@pytest.mark.parametrize("slow", ["add", "restore", "compact"])
def test_a_slow_writer_loses_to_the_collection_and_writes_again(
    changed: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """It wrote its files, slept through a whole collection, and woke up to decide."""
    lake = lakehouse.connect(store=changed._collection.store)
    writer = lake.project("cells").dataset("hela")
    writer.upsert_labels([box("f1", "b"), box("f2", "b")])
    decide, collected = writer._collection.ledger.decide, list[lakehouse.Garbage]()

    def late(entry: object, **options: Any) -> bool:
        if not collected:
            forget_leases(changed)
            collected.append(collect(changed))
        return decide(entry, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(writer._collection.ledger, "decide", late)
    if slow == "add":
        writer.add([frame("slow")], [box("slow", "a")])
    elif slow == "restore":
        writer.restore(1)
    else:
        writer.compact()

    assert collected[0].files > 0
    assert_sound(changed.latest())
    assert_ledger_linear(changed)
    if slow == "add":
        assert "slow" in changed.latest().frames().collect()["frame_id"]
    assert not collect(changed).damaged


def test_a_checkpoint_made_before_the_entry_keeps_its_version_open(
    changed: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector had planned, and the checkpoint came first: it plans again."""
    lake = lakehouse.connect(store=changed._collection.store)
    collector = lake.project("cells").dataset("hela")
    decide, made = collector._collection.ledger.decide, list[lakehouse.Checkpoint]()

    def late(entry: object, **options: Any) -> bool:
        if not made:
            made.append(changed.checkpoint("quick", 4))
        return decide(entry, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(collector._collection.ledger, "decide", late)

    garbage = collect(collector)

    assert 4 not in garbage.closed
    assert garbage.closed
    assert_plain_engine_agrees(changed.at("quick"))


# ---------------------------------- LEFTOVERS --------------------------------- #


def test_what_dead_writers_left_goes(changed: lakehouse.Dataset) -> None:
    collection = changed._collection
    store, top = collection.store, Path(collection.store.uri(collection.path))
    store.put(f"{collection.path}/labels/part-orphan.parquet", b"nobody names me")
    store.put(f"{collection.path}/staging/dead/frames-0.parquet", b"no manifest")
    (top / "ledger" / ".tmp-dead").write_bytes(b"half an entry")

    garbage = collect(changed)

    assert {"labels", "ledger", "staging"} <= set(garbage.to_frame()["folder"])
    assert not (top / "staging" / "dead" / "frames-0.parquet").exists()
    assert not (top / "ledger" / ".tmp-dead").exists()
    assert not (top / "labels" / "part-orphan.parquet").exists()
    assert not changed.is_processing
    # The note that the upload was abandoned goes in the next round.
    assert (top / "staging" / "dead" / "manifest.json").exists()
    collect(changed)
    assert not (top / "staging" / "dead").exists()


def test_a_slow_stager_fails_when_its_upload_was_abandoned(
    changed: lakehouse.Dataset,
) -> None:
    collection = changed._collection
    collection.store.put(f"{collection.path}/staging/slow/frames-0.parquet", b"half")
    collect(changed)

    with pytest.raises(lakehouse.InvalidInputError, match="is taken"):
        changed.add([frame("new")], upload_id="slow")
    assert "new" not in changed.latest().frames().collect()["frame_id"]


def test_rejected_rows_stay_for_a_retry_for_thirty_days(
    changed: lakehouse.Dataset,
) -> None:
    upload = changed.add([frame("g")], [box("g", "a", class_name="cel")])
    collect(changed)

    assert upload.rejected()[0].height == 1
    for path in files_of(changed):
        if "/staging/" in path:
            past = time.time() - timedelta(days=31).total_seconds()
            os.utime(changed._collection.store.uri(path), (past, past))
    collect(changed)
    assert upload.rejected()[0].height == 0
    assert upload.errors().height == 1


def test_uploads_that_wait_are_never_garbage(changed: lakehouse.Dataset) -> None:
    lake = lakehouse.connect(store=changed._collection.store, merge="deferred")
    waiting = lake.project("cells").dataset("hela").add([frame("g")])
    age_files(changed)

    collect(changed)

    changed.merge_pending()
    assert waiting.status == "DONE"


@pytest.fixture
def on_s3(s3_root: str, s3_options: dict[str, str]) -> Iterator[lakehouse.Dataset]:
    lake = lakehouse.connect(store=open_store(s3_root, s3_options))
    project = lake.create_project("cells", classes=["cell"])
    yield project.create_dataset("hela")
    finish()


@pytest.mark.s3
def test_f01_f03_every_version_is_kept_on_s3(on_s3: lakehouse.Dataset) -> None:
    on_s3.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "a")])
    on_s3.checkpoint("first")
    on_s3.upsert_labels([box("f1", "a", width=7.0)])
    on_s3.delete(["f2"])
    on_s3.compact()
    before_collection = fingerprints(on_s3)
    garbage = collect(on_s3, grace=WHOLE_SECONDS)

    assert garbage.files > 0
    assert not garbage.damaged
    assert fingerprints(on_s3) == before_collection
    for version in before_collection:
        assert_sound(on_s3.at(version))


def test_a_collector_whose_clock_is_a_year_ahead_removes_nothing_young(
    changed: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(time.time() + 365 * 86_400, tz)

    rows = changed.at(4).labels()
    wanted = rows.sort("frame_id").collect()
    monkeypatch.setattr("lakehouse.transactions.garbage.datetime", Ahead)

    garbage = changed.collect_garbage(dry_run=False)

    assert (garbage.files, garbage.closed) == (0, ())
    assert len(changed._collection.leases.held(datetime.now(UTC))) == 1
    assert rows.sort("frame_id").collect().equals(wanted)


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"\xff\xfe"])
def test_a_lease_whose_note_is_damaged_keeps_its_version(
    changed: lakehouse.Dataset, data: bytes
) -> None:
    collection = changed._collection
    collection.store.put(f"{collection.path}/leases/4-0123456789abcdef.json", data)

    assert collection.leases.held(datetime.now(UTC)) == {4}
