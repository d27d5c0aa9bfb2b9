"""Load a dataset, then stream single frames into it: time, memory, medians.

    python tests/benchmarks/foundation.py [--frames 200000] [--labels-per-frame 5]

Prints a table, and writes the same as JSON where `--json PATH` says.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

import lakehouse


def rows(frames: int, per_frame: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frames with an image and a split, and boxes on them."""
    ids = pl.select(
        pl.format("frame_{}", pl.int_range(frames).cast(pl.String).str.zfill(8))
    )
    numbers = pl.int_range(frames)
    made = (
        ids.to_series()
        .alias("frame_id")
        .to_frame()
        .with_columns(
            image_url=pl.format("s3://media/{}.jpg", pl.col("frame_id")),
            width=pl.lit(1920),
            height=pl.lit(1080),
            user__split=pl.when(numbers % 5 == 0)
            .then(pl.lit("val"))
            .otherwise(pl.lit("train")),
        )
    )
    place = pl.int_range(frames * per_frame)
    boxes = made.select("frame_id").select(
        pl.col("frame_id").repeat_by(per_frame).explode()
    )
    return made, boxes.with_columns(
        label_id=pl.format("{}_{}", "frame_id", place % per_frame),
        class_name=pl.when(place % 3 == 0)
        .then(pl.lit("car"))
        .otherwise(pl.lit("person")),
        top=(place % 1000).cast(pl.Float64),
        left=(place % 1800).cast(pl.Float64),
        width=(place % 97 + 3).cast(pl.Float64),
        height=(place % 89 + 5).cast(pl.Float64),
    )


def streamed(root: str, count: int, change: bool) -> tuple[float, float]:  # noqa: FBT001
    """Median milliseconds until a one-frame upload is acknowledged, and visible."""
    staging = lakehouse.connect(root, merge="deferred").project("bench").dataset("d")
    merging = lakehouse.connect(root).project("bench").dataset("d")
    acknowledged: list[float] = []
    visible: list[float] = []
    for number in range(count + 2):
        frame_id = f"frame_{number * 997:08}" if change else f"new_{number:08}"
        box: dict[str, Any] = {
            "frame_id": frame_id,
            "label_id": "streamed",
            "class_name": "car",
        }
        box |= {"top": 1.0, "left": 2.0, "width": 3.0, "height": 4.0 + number}
        started = time.perf_counter()
        if change:
            staging.upsert_labels([box])
        else:
            staging.add([{"frame_id": frame_id, "image_url": "x.jpg"}], [box])
        acknowledged.append((time.perf_counter() - started) * 1000)
        merging.merge_pending()
        assert merging.latest().counts["frames"] >= 1
        visible.append((time.perf_counter() - started) * 1000)
    return statistics.median(acknowledged[2:]), statistics.median(visible[2:])


def main() -> None:
    """Measure, print, and maybe write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--labels-per-frame", type=int, default=5)
    parser.add_argument("--streamed", type=int, default=30)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    frames, boxes = rows(wanted.frames, wanted.labels_per_frame)
    with tempfile.TemporaryDirectory() as root:
        lake = lakehouse.connect(root)
        dataset = lake.create_project(
            "bench", classes=["car", "person"]
        ).create_dataset("d")
        started = time.perf_counter()
        upload = dataset.add(frames, boxes)
        load = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        found = dataset.latest().labels().sort("frame_id", "label_id").collect()
        expected = boxes.sort("frame_id", "label_id")
        assert found.select(expected.columns).equals(expected), "the rows differ"
        assert upload.status == "DONE"
        new = streamed(root, wanted.streamed, change=False)
        changed = streamed(root, wanted.streamed, change=True)
    results = [
        (f"load {frames.height:,} frames, {boxes.height:,} boxes", load, "s", 30.0),
        ("peak memory of the load", peak, "GiB", 3.0),
        ("a new frame is acknowledged (median)", new[0], "ms", 15.0),
        ("a new frame is visible (median)", new[1], "ms", 150.0),
        ("a relabelled frame is acknowledged (median)", changed[0], "ms", 15.0),
        ("a relabelled frame is visible (median)", changed[1], "ms", 150.0),
    ]
    table = Table("what", "measured", "target")
    for what, value, unit, target in results:
        table.add_row(what, f"{value:.1f} {unit}", f"≤ {target:g} {unit}")
    Console().print(table)
    if wanted.json:
        told = [
            dict(zip(("what", "value", "unit", "target"), row, strict=True))
            for row in results
        ]
        wanted.json.write_text(json.dumps(told, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
