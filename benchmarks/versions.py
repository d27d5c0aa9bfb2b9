"""Histories of frames, versions compared, old versions opened."""

from pathlib import Path

import polars as pl

from benchmarks.data import COLUMNS, KEY, Data
from benchmarks.measure import Measured, Timer
from benchmarks.ours import dataset_at
from lakehouse.transactions import finish

_EVERY = 50
"""One version in so many changes a percent of the labels; others those of one frame."""

_LARGE = 2
"""Its place among them: below ten, so that the first ten versions have one too."""


def aged(root: Path, data: Data, versions: int) -> int:
    """Make versions; the newest of those that changed a percent of the labels.

    One frame is changed as often as there are such versions.
    """
    labels, dataset = data.labels(), dataset_at(root)
    often = labels.slice(often_changed(data) * data.per_frame, data.per_frame)
    large = dataset.version
    for number in range(versions):
        if number % _EVERY == _LARGE:
            dataset.upsert_labels(data.change("random", number, labels))
            large = dataset.version
        elif number % _EVERY == _EVERY - 1:
            dataset.upsert_labels(often.with_columns(top=pl.lit(float(number))))
        else:
            dataset.upsert_labels(data.change("one", number, labels))
    finish()
    return large


def often_changed(data: Data) -> int:
    """The number of the frame that `aged` changes again and again."""
    return data.frame_count // 3


def histories(root: Path, data: Data, rounds: int) -> Measured:
    """Histories of some frames, one of them changed often; by one connection."""
    dataset, timer = dataset_at(root), Timer()
    dataset.history(data.frames().get_column("frame_id")[0])
    for name in _chosen(data, rounds):
        with timer():
            rows = dataset.history(name)
        assert rows.height >= data.per_frame
    return Measured(timer.seconds)


def histories_anew(root: Path, data: Data, rounds: int) -> Measured:
    """The same, each by a new connection."""
    timer = Timer()
    for name in _chosen(data, rounds):
        with timer():
            rows = dataset_at(root).history(name)
        assert rows.height >= data.per_frame
    return Measured(timer.seconds)


def _chosen(data: Data, count: int) -> list[str]:
    step = data.frame_count // (count + 1)
    names = data.frames().get_column("frame_id")
    return [names[often_changed(data)], *names[step : step * count : step]]


def compared(root: Path, until: int, rounds: int) -> tuple[Measured, Measured]:
    """Compare a version with the one before it: by `diff`, and whole by plain Polars.

    Each round of `diff` is a new connection; keys and values of both must be equal.
    """
    by_diff, by_join = Timer(), Timer()
    for _ in range(rounds):
        with by_diff():
            diff = dataset_at(root).diff(until - 1, until)
            changed = diff.labels()
            before, after = diff.before(), diff.after()
    dataset = dataset_at(root)
    old, new = (
        dataset.at(version).labels().select(COLUMNS) for version in (until - 1, until)
    )
    with by_join():
        both = old.join(new, on=KEY, how="full", coalesce=True, suffix="_after")
        differs = pl.any_horizontal(
            pl.col(name).ne_missing(pl.col(f"{name}_after"))
            for name in COLUMNS
            if name not in KEY
        )
        right = both.filter(differs).sort(KEY).collect()
    assert changed.select(KEY).equals(right.select(KEY))
    assert before.select(COLUMNS).equals(right.select(COLUMNS))
    renamed = {f"{name}_after": name for name in COLUMNS if name not in KEY}
    right_after = right.select(*KEY, *renamed).rename(renamed)
    assert after.select(COLUMNS).equals(right_after)
    return Measured(by_diff.seconds), Measured(by_join.seconds)


def checkpoints(root: Path, rounds: int) -> Measured:
    """Make checkpoints, one after the other."""
    dataset, timer = dataset_at(root), Timer()
    for number in range(rounds):
        with timer():
            dataset.checkpoint(f"bench-{number}", dataset.version - number)
    assert dataset.checkpoints().height == rounds
    return Measured(timer.seconds)


def opened_at(root: Path, frame_id: str, version: int, rounds: int) -> Measured:
    """Open an old version by a new connection, and read one frame and its labels."""
    timer = Timer()
    for _ in range(rounds):
        with timer():
            _, rows = dataset_at(root).at(version).frame(frame_id)
        assert rows.height
    return Measured(timer.seconds)


def scanned_at(root: Path, frame_id: str, version: int, rounds: int) -> Measured:
    """The same by a filter on the scan of all labels, as analysts write it."""
    timer = Timer()
    for _ in range(rounds):
        with timer():
            labels = dataset_at(root).at(version).labels()
            rows = labels.filter(pl.col("frame_id") == frame_id).collect()
        assert rows.height
    return Measured(timer.seconds)
