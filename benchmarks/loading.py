"""Loads of sources larger than memory, and uploads with one bad row.

    python -m benchmarks.loading [--gib 5] [--labels 1000000] [--json PATH]

The source is a folder of Parquet files whose rows take `--gib` GiB in memory. Each
file has frames of the whole range of ids, so every part of the load has rows of
every file: the hardest case for cutting a source into parts.
"""

import argparse
import os
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.data import Data
from benchmarks.measure import Measured, Timer, apart, size_of
from benchmarks.ours import create
from benchmarks.report import Line, Report

_FRAMES: int = 200_000


def source(folder: Path, gib: float) -> tuple[int, float]:
    """Write the source; its number of frames, and its GiB in memory."""
    data, size, count = Data(_FRAMES), 0.0, 0
    for name in ("frames", "labels"):
        (folder / name).mkdir(parents=True)
    while size < gib:
        # The number of the file is the end of each id, so that the ids of all files,
        # once sorted, alternate.
        named = pl.format("{}_{}", "frame_id", pl.lit(f"{count:03}")).alias("frame_id")
        for name, rows in (("frames", data.frames()), ("labels", data.labels())):
            size += rows.estimated_size() / 1024**3
            rows.with_columns(named).write_parquet(
                folder / name / f"{count:03}.parquet"
            )
        count += 1
    return count * _FRAMES, size


def loaded(root: Path, folder: Path) -> Measured:
    """Load the source; run in a process of its own, whose peak memory is measured."""
    dataset, timer = create(root), Timer()
    with timer():
        load = dataset.load(folder / "frames", folder / "labels")
    assert load.status == "DONE"
    return Measured(timer.seconds, 0, size_of(root), (load.counts["created"], 0))


def clean_and_spoiled(
    root: Path, labels: int, rounds: int
) -> tuple[Measured, Measured]:
    """Uploads of so many labels: all good, and all but one."""
    data, clean, spoiled = Data(labels // 5), Timer(), Timer()
    frames, good = data.frames(), data.labels()
    row = pl.int_range(pl.len()) == labels // 2
    bad = good.with_columns(width=pl.when(row).then(-1.0).otherwise(pl.col("width")))
    for number in range(rounds):
        for timer, rows, rejected in ((clean, good, 0), (spoiled, bad, 1)):
            dataset = create(root / f"{number}-{rejected}")
            with timer():
                upload = dataset.add(frames, rows)
            assert upload.errors().height == rejected
            assert upload.counts["rejected"] == rejected
    return Measured(clean.seconds), Measured(spoiled.seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=5.0)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    report = Report(
        f"a source of {wanted.gib} GiB, uploads of {wanted.labels:,} labels"
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["LAKEHOUSE_CACHE"] = str(work / "cache")
        clean, spoiled = clean_and_spoiled(work / "rows", wanted.labels, 3)
        what = f"{wanted.labels:,} labels with one bad row"
        report.add(Line(what, spoiled.best, "s", "all good", clean.best, 2.0))
        frames, gib = source(work / "source", wanted.gib)
        measured = apart(loaded, work / "lake", work / "source", cache=work / "cache")
        assert measured.checksum[0] == frames
        report.add(Line(f"load of {gib:.1f} GiB", measured.best, "s"))
        report.add(
            Line("peak memory of the load", measured.peak_gib, "GiB", target=1.86)
        )
    report.show()
    if wanted.json:
        report.write(wanted.json)


if __name__ == "__main__":
    main()
