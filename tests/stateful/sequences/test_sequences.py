"""Sequences of uploads: every version equals the model, for every engine.

A sequence follows from the number in its name alone. They are the same twelve every
time; `make sequences` begins at a random number and takes a thousand. A failing
`seed-123-` runs again with `FIRST=123 SEQUENCES=1 pytest tests/stateful/sequences`.
"""

import os
from pathlib import Path
from shutil import rmtree

import pytest

import lakehouse
from lakehouse.testing.invariants import assert_ledger_linear, assert_log_replays
from tests.stateful.sequences.readers import by_deltalake, by_duckdb
from tests.stateful.sequences.sequence import Steps, assert_read_by

FIRST = int(os.environ.get("FIRST", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("SEQUENCES", "12")))


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_every_version_of_a_sequence_equals_the_model(
    seed: int, tmp_path: Path
) -> None:
    steps = Steps(tmp_path, seed)

    steps.run()

    steps.check_versions()
    assert_read_by(by_deltalake, steps)
    if seed % 10 == 0:
        assert_read_by(by_duckdb, steps)
        assert_ledger_linear(steps.dataset)
        assert_log_replays(steps.dataset)
    # A thousand of them would fill the disk; those that fail are kept.
    rmtree(tmp_path)


def test_no_labels_are_an_upload_too(dataset: lakehouse.Dataset) -> None:
    assert dataset.upsert_labels([]).status == "DONE"
