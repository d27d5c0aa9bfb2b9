"""Single frames streamed in, many uploads merged at once, and a lake opened."""

from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.measure import Measured, Timer
from benchmarks.ours import dataset_at
from lakehouse.transactions import finish


def _frame_with_label(number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    name = f"streamed_{number:08}"
    box = {"frame_id": name, "label_id": "a", "class_name": "car"}
    sides = {"top": 1.0, "left": 2.0, "width": 3.0, "height": 4.0}
    return [{"frame_id": name, "image_url": f"{name}.jpg"}], [box | sides]


def streamed(root: Path, count: int, start: int) -> tuple[Measured, Measured]:
    """Seconds until an upload of one frame is acknowledged, and until it is visible.

    The first three are not counted: connections and imports are part of them.
    """
    staging, merging = dataset_at(root, "deferred"), dataset_at(root)
    acknowledged: list[float] = []
    visible: list[float] = []
    for number in range(start, start + count + 3):
        until_durable, until_visible = Timer(), Timer()
        with until_visible():
            with until_durable():
                staging.add(*_frame_with_label(number))
            merging.merge_pending()
            merging.latest()
        acknowledged += until_durable.seconds
        visible += until_visible.seconds
    finish()
    return Measured(acknowledged[3:]), Measured(visible[3:])


def pending(root: Path, count: int, start: int) -> Measured:
    """One merge of many waiting uploads of one frame each."""
    staging, timer = dataset_at(root, "deferred"), Timer()
    for number in range(start, start + count):
        staging.add(*_frame_with_label(number))
    with timer():
        done = dataset_at(root).merge_pending()
    assert len(done) == count
    finish()
    return Measured(timer.seconds)


def opened(root: Path, frame_id: str, rounds: int) -> Measured:
    """Open the latest version by a new connection, and read one frame's labels."""
    timer = Timer()
    for _ in range(rounds):
        with timer():
            snapshot = dataset_at(root).latest()
            rows = snapshot.labels().filter(pl.col("frame_id") == frame_id).collect()
        assert rows.height
    return Measured(timer.seconds)
