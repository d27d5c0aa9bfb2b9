"""Data files: gone, cut short, swapped by a twin; and tables that tell of uploads."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.errors import FormatError, StorageError
from lakehouse.storage import Written, open_store
from lakehouse.storage.local import LocalStore
from lakehouse.testing import FaultyStore
from tests.unit.verify.forgery import file_of, forge_rows
from tests.unit.verify.prepared import opened


@pytest.fixture
def dataset(copied: Path) -> lakehouse.Dataset:
    return opened(copied)


def verified(dataset: lakehouse.Dataset, *, full: bool = True) -> pl.DataFrame:
    return opened(dataset._collection.store.root).verify(full=full).problems


@pytest.mark.parametrize("table", ["labels", "labels_changes", "versions"])
@pytest.mark.parametrize("full", [True, False])
def test_a_missing_file(dataset: lakehouse.Dataset, table: str, *, full: bool) -> None:
    path = file_of(dataset, table)
    dataset._collection.store.delete(path)

    problems = verified(dataset, full=full)

    assert problems["check"].to_list() == ["file.missing"]
    assert problems.select("table", "file").row(0) == (table, path)


@pytest.mark.parametrize("full", [True, False])
def test_a_truncated_file(dataset: lakehouse.Dataset, *, full: bool) -> None:
    store, path = dataset._collection.store, file_of(dataset, "frames")
    store.put(path, store.read(path)[:-7])

    problems = verified(dataset, full=full)

    assert problems["check"][0] == "file.size"
    assert set(problems["file"]) == {path}


def test_the_hint_names_the_intact_copy(dataset: lakehouse.Dataset) -> None:
    path = file_of(dataset, "labels", frame_id="f11", width=5.0)
    twin = path.replace("/labels/", "/labels_changes/")
    store = dataset._collection.store
    data = store.read(path)
    store.put(path, data[:50] + b"\x00" + data[51:])

    (problem,) = verified(dataset).to_dicts()

    assert problem["check"] == "file.bytes"
    assert twin in problem["hint"]
    store.put(path, store.read(twin))
    assert not verified(dataset).height


def test_a_corrupt_file_that_two_tables_share_is_reported_in_both(
    prepared: Path,
) -> None:
    """Looked at in place: the prepared lake has real links."""
    dataset = opened(prepared)
    path = file_of(dataset, "labels", frame_id="f11", width=5.0)
    twin = path.replace("/labels/", "/labels_changes/")
    store = dataset._collection.store
    place = Path(store.uri(path))
    assert place.samefile(store.uri(twin))
    data = place.read_bytes()
    try:
        place.write_bytes(data[:50] + b"\x00" + data[51:])
        problems = verified(dataset)
    finally:
        place.write_bytes(data)

    assert problems["check"].to_list() == ["file.bytes"] * 2
    assert set(problems["file"]) == {path, twin}


class BadBlock(LocalStore):
    """A disk that cannot read one of its files."""

    def checksum(self, path: str) -> Written:
        if "labels_changes/" in path:
            raise StorageError(f"{path}: Input/output error.", kind="store.os_error")
        return super().checksum(path)


def test_a_file_that_the_disk_cannot_read(dataset: lakehouse.Dataset) -> None:
    lake = lakehouse.connect(store=BadBlock(dataset._collection.store.root))

    problems = lake.project("cells").dataset("hela").verify().problems

    assert set(problems["check"]) == {"file.unreadable"}
    assert set(problems["table"]) == {"labels_changes"}


def test_a_failing_store_is_no_corruption(dataset: lakehouse.Dataset) -> None:
    """A network that fails is not held against the data: the same call may succeed."""
    root = dataset._collection.store.root
    calls = FaultyStore(open_store(root))
    lakehouse.connect(store=calls).project("cells").dataset("hela").verify()

    for at in range(8, len(calls.calls), 29):
        faulty = FaultyStore(open_store(root), at)
        lake = lakehouse.connect(store=faulty)
        with pytest.raises(StorageError, match="Injected"):
            lake.project("cells").dataset("hela").verify()


@pytest.mark.parametrize(
    ("table", "having", "change", "message"),
    [
        ("uploads", {"version": 4}, pl.col("version") + 1, "says version 5"),
        ("uploads", {"version": 4}, None, "lacks it"),
        ("versions", {"version": 4}, pl.lit("noor").alias("author"), "author"),
        ("versions", {"version": 4}, None, "lacks version 4"),
        ("tags", {"name": "baseline"}, pl.lit(99).alias("version"), "names 99"),
        ("upload_errors", {}, pl.lit("stranger").alias("upload_id"), "stranger"),
    ],
)
@pytest.mark.parametrize("full", [True, False])
def test_records_that_differ_from_the_ledger(
    dataset: lakehouse.Dataset,
    table: str,
    having: dict[str, Any],
    change: pl.Expr | None,
    message: str,
    *,
    full: bool,
) -> None:
    def changed(rows: pl.DataFrame) -> pl.DataFrame:
        if change is None:
            (name, value), *_ = having.items()
            return rows.filter(pl.col(name) != value)
        return rows.with_columns(change)

    forge_rows(dataset, file_of(dataset, table, **having), changed)

    problems = verified(dataset, full=full).filter(check=f"{table}.rows")

    assert message in " ".join(problems["message"])


def test_the_text_of_a_verification(dataset: lakehouse.Dataset) -> None:
    sound = dataset.verify()
    assert sound.is_sound
    assert repr(sound).startswith(
        "<Verification (full): sound; 14 entries, 12 versions"
    )
    sound.raise_for_problems()
    for table in ("labels", "frames"):
        dataset._collection.store.delete(file_of(dataset, table))

    verification = opened(dataset._collection.store.root).verify(full=False)

    assert not verification.is_sound
    assert verification.to_frame().height == 2
    assert "(quick): 2 problems" in repr(verification)
    with pytest.raises(FormatError, match=r"(?s)2 problems:.*labels/part-"):
        verification.raise_for_problems()


def test_progress_is_reported_in_stages(dataset: lakehouse.Dataset) -> None:
    reported: dict[str, list[tuple[int, int]]] = {}

    dataset.verify(
        progress=lambda stage, done, total: reported.setdefault(stage, []).append(
            (done, total)
        )
    )

    assert list(reported) == ["ledger", "files", "rows", "keys"]
    for steps in reported.values():
        assert steps[-1][0] == steps[-1][1]
        assert steps == sorted(steps)
