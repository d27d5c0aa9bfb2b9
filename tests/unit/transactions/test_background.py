"""Work behind the answer: checkpoints of the logs, and lakes that go meanwhile."""

import logging
import shutil
from typing import Any

import pytest

import lakehouse
from lakehouse.delta.log import write_checkpoint
from lakehouse.delta.table_state import checkpoint_path
from lakehouse.transactions.background import finish
from tests.rows import frame


@pytest.fixture
def dataset(lake_root: str) -> lakehouse.Dataset:
    lake = lakehouse.connect(lake_root, compaction="manual")
    return lake.create_project("cells", classes=["cell"]).create_dataset("hela")


def test_log_checkpoints_are_written_whatever_entry_lands_on_their_number(
    dataset: lakehouse.Dataset,
) -> None:
    collection = dataset._collection
    for number in range(21):
        # Each tag takes the even numbers, and so all that are due.
        dataset.add([frame(f"f{number}")])
        dataset.checkpoint(f"c{number}")
    finish()

    assert collection.head().version == 42
    for table in ("frames", "labels", "tags"):
        for due in (20, 40):
            path = checkpoint_path(collection.table_path(table), due)
            assert collection.store.exists(path)
    assert dataset.verify().is_sound


def test_a_lake_that_is_removed_while_upkeep_runs_leaves_no_stack_trace(
    dataset: lakehouse.Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def late(*arguments: Any) -> None:
        shutil.rmtree(dataset._collection.store.root)
        write_checkpoint(*arguments)

    monkeypatch.setattr("lakehouse.transactions.background.write_checkpoint", late)
    for number in range(20):
        dataset.add([frame(f"f{number}")])
    finish()

    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
