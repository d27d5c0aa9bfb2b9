"""Compaction beside a merge that comes between its writing and its decision."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.delta.table_state import DataFile
from lakehouse.ledger.ledger import Entry, Ledger
from lakehouse.testing.invariants import assert_plain_engine_agrees, assert_sound
from lakehouse.transactions import Compaction
from tests.rows import box, frame


@pytest.fixture
def dataset(lake_root: str) -> lakehouse.Dataset:
    """A hundred frames with two labels each, in two files of labels."""
    lake = lakehouse.connect(lake_root, compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    for numbers in (range(50), range(50, 100)):
        dataset.add([frame(f"f{n:03}") for n in numbers], boxes(numbers))
    dataset.upsert_labels(boxes([3, 60], width=4.0))
    return dataset


def boxes(numbers: Any, **fields: Any) -> list[dict[str, Any]]:
    return [box(f"f{n:03}", label_id, **fields) for n in numbers for label_id in "ab"]


def files(dataset: lakehouse.Dataset) -> list[DataFile]:
    head = dataset._collection.head().version
    return list(dataset._collection.state("labels", head).files.values())


def widths(dataset: lakehouse.Dataset) -> dict[str, float]:
    rows = dataset.latest().labels().filter(pl.col("label_id") == "a").collect()
    return dict(rows.select("frame_id", "width").iter_rows())


def raced(
    monkeypatch: pytest.MonkeyPatch,
    dataset: lakehouse.Dataset,
    merge: Callable[[], Any],
) -> Compaction:
    """Compact, with a merge right before the first decision."""
    decide, waiting = Ledger.decide, [merge]

    def late(ledger: Ledger, entry: Entry, **options: Any) -> bool:
        if entry.kind == "maintenance" and waiting:
            waiting.pop()()
        return decide(ledger, entry, **options)

    monkeypatch.setattr(Ledger, "decide", late)
    return dataset.compact()


def test_rows_that_died_meanwhile_are_dead_in_the_new_files(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.path for file in files(dataset)}

    def merge() -> None:
        dataset.upsert_labels(boxes([7, 99], width=9.0))
        dataset.delete(["f050"])

    done = raced(monkeypatch, dataset, merge)

    (labels,) = [table for table in done.tables if table.table == "labels"]
    new = [file for file in files(dataset) if file.path not in before]
    assert (labels.files_before, labels.rows) == (3, 194)
    assert sum(file.dead_rows for file in new) == 6
    width_of = widths(dataset)
    assert (width_of["f007"], width_of["f099"], width_of["f003"]) == (9.0, 9.0, 4.0)
    assert "f050" not in width_of
    assert len(width_of) == 99
    assert_plain_engine_agrees(dataset.latest())
    assert_sound(dataset.latest())
    assert dataset.verify().problems.height == 0


def test_a_file_that_went_meanwhile_is_not_brought_back(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = raced(
        monkeypatch, dataset, lambda: dataset.delete([f"f{n:03}" for n in range(50)])
    )

    assert done.entry is not None
    assert len(widths(dataset)) == 50
    assert sum(file.dead_rows for file in files(dataset)) == 0
    assert_plain_engine_agrees(dataset.latest())
    assert_sound(dataset.latest())


def test_what_was_replaced_wholly_meanwhile_is_not_compacted(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        dataset.upsert_labels(boxes(range(20), width=5.0 + number))

    done = raced(
        monkeypatch,
        dataset,
        lambda: dataset.upsert_labels(boxes(range(100), width=8.0)),
    )

    assert all(table.table != "labels" for table in done.tables)
    assert set(widths(dataset).values()) == {8.0}
    assert_plain_engine_agrees(dataset.latest())
    assert_sound(dataset.latest())
