"""The tables of uploads, versions and tags, compared with the ledger.

Their rows repeat what the ledger's entries hold, for people and SQL; and they
map the upload that each row of a live table names to a version.
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
from lakehouse.verify.report import Report
from lakehouse.verify.spool import UnreadableError, may_be_corrupt

_HINT = (
    "Rows are only ever written with the ledger entry: restore the table's files "
    "from a backup, or report how it came."
)

RowProblem = tuple[int | None, str]
"""Version and message."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads that rows may name."""

    versions: Mapping[str, int]
    """Upload to version: by the ledger, else by the table of uploads."""
    are_all_known: bool
    """False if the table is corrupt: uploads that a clone brought are only there."""


def check_records(
    collection: Collection, history: History, intact: Iterable[Copy], report: Report
) -> Uploads:
    """Compare the rows of uploads, versions and tags with the ledger.

    Args:
        collection: Whose tables.
        history: What the ledger says.
        intact: Files without a known problem; tables with any other file are skipped.
        report: Where problems are noted.

    Returns:
        The uploads that rows may name.
    """
    intact_paths = {copy.path for copy in intact}

    def read(table: str) -> pl.DataFrame | None:
        folder = collection.table_path(table)
        files = history.states[table].files
        # What follows from a corrupt file is no problem of the rows: it was reported
        # once.
        if not all(f"{folder}/{path}" in intact_paths for path in files):
            return None
        return _rows(collection, history, table, report)

    # Read once, for two checks and for the versions of rows.
    uploads = read("uploads")
    problems_by_table = {
        "uploads": _upload_problems(uploads, history),
        "versions": _version_problems(read("versions"), history),
        "tags": _tag_problems(read("tags"), history),
        "upload_errors": _error_problems(read("upload_errors"), uploads),
    }
    for table, problems in problems_by_table.items():
        for version, message in problems:
            report.add(f"{table}.rows", message, _HINT, version=version, table=table)
    versions_by_upload = {} if uploads is None else _mapping(uploads)
    return Uploads(
        versions_by_upload | history.settled, are_all_known=uploads is not None
    )


def _rows(
    collection: Collection, history: History, table: str, report: Report
) -> pl.DataFrame | None:
    """All rows of a small table at the head; None if they cannot be read, as reported."""
    state = history.states[table]
    path = collection.table_path(table)
    files = list(state.files.values())
    try:
        with may_be_corrupt():
            return collect(scan_files(collection.store, path, files, state.schema))
    except NotFoundError:
        return None  # it went meanwhile: compacted, and collected
    except UnreadableError as error:
        reason = str(error)
    report.add(
        "table.unreadable",
        f"The table cannot be read at version {history.head}: {reason}.",
        "verify(full=True) names the file that is corrupt.",
        version=history.head,
        table=table,
    )
    return None


def _mapping(uploads: pl.DataFrame) -> dict[str, int]:
    return dict(uploads.select("upload_id", "version").iter_rows())


def _upload_problems(
    uploads: pl.DataFrame | None, history: History
) -> Iterator[RowProblem]:
    if uploads is None:
        return
    versions_by_upload = _mapping(uploads)
    if uploads.height > len(versions_by_upload):
        twice = uploads.filter(pl.col("upload_id").is_duplicated())["upload_id"][0]
        yield (
            None,
            f"{uploads.height - len(versions_by_upload)} rows too many, of {twice}.",
        )
    for name, version in history.settled.items():
        if versions_by_upload.get(name) != version:
            actual = (
                f"says version {versions_by_upload[name]}"
                if name in versions_by_upload
                else "lacks it"
            )
            yield version, f"Entry {version} settled {name}; the table {actual}."
    for name, version in versions_by_upload.items():
        # A clone's are of version 0; an entry that was altered may have settled it.
        if version and name not in history.settled and version in history.vouched:
            yield version, f"It has {name}, which entry {version} did not settle."


def _version_problems(
    versions: pl.DataFrame | None, history: History
) -> Iterator[RowProblem]:
    if versions is None:
        return
    rows = {row["version"]: row for row in versions.iter_rows(named=True)}
    if len(rows) < versions.height:
        yield None, f"{versions.height - len(rows)} versions are there twice."
    for entry in history.entries:
        # Taken out: what is left at the end has no entry.
        row = rows.pop(entry.version, None)
        if entry.version not in history.vouched:
            continue
        if row is None:
            # A merge writes the row with its entry; entries of other kinds may have
            # none.
            if entry.kind == "data":
                yield entry.version, f"It lacks version {entry.version}."
            continue
        fields = _different(row, version_row(entry).row(0, named=True))
        if fields:
            names = ", ".join(fields)
            yield entry.version, f"Its row differs from the entry in {names}."
    for number in rows:
        yield number, f"It has version {number}, which no entry made."


def _different(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [name for name, value in wanted.items() if row.get(name) != value]


def _tag_problems(tags: pl.DataFrame | None, history: History) -> Iterator[RowProblem]:
    if tags is None:
        return
    known = set(history.contents)
    for name, kind, version in tags.select("name", "kind", "version").iter_rows():
        if version not in known:
            yield version, f"{kind} {name} names {version}, no version."
    twice = tags.filter(pl.col("name").is_duplicated())["name"].unique()
    for name in twice:
        yield None, f"{name} is there more than once."


def _error_problems(
    errors: pl.DataFrame | None, uploads: pl.DataFrame | None
) -> Iterator[RowProblem]:
    if errors is None or uploads is None:
        return
    unknown = errors.join(uploads, on="upload_id", how="anti")["upload_id"].unique()
    for name in unknown.sort():
        yield None, f"It has problems of upload {name}, which was never settled."
