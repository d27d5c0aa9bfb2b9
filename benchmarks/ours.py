"""The work by this package: staging, change log, hashes and ledger included."""

from pathlib import Path

import polars as pl

import lakehouse
from benchmarks.data import CLASSES, COLUMNS, Data, checksum
from benchmarks.measure import Measured, Timer, size_of
from lakehouse.transactions import finish


def create(root: Path, **options: str) -> lakehouse.Dataset:
    """A new lake with an empty dataset."""
    lake = lakehouse.connect(root, **options)  # type: ignore[arg-type]
    return lake.create_project("bench", classes=CLASSES).create_dataset("boxes")


def dataset_at(root: Path, merge: str = "inline") -> lakehouse.Dataset:
    """The dataset, opened by a new connection."""
    lake = lakehouse.connect(root, merge=merge)  # type: ignore[arg-type]
    return lake.project("bench").dataset("boxes")


def load(root: Path, data: Data) -> Measured:
    """Load frames and labels by one `add`."""
    frames, labels = data.frames(), data.labels()
    dataset, timer = create(root), Timer()
    with timer():
        dataset.add(frames, labels)
    return Measured(timer.seconds, 0, size_of(root), checksum(_labels(dataset)))


def merges(root: Path, data: Data, kind: str, numbers: list[int]) -> Measured:
    """Upsert changes of one kind, one after the other, in one process."""
    labels = data.labels()
    changes = [data.change(kind, number, labels) for number in numbers]
    dataset, timer, before = dataset_at(root), Timer(), size_of(root)
    for change in changes:
        with timer():
            dataset.upsert_labels(change)
    finish()
    written = (size_of(root) - before) // len(numbers)
    return Measured(timer.seconds, 0, written, checksum(_labels(dataset)))


def peak(root: Path, change: Path) -> Measured:
    """One upsert from a file, so that the process holds no other data."""
    dataset, timer = dataset_at(root), Timer()
    with timer():
        dataset.upsert_labels(pl.scan_parquet(change))
    return Measured(timer.seconds)


def scan(root: Path, plain: Path, rounds: int) -> tuple[Measured, Measured]:
    """Scan all labels of the latest version, and the same rows in plain Parquet.

    By turns, so that both meet the same state of the machine.
    """
    snapshot, lake, parquet = dataset_at(root).latest(), Timer(), Timer()
    snapshot.labels().select(COLUMNS).collect().write_parquet(plain)
    for _ in range(rounds):
        with parquet():
            pl.scan_parquet(plain).select(COLUMNS).collect()
        with lake():
            snapshot.labels().select(COLUMNS).collect()
    return Measured(lake.seconds), Measured(parquet.seconds)


def _labels(dataset: lakehouse.Dataset) -> pl.DataFrame:
    return dataset.latest().labels().select(COLUMNS).collect()
