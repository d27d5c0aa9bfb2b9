"""Every corruption is reported with its file, and nothing else is."""

import random
from pathlib import Path

import pytest

from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.testing.corruption import KINDS, Kind, corrupt
from tests.unit.verify.prepared import opened

SEEDS = [
    *range(3),
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 9)),
]
"""The first three corrupt each group of tables once."""
TABLES = (
    LIVE_TABLES,
    [f"{table}_changes" for table in LIVE_TABLES],
    ["uploads", "versions", "upload_errors", "tags"],
)
"""Live tables, change logs and records are corrupted in turn."""


@pytest.mark.parametrize("full", [True, False], ids=["full", "quick"])
def test_an_untouched_dataset_is_sound(prepared: Path, *, full: bool) -> None:
    dataset = opened(prepared)

    verification = dataset.verify(full=full)

    assert verification.is_sound, verification.problems.to_dicts()
    assert not verification.notes
    assert (
        verification.checked["entries"] == dataset._collection.head().version + 1 > 12
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_reported_with_its_file(
    copied: Path, kind: Kind, seed: int
) -> None:
    draw = random.Random(f"{kind} {seed}")
    done = corrupt(
        opened(copied)._collection, kind, draw, tables=TABLES[seed % len(TABLES)]
    )

    verification = opened(copied).verify(full=True)

    problems = verification.problems
    assert set(problems["file"]) == done.files, (done, problems.to_dicts())
    assert set(problems["table"].drop_nulls()) == done.tables
    word = {"log line altered": "log.", "ledger entry altered": "ledger."}
    assert all(check.startswith(word.get(kind, "file.")) for check in problems["check"])
    assert all(problems["hint"])
