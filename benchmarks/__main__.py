"""Measure this package and other tools on the same data, in the same run.

    python -m benchmarks [--frames 2000000] [--versions 1000] [--json PATH]
                         [--without deltalake]

A time counts only if the rows are equal to those that plain Polars computes.
`make .venv/.bench` installs pylance; without it pylance is left out.
"""

import argparse
import importlib.util
import shutil
import tempfile
from pathlib import Path

import polars as pl

from benchmarks import evaluation, ours, rivals, streaming, versions
from benchmarks.data import KEY, Data, applied, checksum
from benchmarks.measure import Measured, apart
from benchmarks.report import Line, Report

WARM = [1, 2, 3]
LOADS = 2
"""How often each tool loads the data; they take turns."""
TARGETS = {
    "random": (0.35, 1 / 30),
    "range": (0.2, 1 / 30),
    "new": (0.2, 1 / 30),
    "one": (0.1, 1 / 30),
}
"""For each kind of change: the largest share of pylance's, and of deltalake's, time."""

NAMES = {
    "random": "upsert 1 % of the labels at random",
    "range": "upsert 1 % of the labels in one range",
    "new": "upsert 1 % new labels",
    "one": "upsert the labels of one frame",
}


def expected(data: Data, kind: str, numbers: list[int]) -> tuple[int, int]:
    """The checksum of the labels after some changes, computed by plain Polars."""
    labels = data.labels()
    changes = [data.change(kind, number, labels) for number in numbers]
    last = pl.concat(changes).unique(KEY, keep="last", maintain_order=True)
    return checksum(applied(labels, last))


def copied(source: Path, target: Path) -> Path:
    """A copy to measure on, so that no measurement sees what another one wrote."""
    shutil.copytree(source, emptied(target), symlinks=True)
    return target


