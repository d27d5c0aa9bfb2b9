"""One contract, every store: a local folder, and S3."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import lakehouse
from lakehouse.errors import FormatError, NotFoundError, StorageError
from lakehouse.storage import Store, open_store, probe_conditional_writes
from lakehouse.storage.local import LocalStore
from lakehouse.testing.invariants import assert_ledger_linear, assert_sound
from tests.rows import box, frame


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(
        request.getfixturevalue("s3_root"), request.getfixturevalue("s3_options")
    )


def test_objects_come_and_go(store: Store) -> None:
    store.put("a/b.txt", b"one")
    store.put("a/b.txt", b"two")

    assert store.read("a/b.txt") == b"two"
    assert store.exists("a/b.txt")
    assert store.names("a") == ["b.txt"]
    (file,) = store.files("a")
    assert (file.path, file.size) == ("a/b.txt", 3)
    assert abs(datetime.now(UTC) - file.modified) < timedelta(minutes=1)
    store.delete("a/b.txt")
    store.delete("a/b.txt")
    assert store.names("a") == []
    with pytest.raises(NotFoundError, match=r"a/b\.txt"):
        store.read("a/b.txt")


def test_put_new_puts_once(store: Store) -> None:
    assert store.put_new("k", b"first", durable=True)
    assert not store.put_new("k", b"second")
    assert store.read("k") == b"first"


def test_one_of_many_racers_wins(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.put_new("race", b"%d" % n), range(16)))

    assert sum(won) == 1
    assert store.read("race") == b"%d" % won.index(True)


def test_tables_are_written_shared_and_scanned(store: Store) -> None:
    rows = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    store.write_table("t/one.parquet", rows)
    store.write_table("t/two.parquet", rows.select("a"))
    store.share("t/one.parquet", "u/one.parquet")

    rows_read = store.scan(["u/one.parquet", "t/two.parquet"], rows.schema).collect()

    assert rows_read["b"].to_list() == ["x", "y", None, None]


def test_the_probe_accepts_stores_that_honour_conditions(store: Store) -> None:
    probe_conditional_writes(store)
    assert store.names(".probe") == []


class Careless(LocalStore):
    """A store that ignores conditions, as some S3 servers do."""

    def put_new(
        self,
        path: str,
        data: bytes,
        *,
        durable: bool = False,
        after: Sequence[str] = (),
    ) -> bool:
        del durable, after
        self.put(path, data)
        return True


def test_a_store_that_ignores_conditions_is_refused(tmp_path: Path) -> None:
    lake = lakehouse.connect(store=Careless(tmp_path))

    with pytest.raises(StorageError, match="conditional writes"):
        lake.create_project("cells", classes=["cell"])


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text('{"format_version": 99}', encoding="utf-8")

    with pytest.raises(FormatError, match="Upgrade"):
        lakehouse.connect(tmp_path)


def opened(store: Store, merge: str = "inline") -> lakehouse.Dataset:
    lake = lakehouse.connect(store=store, merge=merge)  # type: ignore[arg-type]
    project = lake.create_project("cells", classes=["cell"], exist_ok=True)
    return project.create_dataset("hela", exist_ok=True)


def test_the_main_job_runs_on_every_store(store: Store) -> None:
    dataset = opened(store)
    dataset.add(
        [frame("f1", embedding=[1.0, 2.0]), frame("f2")],
        [box("f1", "a"), box("f2", "a")],
    )
    dataset.modify([{"frame_id": "f1", "user__split": "train"}])
    dataset.upsert_labels([box("f1", "a", width=9.0)])
    dataset.delete(["f2"])

    assert [dataset.at(n).counts["labels"] for n in range(5)] == [0, 2, 2, 2, 1]
    assert_ledger_linear(dataset)
    for version in range(1, 5):
        assert_sound(dataset.at(version))
        at = dataset.at(version).tables["labels"]
        options: Mapping[str, str] = store.storage_options
        plain = pl.scan_delta(
            at.uri, version=at.version, storage_options=dict(options) or None
        )
        assert plain.collect().height == dataset.at(version).counts["labels"]


def test_two_mergers_at_once_settle_every_upload_once(store: Store) -> None:
    writer = opened(store, "deferred")
    staged = [writer.add([frame(f"f{n}")], [box(f"f{n}", "a")]).id for n in range(6)]

    def merge(_: int) -> Sequence[str]:
        return [upload.id for upload in opened(store).merge_pending()]

    with ThreadPoolExecutor(2) as pool:
        settled = [upload for part in pool.map(merge, range(2)) for upload in part]

    assert sorted(settled) == sorted(staged)
    assert opened(store).latest().counts == {"frames": 6, "labels": 6}
    assert_ledger_linear(opened(store))
