"""Two writers, two mergers and a compactor, killed at random and started again."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lakehouse
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_sound,
    assert_verified,
)

ROOT = Path(__file__).parents[3]
KILLS = 12
PATIENCE_SECONDS = 120
WORKERS = {
    "w0": "write",
    "w1": "write",
    "m0": "merge",
    "m1": "merge",
    "c0": "compact",
}


def start(name: str, root: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.stateful.concurrency.worker"]
    return subprocess.Popen([*command, WORKERS[name], root, name], cwd=ROOT)


def acknowledged(root: str, name: str) -> list[str]:
    log = Path(root) / f"{name}.log"
    return log.read_text().split() if log.exists() else []


def progress(root: str, dataset: lakehouse.Dataset) -> tuple[int, int]:
    """Frames acknowledged, and versions made, so far."""
    sent = acknowledged(root, "w0") + acknowledged(root, "w1")
    return len(sent), dataset.version


def kill_at_random(
    running: dict[str, subprocess.Popen[bytes]], root: str, dataset: lakehouse.Dataset
) -> None:
    """Kill one of the workers again and again, always in the middle of its work.

    However slow the machine: frames land and versions are made between two kills.
    """
    draw = random.Random(7)
    for _ in range(KILLS):
        frames, versions = progress(root, dataset)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(
            new <= old
            for new, old in zip(
                progress(root, dataset), (frames, versions), strict=True
            )
        ):
            assert time.monotonic() < deadline, "nothing goes on"
            time.sleep(0.05)
        time.sleep(draw.uniform(0.0, 1.0))
        name = draw.choice(list(running))
        assert running[name].poll() is None, f"{name} died by itself"
        running[name].kill()
        running[name].wait()
        running[name] = start(name, root)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled(lake_root: str) -> None:
    lake = lakehouse.connect(lake_root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    running = {name: start(name, lake_root) for name in WORKERS}
    kill_at_random(running, lake_root, dataset)
    (Path(lake_root) / "enough").touch()
    assert [running[name].wait(PATIENCE_SECONDS) for name in ("w0", "w1")] == [0, 0]
    (Path(lake_root) / "stop").touch()
    assert [running[name].wait(PATIENCE_SECONDS) for name in ("m0", "m1", "c0")] == [
        0
    ] * 3
    dataset.merge_pending()

    sent = acknowledged(lake_root, "w0") + acknowledged(lake_root, "w1")
    frame_ids = dataset.latest().frames().collect()["frame_id"].sort().to_list()
    assert frame_ids == sorted(sent)
    assert dataset.latest().counts["labels"] == len(sent)
    assert dataset.version >= KILLS
    assert not dataset.is_processing
    assert_ledger_linear(dataset)
    assert_sound(dataset.latest())
    assert_verified(dataset)
    print(f"{KILLS} kills, {len(sent)} frames, {dataset.version} versions")
