"""Many merges in a row with automatic compaction: does the time of a merge grow?

    python -m benchmarks.steady [--frames 2000000] [--one 1000] [--percent 100]

Prints the times of the first and the last tenth, the bytes written, and the time of
scans beside plain Parquet; `--plot` is the SVG in which every merge is a point.
"""

import argparse
import importlib
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from benchmarks import ours
from benchmarks.data import COLUMNS, KEY, Data, checksum
from benchmarks.measure import Timer, size_of
from lakehouse.transactions import finish

_SAMPLES = 10
"""Scans that are measured on the way."""


@dataclass(slots=True)
class Course:
    """The times of merges of one kind, in their order."""

    kind: str
    seconds: list[float] = field(default_factory=list[float])
    scans: list[float] = field(default_factory=list[float])
    """Times of scans as multiples of plain Parquet's, evenly spread over the merges."""
    written: int = 0
    """Bytes added to the lake, files of old versions included."""

    def summary(self) -> str:
        """The course in a line."""
        tenth = max(1, len(self.seconds) // 10)
        first, last = self.seconds[:tenth], self.seconds[-tenth:]
        return (
            f"{len(self.seconds)} merges, {self.kind}: median of the first tenth "
            f"{statistics.median(first) * 1000:.0f} ms, of the last "
            f"{statistics.median(last) * 1000:.0f} ms, longest "
            f"{max(self.seconds) * 1000:.0f} ms; {self.written / 1e6:.0f} MB written; "
            f"scans {min(self.scans):.2f} to {max(self.scans):.2f} x plain Parquet"
        )


def run(root: Path, data: Data, kind: str, count: int) -> Course:
    """Upsert changes of one kind, one after the other, and check the rows at the end."""
    labels, dataset = data.labels(), ours.dataset_at(root)
    course, timer, before = Course(kind), Timer(), size_of(root)
    base = dataset.latest().labels().select(COLUMNS).collect()
    changes: list[pl.DataFrame] = []
    for number in range(count):
        changes.append(data.change(kind, number, labels))
        with timer():
            dataset.upsert_labels(changes[-1])
        if (number + 1) % max(1, count // _SAMPLES) == 0:
            own, plain = ours.scan(root, root.parent / "plain.parquet", 3)
            course.scans.append(own.best / plain.best)
    finish()
    course.seconds, course.written = timer.seconds, size_of(root) - before
    last = pl.concat(changes).unique(KEY, keep="last", maintain_order=True)
    right = pl.concat([base.join(last, on=KEY, how="anti"), last.select(base.columns)])
    rows = dataset.latest().labels().select(COLUMNS).collect()
    assert checksum(rows) == checksum(right), "the rows differ"
    return course


def draw(courses: list[Course], path: Path) -> None:
    """Draw every merge as a point: its number, and its milliseconds."""
    # Installed for `make bench` alone.
    figure = importlib.import_module("matplotlib.figure").Figure(
        figsize=(9, 3 * len(courses)), layout="constrained"
    )
    for course, axes in zip(
        courses, figure.subplots(len(courses), 1, squeeze=False)[:, 0], strict=True
    ):
        axes.plot([second * 1000 for second in course.seconds], ".", markersize=3)
        axes.set(title=course.summary(), ylabel="ms", ylim=0)
        axes.title.set_fontsize(7)
    figure.savefig(path)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--one", type=int, default=1_000)
    parser.add_argument("--percent", type=int, default=100)
    parser.add_argument("--plot", type=Path, default=Path("steady.svg"))
    wanted = parser.parse_args()
    data = Data(wanted.frames)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "lake"
        ours.load(root, data)
        courses: list[Course] = []
        for kind, count in (("one", wanted.one), ("random", wanted.percent)):
            courses.append(run(root, data, kind, count))
            print(courses[-1].summary(), flush=True)
    draw(courses, wanted.plot)


if __name__ == "__main__":
    main()
