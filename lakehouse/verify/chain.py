"""Entries held against each other: the ledger is one line without gaps.

Numbers follow each other, times increase, no upload is settled twice, and what
an entry says of its content agrees with the entry before.
"""

from collections.abc import Iterator

from lakehouse.contracts import LIVE_TABLES
from lakehouse.ledger import Entry, entry_name
from lakehouse.verify.evidence import Decided, content_of
from lakehouse.verify.report import Findings

__all__ = ["Chain"]

_HINT = (
    "No entry may say this. Restore the ledger from a backup, or report how it came."
)


class Chain:
    """The entries seen so far, in the order of their numbers."""

    def __init__(self, path: str, findings: Findings) -> None:
        self._path = path
        self._findings = findings
        self._before: Entry | None = None
        self._latest: Entry | None = None
        self.settled: dict[str, int] = {}
        """Upload to the version that settled it."""

    def take(self, number: int, decided: Decided) -> None:
        """Hold the next entry against those before it."""
        entry = decided.entry
        if decided.is_vouched:
            faults = list(self._faults(number, entry))
            for check, message in faults:
                self._findings.add(
                    check,
                    f"Entry {number} {message}.",
                    _HINT,
                    version=number,
                    file=f"{self._path}/ledger/{entry_name(number)}",
                )
            self._latest = entry
            self.settled |= dict.fromkeys(entry.uploads, number)
        self._before = entry

    def _faults(self, number: int, entry: Entry) -> Iterator[tuple[str, str]]:
        """Check and message of everything wrong with an entry."""
        before, latest = self._before, self._latest
        if entry.version != number:
            yield "ledger.number", f"says that it is entry {entry.version}"
        if latest is not None and entry.time <= latest.time:
            at, earlier = entry.time.isoformat(), latest.time.isoformat()
            message = f"is of {at}, not after entry {latest.version}, of {earlier}"
            yield "ledger.time", message
        for upload in entry.uploads:
            if upload in self.settled:
                message = f"settles upload {upload}, as {self.settled[upload]} did"
                yield "ledger.upload", message
        content = content_of(number, entry.kind, before)
        if entry.content_version != content:
            message = f"has content {entry.content_version}; its kind, {entry.kind}, "
            yield "ledger.content", f"{message}has that of version {content} here"
        yield from _content_faults(number, entry, latest if latest is before else None)
        yield from _collect_faults(number, entry, before)


def _content_faults(
    number: int, entry: Entry, before: Entry | None
) -> Iterator[tuple[str, str]]:
    tables = set(LIVE_TABLES)
    if set(entry.rows) != tables or set(entry.fingerprint) != tables:
        yield "ledger.header", "lacks the rows or fingerprints of live tables"
    elif before is not None and content_of(number, entry.kind, before) != number:
        for table in LIVE_TABLES:
            then = before.rows.get(table), before.fingerprint.get(table)
            if (entry.rows[table], entry.fingerprint[table]) != then:
                message = "makes no version, but has other rows or another fingerprint"
                yield "ledger.content", f"{message} of {table} than the entry before"


def _collect_faults(
    number: int, entry: Entry, before: Entry | None
) -> Iterator[tuple[str, str]]:
    known = before.collected if before is not None else None
    wanted = number if entry.kind == "collect" else known
    if entry.collected != wanted:
        yield (
            "ledger.collected",
            f"names {entry.collected} as the newest garbage collection, not {wanted}",
        )
    if any(not 0 <= first <= last < number for first, last in entry.closed):
        yield "ledger.closed", f"closes versions that were not there: {entry.closed}"
