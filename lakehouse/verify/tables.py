"""The tables that tell of uploads, versions and tags, against the ledger.

They say in rows what the ledger says in entries: for people and SQL, and for
each row of a live table, whose upload they map to a version.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from lakehouse.delta.scan import scan_files
from lakehouse.errors import NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.storage import collect
from lakehouse.transactions.plan import version_row
from lakehouse.verify.files import Copy
from lakehouse.verify.ledger import History
from lakehouse.verify.report import Findings
from lakehouse.verify.spool import UnreadableError, may_be_damaged

_HINT = (
    "Rows are only ever written with the ledger entry: restore the table's files "
    "from a backup, or report how it came."
)


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads that rows may name."""

    versions: Mapping[str, int]
    """Upload to version: by the ledger, else by the table of uploads."""
    are_all_known: bool
    """False if the table is damaged: what a clone brought is only told there."""


def check_records(
    collection: Collection, history: History, right: Iterable[Copy], findings: Findings
) -> Uploads:
    """Hold the rows of uploads, versions and tags against the ledger.

    Args:
        collection: Whose tables.
        history: What the ledger says.
        right: Files with nothing wrong known: tables with others are let be.
        findings: Where problems are noted.

    Returns:
        The uploads that rows may name.
    """
    whole = {copy.path for copy in right}

    def read(table: str) -> pl.DataFrame | None:
        folder = collection.table_path(table)
        files = history.states[table].files
        if not all(f"{folder}/{path}" in whole for path in files):
            return None
        return _rows(collection, history, table, findings)

    uploads = read("uploads")
    faults = {
        "uploads": _upload_faults(uploads, history),
        "versions": _version_faults(read("versions"), history),
        "tags": _tag_faults(read("tags"), history),
        "upload_errors": _error_faults(read("upload_errors"), uploads),
    }
    for table, found in faults.items():
        for version, message in found:
            findings.add(f"{table}.rows", message, _HINT, version=version, table=table)
    told = {} if uploads is None else _mapping(uploads)
    return Uploads(told | history.settled, are_all_known=uploads is not None)


def _rows(
    collection: Collection, history: History, table: str, findings: Findings
) -> pl.DataFrame | None:
    """All rows of a small table at the head; None, and told, if they cannot be read."""
    state = history.states[table]
    path = collection.table_path(table)
    files = list(state.files.values())
    try:
        with may_be_damaged():
            return collect(scan_files(collection.store, path, files, state.schema))
    except NotFoundError:
        return None  # it went meanwhile: compacted, and collected
    except UnreadableError as error:
        reason = str(error)
    findings.add(
        "table.unreadable",
        f"The table cannot be read at version {history.head}: {reason}.",
        "verify(full=True) tells which of its files is damaged.",
        version=history.head,
        table=table,
    )
    return None


Fault = tuple[int | None, str]
"""Version and message."""


def _mapping(uploads: pl.DataFrame) -> dict[str, int]:
    return dict(uploads.select("upload_id", "version").iter_rows())


def _upload_faults(uploads: pl.DataFrame | None, history: History) -> Iterator[Fault]:
    if uploads is None:
        return
    told = _mapping(uploads)
    if uploads.height > len(told):
        twice = uploads.filter(pl.col("upload_id").is_duplicated())["upload_id"][0]
        yield None, f"{uploads.height - len(told)} rows too many, of {twice}."
    for name, version in history.settled.items():
        if told.get(name) != version:
            there = f"says version {told[name]}" if name in told else "lacks it"
            yield version, f"Entry {version} settled {name}; the table {there}."
    for name, version in told.items():
        # A clone's are of version 0; an entry that was altered may have settled it.
        if version and name not in history.settled and version in history.vouched:
            yield version, f"It has {name}, which entry {version} did not settle."


def _version_faults(versions: pl.DataFrame | None, history: History) -> Iterator[Fault]:
    if versions is None:
        return
    rows = {row["version"]: row for row in versions.iter_rows(named=True)}
    if len(rows) < versions.height:
        yield None, f"{versions.height - len(rows)} versions are there twice."
    for entry in history.entries:
        row = rows.pop(entry.version, None)
        if entry.version not in history.vouched:
            continue
        if row is None:
            if entry.kind == "data":
                yield entry.version, f"It lacks version {entry.version}."
            continue
        wrong = _different(row, version_row(entry).row(0, named=True))
        if wrong:
            said = ", ".join(wrong)
            yield entry.version, f"Its row differs from the entry in {said}."
    for number in rows:
        yield number, f"It has version {number}, which no entry made."


def _different(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [name for name, value in wanted.items() if row.get(name) != value]


def _tag_faults(tags: pl.DataFrame | None, history: History) -> Iterator[Fault]:
    if tags is None:
        return
    known = set(history.contents)
    for name, kind, version in tags.select("name", "kind", "version").iter_rows():
        if version not in known:
            yield version, f"{kind} {name} names {version}, no version."
    twice = tags.filter(pl.col("name").is_duplicated())["name"].unique()
    for name in twice:
        yield None, f"{name} is there more than once."


def _error_faults(
    errors: pl.DataFrame | None, uploads: pl.DataFrame | None
) -> Iterator[Fault]:
    if errors is None or uploads is None:
        return
    strangers = errors.join(uploads, on="upload_id", how="anti")["upload_id"].unique()
    for name in strangers.sort():
        yield None, f"It tells problems of upload {name}, which was never settled."
