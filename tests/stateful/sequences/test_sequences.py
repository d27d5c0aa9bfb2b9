"""Random sequences of uploads: every version equals the model, for every engine.

`SEQUENCES` says how many there are (`make sequences` runs a thousand). A
sequence follows from the number in its name alone; a failing `seed-123` runs
again with `SEQUENCES=124 pytest tests/stateful/sequences -k seed-123-`.
"""

import os
from pathlib import Path
from shutil import rmtree

import pytest

import lakehouse
from lakehouse.testing.invariants import assert_ledger_linear, assert_log_replays
from tests.stateful.sequences.reading import by_deltalake, by_duckdb
from tests.stateful.sequences.sequence import Steps, assert_read_by

SEEDS = range(int(os.environ.get("SEQUENCES", "12")))


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
