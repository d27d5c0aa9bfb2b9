"""Rows and fingerprints of all versions, as found, against what their entries say.

Versions beside each other that are wrong in the same table are told together.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lakehouse.verify.gather import Gathered
from lakehouse.verify.report import Findings
from lakehouse.verify.tally import Tally
from lakehouse.verify.walk import History

__all__ = ["check_live", "check_log"]


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
