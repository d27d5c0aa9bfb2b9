"""Live rows against the change log, key by key, over all versions at once.

An image lives from its version up to that of the next image of its key. So the
live table must hold, of every image, exactly that span of the open versions: not
a row more, not a row less, no key twice. The spans of all versions are compared
in one pass, part by part of the keys.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.verify.gather import LIVING, Gathered, Tally
from lakehouse.verify.ledger import History
from lakehouse.verify.lives import FOR_EVER
from lakehouse.verify.report import Findings
from lakehouse.verify.spool import Records, UnreadableError, take

_SAID: Final = {
    "key.twice": "keys are there twice, the second time in this file",
    "change_log.twice": "images are the second of their key in their version",
    "live.unlogged": "rows live in versions that the change log does not have them in",
    "live.lacking": "images should live in versions that the live table lacks them in",
    "frame.lacking": "rows are of a frame that is not there",
    "label.lacking": "vectors are of a label that is not there",
}
_HINT: Final = (
    "The files are as they were written, so a writer was wrong: report it. "
    "dataset.restore() of an earlier version writes the rows anew."
)
_SHOWN: Final = 20


@dataclass(slots=True)
class Doubts:
    """Rows at fault in one table, by check and by number of file."""

    found: dict[tuple[str, int], tuple[int, Any]] = field(
        default_factory=dict[tuple[str, int], tuple[int, Any]]
    )

    def note(self, check: str, records: Records) -> None:
        """Count rows; one of each file is kept as an example."""
        numbers, first, counts = np.unique(
            records["file"], return_index=True, return_counts=True
        )
        for number, at, count in zip(numbers, first, counts, strict=True):
            known, example = self.found.get(
                (check, int(number)), (0, records[at].copy())
            )
            self.found[check, int(number)] = (known + int(count), example)

    def tell(
        self, gathered: Gathered, opened: Sequence[int], findings: Findings
    ) -> None:
        """Say which rows they are, file by file."""
        for (check, number), (count, example) in sorted(self.found.items())[:_SHOWN]:
            copy = gathered.files[number]
            try:
                key = gathered.reader.key_of(
                    copy, int(example["first"]), int(example["second"])
                )
            except UnreadableError:
                continue
            version = copy.version
            if "start" in example.dtype.names:
                version = opened[int(example["start"])]
            findings.add(
                check,
                f"{count} {_SAID[check]}, among them {key}.",
                _HINT,
                version=version,
                table=copy.table,
                file=copy.path,
            )
        if len(self.found) > _SHOWN:
            findings.note(f"{len(self.found) - _SHOWN} more files have rows at fault.")


_KEY = ("first", "second")
_IMAGE = (*_KEY, "version")
_SPAN = (*_IMAGE, "hash", "start", "end")

Mask = npt.NDArray[np.bool_]


def compare(
    gathered: Gathered,
    part: int,
    opened: Sequence[int],
    log: Tally,
    doubts: Doubts,
) -> Records:
    """Compare one part of a table's keys, and add its images to the log's tally.

    Args:
        gathered: The records of the table.
        part: Which part of them.
        opened: The open versions, ascending.
        log: Of the change log, over all entries.
        doubts: Where rows at fault are noted.

    Returns:
        The records of the live table.
    """
    images = _sorted(gathered.images.load(part), "version")
    images = take(images, images["version"] >= 0)
    living = _sorted(gathered.living.load(part), "start")
    twice = _same(living, _KEY) & (living["start"][1:] < living["end"][:-1])
    doubts.note("key.twice", living[1:][twice])
    if gathered.is_log_whole:
        doubts.note("change_log.twice", images[1:][_same(images, _IMAGE)])
        _tally(images, log)
        if gathered.is_live_whole and not twice.any():
            _compare(_wanted(images, opened), spans(living, (*_IMAGE, "hash")), doubts)
    return living


def _tally(images: Records, log: Tally) -> None:
    """Each image takes the place of the one before it of its key."""
    alive = ~images["deleted"]
    log.come(images["version"][alive], images["hash"][alive])
    replaces = _same(images, _KEY) & alive[:-1]
    log.go(images["version"][1:][replaces], images["hash"][:-1][replaces])


def _wanted(images: Records, opened: Sequence[int]) -> pl.DataFrame:
    """The spans that images should live in."""
    until = np.full(len(images), FOR_EVER, dtype=np.int64)
    followed = np.flatnonzero(_same(images, _KEY))
    until[followed] = images["version"][followed + 1]
    versions = np.asarray(opened)
    start = np.searchsorted(versions, images["version"])
    end = np.where(until == FOR_EVER, FOR_EVER, np.searchsorted(versions, until))
    frame = _frame(images, (*_IMAGE, "hash", "file")).with_columns(
        start=pl.Series(start, dtype=pl.Int32), end=pl.Series(end, dtype=pl.Int32)
    )
    lives = ~images["deleted"] & (start < np.minimum(end, len(versions)))
    return frame.filter(pl.Series(lives))


def spans(living: Records, of: Sequence[str]) -> pl.DataFrame:
    """Spans that follow each other without a gap, as one.

    Args:
        living: Sorted by key and start.
        of: What rows must have in common.
    """
    joined = _same(living, of) & (living["start"][1:] <= living["end"][:-1])
    begins = np.flatnonzero(np.append(True, ~joined))[: len(living)]
    names = dict.fromkeys((*of, "hash", "file", "start"))
    frame = _frame(take(living, begins), list(names))
    ends = np.maximum.reduceat(living["end"], begins) if len(begins) else living["end"]
    return frame.with_columns(end=pl.Series(ends, dtype=pl.Int32))


def _compare(wanted: pl.DataFrame, found: pl.DataFrame, doubts: Doubts) -> None:
    names = list(_SPAN)
    if wanted.select(names).equals(found.select(names)):
        return
    doubts.note("live.unlogged", _records(found.join(wanted, on=names, how="anti")))
    doubts.note("live.lacking", _records(wanted.join(found, on=names, how="anti")))


def orphans(children: Records, parents: Records, by: Sequence[str]) -> Records:
    """The rows that live in an open version without what they belong to.

    Args:
        children: Rows of a live table.
        parents: Rows of the table that they belong to.
        by: What both are told apart by.
    """
    names = ["start", "end"]
    homes = spans(parents, by).select(*by, pl.col(names).name.suffix("_home"))
    known = _frame(children, (*by, *names)).with_row_index("_at")
    housed = known.join(homes, on=list(by)).filter(
        pl.col("start_home") <= pl.col("start"), pl.col("end") <= pl.col("end_home")
    )
    alone = known.join(
        housed.select("_at"), on="_at", how="anti", maintain_order="left"
    )
    return take(children, alone["_at"].to_numpy())


def _sorted(records: Records, minor: str) -> Records:
    """By key, and what is of one key by `minor`.

    One half of the key's hash is enough to bring each key's records together.
    """
    order = np.argsort(records[minor], kind="stable")
    by_key = np.argsort(records["second"][order], kind="stable")
    return take(records, order[by_key])


def _same(records: Records, fields: Sequence[str]) -> Mask:
    """For each record but the first, whether it agrees with the one before."""
    same = np.ones(max(0, len(records) - 1), dtype=np.bool_)
    for name in fields:
        same &= records[name][1:] == records[name][:-1]
    return same


def _frame(records: Records, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({name: np.ascontiguousarray(records[name]) for name in names})


def _records(frame: pl.DataFrame) -> Records:
    made = np.zeros(frame.height, LIVING)
    for name in (*_SPAN, "file"):
        made[name] = frame[name].to_numpy()
    return made


def check_log(
    gathered: Gathered, tally: Tally, history: History, findings: Findings
) -> None:
    """Compare every version, closed ones too, with what the change log comes to."""
    if not gathered.is_log_whole:
        return
    totals = tally.totals()
    found = {version: totals[version] for version in history.versions}
    for run, what in _wrong(gathered.table, found, history):
        findings.add(
            "change_log.fingerprint",
            f"{_named(run)}: the change log comes to {what}.",
            "Images are missing, doubled or wrong: restore the change log's files "
            "from a backup, or report how it came.",
            version=run[0],
            table=f"{gathered.table}_changes",
        )


def check_live(gathered: Gathered, history: History, findings: Findings) -> None:
    """Compare every open version with what the files of the live table come to."""
    totals = gathered.tally.totals()
    found = {
        version: totals[place]
        for place, version in enumerate(history.open)
        if gathered.is_known_at(place)
    }
    for run, what in _wrong(gathered.table, found, history):
        findings.add(
            "live.fingerprint",
            f"{_named(run)}: the live table comes to {what}.",
            "The change log has the rows as they should be, unless it is named here "
            "too: report how it came.",
            version=run[0],
            table=gathered.table,
        )


def _wrong(
    table: str, found: Mapping[int, tuple[int, Any]], history: History
) -> Iterator[tuple[list[int], str]]:
    """Runs of versions that are wrong, and what the first of each is."""
    said: dict[int, str] = {}
    for version, (rows, fingerprint) in found.items():
        entry = history.entries[version]
        wanted = entry.rows.get(table), entry.fingerprint.get(table)
        if version in history.vouched and (rows, fingerprint.text) != wanted:
            said[version] = (
                f"{rows} rows and the fingerprint {fingerprint.text}, not {wanted[0]} "
                f"and {wanted[1]} as the ledger entry says"
            )
    for run in _runs(found, said):
        yield run, said[run[0]]


def _runs(versions: Iterable[int], wrong: Mapping[int, str]) -> Iterator[list[int]]:
    """The wrong ones among versions, those beside each other together."""
    run: list[int] = []
    for version in versions:
        if version in wrong:
            run.append(version)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _named(run: list[int]) -> str:
    if len(run) == 1:
        return f"Version {run[0]}"
    return f"Versions {run[0]} to {run[-1]}"
