"""Sequences of uploads: every version equals the model, for every engine.

A sequence follows from the number in its name alone. They are the same twelve every
time; `make sequences` begins at a random number and takes a thousand. A failing
`seed-123-` runs again with `FIRST=123 SEQUENCES=1 pytest tests/stateful/sequences`.
"""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

import pytest

import lakehouse
from lakehouse.testing.invariants import assert_ledger_linear, assert_log_replays
from lakehouse.testing.model import ModelDataset
from lakehouse.testing.state import Op, Sent
from tests.stateful.sequences.latest_rows import CLASSES, LatestRows, Row, Sending
from tests.stateful.sequences.random_uploads import PAIRS, draw_upload
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


OPERATIONS: dict[str, Op] = {
    "add": "ADD", "upsert_labels": "ADD", "modify": "MODIFY", "delete": "DELETE",
}  # fmt: skip


def sent(upload: Sending, rows: Sequence[Row]) -> list[Sent]:
    return [Sent(OPERATIONS[upload.verb], row, clear=upload.clear) for row in rows]


@pytest.mark.parametrize("seed", range(20))
def test_the_latest_rows_are_those_of_the_model(seed: int) -> None:
    draw, latest, model = random.Random(seed), LatestRows(), ModelDataset(CLASSES)
    pairs = [("add", "new"), *(draw.choice(PAIRS) for _ in range(12))]

    for pair in pairs:
        upload = draw_upload(draw, latest, pair, 9)
        rejected = latest.apply(upload)
        result = model.submit(sent(upload, upload.frames), sent(upload, upload.labels))

        assert set(result.rejected) == rejected
        for table in ("frames", "labels"):
            rows = latest.tables[table]
            assert rows == {
                key: {name: value for name, value in row.items() if value is not None}
                for key, row in model.latest.table(table).items()
            }
            vectors = f"{table.removesuffix('s')}_embeddings"
            assert {
                key: row["embedding"] for key, row in latest.tables[vectors].items()
            } == model.latest.table(vectors)
