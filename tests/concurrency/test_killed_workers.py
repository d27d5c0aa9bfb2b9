"""Two writers and two mergers at once, killed at random and started again."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lakehouse
from lakehouse.testing.invariants import assert_ledger_linear, assert_sound

ROOT = Path(__file__).parents[2]
FRAMES = 25


def start(kind: str, root: str, name: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tests.concurrency.worker",
        kind,
        root,
        name,
        str(FRAMES),
    ]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled(lake_root: str) -> None:
    lake = lakehouse.connect(lake_root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    draw = random.Random(7)
    names = {"w0": "write", "w1": "write", "m0": "merge", "m1": "merge"}
    running = {name: start(kind, lake_root, name) for name, kind in names.items()}
    kills = 0
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        time.sleep(draw.uniform(0.8, 2.0))
        if all(running[name].poll() == 0 for name in ("w0", "w1")):
            break
        name = draw.choice(list(names))
        if running[name].poll() is None and kills < 14:
            running[name].kill()
            running[name].wait()
            kills += 1
        if running[name].poll() not in {None, 0}:
            running[name] = start(names[name], lake_root, name)
    (Path(lake_root) / "stop").touch()
    codes = {name: process.wait(60) for name, process in running.items()}
    dataset.merge_pending()

    assert kills >= 5
    assert codes["w0"] == codes["w1"] == 0
    found = dataset.latest().frames().collect()["frame_id"].sort().to_list()
    assert found == [
        f"w{writer}_{number:03}" for writer in (0, 1) for number in range(FRAMES)
    ]
    assert dataset.latest().counts["labels"] == 2 * FRAMES
    assert not dataset.is_processing
    assert_ledger_linear(dataset)
    assert_sound(dataset.latest())
    print(f"{kills} kills, {dataset.version} versions")