def emptied(folder: Path) -> Path:
    """A folder to load into, without what was in it before."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def loads(report: Report, work: Path, data: Data, names: list[str]) -> None:
    """The first load, by every tool."""
    right = checksum(data.labels())
    own = Measured()
    others = {name: Measured() for name in names}
    for _ in range(LOADS):
        once = apart(ours.load, emptied(work / "ours"), data, cache=work / "cache")
        assert once.checksum == right
        own = own.and_then(once)
        for name in names:
            once = apart(rivals.load, emptied(work / name), data, name)
            assert once.checksum == right, name
            others[name] = others[name].and_then(once)
    targets = {"pylance": 1.5}
    held = {
        name: (other, targets.get(name, 99.0))
        for name, other in others.items()
        if name != "pylance indexed"
    }
    report.beside("first load", own, held)
    # A first merge fills the cache: key indexes are made after it has answered.
    root = copied(work / "ours", work / "copy")
    apart(ours.merges, root, data, "thousand", [99], cache=work / "cache")


def upserts(
    report: Report, work: Path, data: Data, kind: str, names: list[str]
) -> None:
    """One kind of upsert, by every tool; ours also with an empty cache ("cold")."""
    right, first = expected(data, kind, WARM), expected(data, kind, WARM[:1])
    root = copied(work / "ours", work / "copy")
    cold = apart(ours.merges, root, data, kind, WARM[:1], cache=work / "cold" / kind)
    root = copied(work / "ours", work / "copy")
    own = apart(ours.merges, root, data, kind, WARM, cache=work / "cache")
    assert (own.checksum, cold.checksum) == (right, first), kind
    others: dict[str, Measured] = {}
    for name in names:
        # One change is enough for deltalake: each takes it seconds.
        numbers = WARM[:1] if name == "deltalake" else WARM
        root = copied(work / name, work / "copy")
        others[name] = apart(rivals.merges, root, data, kind, numbers, name)
        assert others[name].checksum == (first if len(numbers) == 1 else right), name
    lance, delta = TARGETS[kind]
    held = {
        name: (other, delta if name == "deltalake" else lance)
        for name, other in others.items()
    }
    report.beside(NAMES[kind], own, held)
    if others:
        name, best = next(iter(others.items()))
        report.add(
            Line(f"{NAMES[kind]}, cold", cold.best, "s", name, best.best, 2 * lance)
        )


def reading(report: Report, work: Path, data: Data) -> None:
    """Scans after merges and after compaction, and the memory of a merge."""
    root = copied(work / "ours", work / "copy")
    change = work / "change.parquet"
    data.change("random", 9, data.labels()).write_parquet(change)
    peak = apart(ours.peak, root, change, cache=work / "cache")
    report.add(Line("peak memory of a 1 % merge", peak.peak_gib, "GiB", target=1.86))
    apart(ours.merges, root, data, "random", [1, 2, 3, 4, 5], cache=work / "cache")
    for what, target in (("scan after merges", 1.6), ("scan when compacted", 1.2)):
        own, plain = ours.scan(root, work / "plain.parquet", 7)
        report.add(Line(what, own.best, "s", "plain Parquet", plain.best, target))
        ours.dataset_at(root).compact()


def streams(report: Report, work: Path, data: Data, versions: int) -> None:
    """Single frames, many waiting uploads, and opening a lake of many versions."""
    root = copied(work / "ours", work / "copy")
    durable, visible = streaming.streamed(root, 50, 0)
    what = "a new frame acknowledged"
    report.add(Line(what, durable.median * 1000, "ms", target=10.0))
    report.add(Line("a new frame visible", visible.median * 1000, "ms", target=50.0))
    waiting = streaming.pending(root, 1000, 1_000_000)
    report.add(Line("1,000 waiting uploads merged", waiting.best, "s", target=2.0))
    root = copied(work / "ours", work / "copy")
    name = data.frames().get_column("frame_id")[data.frame_count // 3]
    streaming.streamed(root, 10, 0)
    few = streaming.opened(root, name, 20)
    streaming.streamed(root, versions, 100)
    many = streaming.opened(root, name, 20)
    report.add(
        Line(
            f"open and point-read at {versions} versions",
            many.median * 1000,
            "ms",
            "at 10 versions",
            few.median * 1000,
            2.0,
        )
    )


def scaling(report: Report, work: Path, data: Data) -> None:
    """The same 1,000 rows in a tenth of the data."""
    small = Data(data.frame_count // 10, data.per_frame)
    apart(ours.load, work / "small", small, cache=work / "cache")
    cost: list[Measured] = []
    for size, name in ((small, "small"), (data, "ours")):
        root = copied(work / name, work / "copy")
        numbers = list(range(1, 8))
        cost.append(
            apart(ours.merges, root, size, "thousand", numbers, cache=work / "cache")
        )
    # The first two merges of a process also read its key indexes.
    few, many = (Measured(one.seconds[2:]) for one in cost)
    report.add(
        Line(
            "upsert 1,000 labels at random",
            many.median,
            "s",
            "in a tenth of the labels",
            few.median,
            2.0,
        )
    )


def looking_back(report: Report, work: Path, data: Data, count: int) -> None:
    """Old versions, histories, checkpoints and diffs, once there are many versions."""
    root, cache = copied(work / "ours", work / "copy"), work / "cache"
    name = data.frames().get_column("frame_id")[data.frame_count // 5]

    def opened(version: int) -> tuple[Measured, Measured]:
        read = apart(versions.opened_at, root, name, version, 20, cache=cache)
        return read, apart(versions.scanned_at, root, name, version, 20, cache=cache)

    versions.aged(root, data, 10)
    few = opened(5)
    large = versions.aged(root, data, count)
    many = opened(count // 2)
    for place, (what, target) in enumerate(
        (("open and point-read", 2.0), ("open and filter by frame", None))
    ):
        late, early = many[place].median * 1000, few[place].median * 1000
        what = f"{what} version {count // 2} of {count}"  # noqa: PLW2901
        report.add(Line(what, late, "ms", "version 5 of 10", early, target))
    warm = apart(versions.histories, root, data, 20, cache=cache)
    cold = apart(versions.histories_anew, root, data, 20, cache=cache)
    what = f"history of a frame at {count} versions"
    report.add(Line(what, warm.median * 1000, "ms", target=50.0))
    report.add(Line(f"{what}, by a new connection", cold.median * 1000, "ms"))
    named = apart(versions.checkpoints, root, 20, cache=cache)
    report.add(Line("a checkpoint made", named.median * 1000, "ms", target=50.0))
    diff, whole = versions.compared(root, large, 3)
    what = "diff of versions 1 % apart"
    report.add(Line(what, diff.best, "s", target=1.0))
    report.add(Line(what, diff.best, "s", "comparing both whole", whole.best))


def main() -> None:
    """Measure, print, and write JSON where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--versions", type=int, default=1_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--without", nargs="*", default=[])
    wanted = parser.parse_args()
    data = Data(wanted.frames)
    names = [name for name in rivals.RIVALS if name not in wanted.without]
    if importlib.util.find_spec("lance") is None:
        print("pylance is not installed, so it is not measured.")
        names = [name for name in names if not name.startswith("pylance")]
    size = f"{data.frame_count:,} frames, {data.frame_count * data.per_frame:,} labels"
    report = Report(size)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        loads(report, work, data, [*names, "parquet"])
        for kind in TARGETS:
            upserts(report, work, data, kind, names)
        reading(report, work, data)
        scaling(report, work, data)
        streams(report, work, data, wanted.versions)
        looking_back(report, work, data, wanted.versions)
    evaluation.measure(report, data.frame_count // 10)
    report.show()
    if wanted.json:
        report.write(wanted.json)


if __name__ == "__main__":
    main()
