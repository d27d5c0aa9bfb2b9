"""Whatever is damaged is found, and named; nothing else is."""

import random
import shutil
from pathlib import Path

import pytest

from lakehouse.testing.corrupting import KINDS, Kind, corrupt
from tests.verify.prepared import opened, prepare

TIMES = 9


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verify") / "lake"
    prepare(root)
    return root


@pytest.mark.parametrize("full", [True, False], ids=["full", "quick"])
def test_what_is_untouched_is_sound(prepared: Path, *, full: bool) -> None:
    dataset = opened(prepared)

    found = dataset.verify(full=full)

    assert found.is_sound, found.problems.to_dicts()
    assert not found.notes
    assert found.checked["entries"] == dataset.collection.head().version + 1 > 12


@pytest.mark.parametrize("seed", range(TIMES))
@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_named(
    prepared: Path, tmp_path: Path, kind: Kind, seed: int
) -> None:
    shutil.copytree(prepared, tmp_path / "lake")
    draw = random.Random(f"{kind} {seed}")
    done = corrupt(opened(tmp_path / "lake").collection, kind, draw)

    found = opened(tmp_path / "lake").verify(full=True)

    problems = found.problems
    assert set(problems["file"]) == done.files, (done, problems.to_dicts())
    assert set(problems["table"].drop_nulls()) == done.tables
    word = {"log line altered": "log.", "ledger entry altered": "ledger."}
    assert all(check.startswith(word.get(kind, "file.")) for check in problems["check"])
    assert all(problems["hint"])
