"""From the kernel's outcome to the next ledger entry, with its files written.

Data files are written here; nothing names them until the ledger entry does.
A live table and its change log share the files of new rows.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from lakehouse.delta.create import metadata_action
from lakehouse.delta.log import Action, written_paths
from lakehouse.errors import StorageError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.merging.types import EmbeddingSpec, Outcome, Rules, TableChange
from lakehouse.model.contracts import LIVE_TABLES, contract
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import OLD_AT, OLD_HASH
from lakehouse.model.row_hash import Fingerprint
from lakehouse.transactions.commit import PlannedEntry, next_entry
from lakehouse.transactions.pending import Pending

COUNTS: Final = ("created", "replaced", "modified", "deleted", "unchanged", "rejected")
"""The ways in which a frame of an upload can end, as columns of `uploads` have them."""

_ALL_COUNTS: Final = (*COUNTS, *(f"label_{name}" for name in COUNTS))


@dataclass(slots=True)
class _Plan:
    """The actions of an entry, table by table, and what they add up to."""

    actions: dict[str, list[Action]] = field(default_factory=dict[str, list[Action]])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, table: str, actions: Sequence[Action]) -> None:
        """Add actions of a table, after those that are there."""
        self.actions.setdefault(table, []).extend(actions)

    def append(self, collection: Collection, table: str, rows: pl.DataFrame) -> None:
        """Write rows of one of the tables that only grow."""
        if rows.height:
            self.add(table, collection.writer(table).append(rows))

    def written_files(self, collection: Collection) -> list[str]:
        """The paths of the data files that were written, for when the entry loses.

        A file that only got another deletion vector was there before: it stays.
        """
        return [
            f"{collection.table_path(table)}/{path}"
            for table, actions in self.actions.items()
            for path in written_paths(actions)
        ]


def plan_entry(
    collection: Collection, head: Entry, group: Sequence[Pending], outcome: Outcome
) -> PlannedEntry[dict[str, str]]:
    """Write the data files of the version after `head`, and plan its entry.

    Args:
        collection: Whose tables.
        head: The entry that the outcome was computed on.
        group: The uploads that the version settles.
        outcome: What the kernel decided.

    Returns:
        The entry; its `result` are the uploads of which every row landed, and the content
        hash of each.
    """
    entry = next_entry(
        head,
        "data",
        content_version=head.version + 1,
        author=_joined([pending.manifest.author for pending in group]),
        message=_joined([pending.manifest.message for pending in group]),
        uploads=tuple(pending.manifest.upload_id for pending in group),
        class_map=outcome.rules.class_map_version,
    )
    plan = _Plan()
    try:
        return _planned(collection, head, group, outcome, plan, entry)
    except StorageError:
        # A full disk stays full while files lie there that nothing names.
        with suppress(StorageError):
            for path in plan.written_files(collection):
                collection.store.delete(path)
        raise


def _planned(  # noqa: PLR0917 - what an entry is made of
    collection: Collection,
    head: Entry,
    group: Sequence[Pending],
    outcome: Outcome,
    plan: _Plan,
    entry: Entry,
) -> PlannedEntry[dict[str, str]]:
    """Fill a plan, and make its entry of it."""
    for table in LIVE_TABLES:
        change = outcome.changes.get(table)
        plan.rows[table] = head.rows[table]
        plan.fingerprint[table] = head.fingerprint[table]
        if change is not None and change.new_rows.height:
            _evolve(
                collection, head.version, table, change.new_rows, outcome.rules, plan
            )
        if change is not None and (change.new_rows.height or change.deletions.height):
            _plan_table(collection, head, table, change, group, plan, entry.time)
    uploads = _upload_rows(group, outcome, entry)
    plan.append(collection, "uploads", uploads)
    plan.append(collection, "upload_errors", _error_rows(outcome))
    entry = replace(
        entry, counts=_totals(uploads), rows=plan.rows, fingerprint=plan.fingerprint
    )
    # Last: its row repeats the counts and fingerprints of the entry.
    plan.append(collection, "versions", version_row(entry))
    actions = {table: tuple(actions) for table, actions in plan.actions.items()}
    ended = uploads[["upload_id", "content_hash", "status"]].rows()
    complete = {
        upload_id: digest for upload_id, digest, status in ended if status == "DONE"
    }
    # What is staged of the others stays, for a retry of their rejected rows.
    kept = [
        path
        for pending in group
        # Restores and reverts are computed, and staged nowhere.
        if pending.manifest.kind == "write"
        and pending.manifest.upload_id not in complete
        for path in collection.staging.paths(pending.manifest)
    ]
    return PlannedEntry(
        replace(entry, actions=actions),
        complete,
        plan.written_files(collection),
        rests_on=kept,
    )


# ------------------------------- LIVE TABLES ------------------------------- #


def _plan_table(  # noqa: PLR0917 - what one table's part of an entry stands on
    collection: Collection,
    head: Entry,
    table: str,
    change: TableChange,
    group: Sequence[Pending],
    plan: _Plan,
    removed_at: datetime,
) -> None:
    """Write the files of one live table and of its change log."""
    created = change.new_rows.get_column(OLD_HASH).null_count()
    plan.rows[table] += created - change.deletions.height
    # A fingerprint is a sum over rows, so no row that stays is read to get the next.
    removed = Fingerprint.of(_old_values(change, OLD_HASH))
    new = Fingerprint.of(change.new_rows.get_column("row_hash"))
    old = Fingerprint.parse(head.fingerprint[table])
    plan.fingerprint[table] = (old - removed + new).text
    state = collection.state(table, head.version)
    change = _without_unlanded(change, state.schema)
    logged = _write_log(collection, table, change, group, plan)
    new_rows = _drop(change.new_rows, "op", OLD_HASH)
    writer = collection.writer(table)
    places = _old_values(change, OLD_AT)
    actions, rest = writer.change(state, new_rows, places, removed_at)
    if rest.height == new_rows.height:
        # No new row went into a file that was written again: the files of the change
        # log hold just these rows, and one encoding serves both tables.
        log_path = collection.table_path(f"{table}_changes")
        actions += writer.share(log_path, logged)
    elif rest.height:
        actions += writer.append(_drop(rest, OLD_AT))
    plan.add(table, actions)


def _drop(rows: pl.DataFrame, *names: str) -> pl.DataFrame:
    """The rows without some columns, which may be missing already."""
    return rows[[name for name in rows.columns if name not in names]]


def _old_values(change: TableChange, name: str) -> pl.Series:
    """The hashes, or the places, of the rows that a change takes out."""
    parts = [part.get_column(name) for part in (change.new_rows, change.deletions)]
    some = [part for part in parts if part.null_count() < len(part)]
    return pl.concat(some).drop_nulls() if some else parts[0].clear()


def _without_unlanded(change: TableChange, known: pl.Schema) -> TableChange:
    """The change without new fields of which no value landed."""
    unlanded = [
        name
        for name in change.new_rows.columns
        if name.startswith(PREFIX)
        and name not in known
        and change.new_rows.get_column(name).null_count() == change.new_rows.height
    ]
    if not unlanded:
        return change
    return TableChange(change.new_rows.drop(unlanded), change.deletions)


def _write_log(
    collection: Collection,
    table: str,
    change: TableChange,
    group: Sequence[Pending],
    plan: _Plan,
) -> list[Action]:
    """Append the new rows and the deletions to the change log.

    Returns:
        The actions that add the new rows: the live table can have the same files.
    """
    log = f"{table}_changes"
    writer = collection.writer(log)
    if _is_staged(group, table, change.new_rows):
        # A large upload of which every row landed: its files are linked, not encoded.
        (pending,) = group
        added = collection.staging.share_encoded_parts(
            pending.manifest, table, writer.path
        )
    else:
        added = writer.append(_drop(change.new_rows, OLD_HASH, OLD_AT))
    plan.add(log, added)
    plan.add(log, writer.append(_drop(change.deletions, OLD_HASH, OLD_AT)))
    return added


def _is_staged(group: Sequence[Pending], table: str, new_rows: pl.DataFrame) -> bool:
    """Whether the new rows are just the rows of the files that were staged."""
    if len(group) != 1 or table not in group[0].manifest.encoded_parts:
        return False
    staged: pl.DataFrame = getattr(group[0].operations, table)
    # Hashes alone: they cover all content, and equal ones in the same order are the
    # same rows. A rejected, skipped or unchanged row, or another class id, shows here.
    return new_rows.get_column("row_hash").equals(staged.get_column("row_hash"))


def _evolve(  # noqa: PLR0917 - what the two sides of a change are
    collection: Collection,
    version: int,
    table: str,
    new_rows: pl.DataFrame,
    rules: Rules,
    plan: _Plan,
) -> None:
    """Plan a metaData action for new metadata fields, and for a first embedding.

    Only values that landed count: a rejected frame leaves no column behind.
    """
    fields: Mapping[str, pl.DataType] = {}
    notes: dict[str, dict[str, object]] = {}
    if table == "frames":
        fields = rules.frame_metadata
    elif table == "labels":
        fields = rules.label_metadata
    else:
        spec = (
            rules.frame_embedding
            if table == "frame_embeddings"
            else rules.label_embedding
        )
        if spec != collection.embedding_spec(table, version):
            notes = {"embedding": _note(spec)}
    known = collection.state(table, version).schema
    new = {
        name: dtype
        for name, dtype in fields.items()
        if name not in known
        and new_rows.get_column(name).null_count() < new_rows.height
    }
    if not new and not notes:
        return
    # Both tables in one entry: a change log always has the columns of its live table.
    for name in (table, f"{table}_changes"):
        state = collection.state(name, version)
        action = metadata_action(state, collection.contract(name), new, notes)
        plan.add(name, [action])


def _note(spec: EmbeddingSpec) -> dict[str, object]:
    note: dict[str, object] = {}
    if spec.dimension is not None:
        note["ml.dim"] = spec.dimension
    if spec.model is not None:
        note["ml.model"] = spec.model
    return note


# ---------------------- TABLES ABOUT UPLOADS AND VERSIONS --------------------- #


def _upload_rows(
    group: Sequence[Pending], outcome: Outcome, entry: Entry
) -> pl.DataFrame:
    """One row an upload: how it ended, in which version, with which counts."""
    counted = {
        str(row["upload_id"]): row for row in outcome.counts.iter_rows(named=True)
    }
    shape = contract("uploads").schema()
    rows = [
        _upload_row(pending, counted.get(pending.manifest.upload_id, {}), entry)
        for pending in group
    ]
    return pl.DataFrame(rows, schema=shape)


def _upload_row(
    pending: Pending, counts: dict[str, Any], entry: Entry
) -> dict[str, Any]:
    manifest = pending.manifest
    return {
        "upload_id": manifest.upload_id,
        "status": "FAILED" if pending.error else _status(counts),
        "version": entry.version,
        "mode": manifest.mode,
        "kind": manifest.kind,
        "author": manifest.author,
        "message": manifest.message,
        "metadata": json.dumps(manifest.metadata) if manifest.metadata else None,
        "submitted_at": manifest.submitted_at,
        "settled_at": entry.time,
        "frame_count": manifest.frame_count,
        "label_count": manifest.label_count,
        **{name: int(counts.get(name) or 0) for name in _ALL_COUNTS},
        "content_hash": manifest.content_hash,
        "retry_of": manifest.retry_of,
        "on_error": manifest.on_error,
        "based_on": manifest.based_on,
        "error": pending.error,
    }


def _status(counts: dict[str, Any]) -> str:
    if not counts.get("rejected"):
        return "DONE"
    landed = any(counts.get(name) for name in COUNTS if name != "rejected")
    return "PARTIAL" if landed else "FAILED"


def _error_rows(outcome: Outcome) -> pl.DataFrame:
    """The problems of a merge, errors and warnings, one a row."""
    return outcome.problems.select(contract("upload_errors").schema().names())


def _totals(uploads: pl.DataFrame) -> dict[str, int]:
    """The counts of several uploads added up."""
    return {name: int(uploads.get_column(name).sum()) for name in _ALL_COUNTS}


def version_row(entry: Entry) -> pl.DataFrame:
    """The header of an entry as a row, for people and SQL."""
    row = {
        "version": entry.version,
        "kind": entry.kind,
        "time": entry.time,
        "author": entry.author,
        "message": entry.message,
        "uploads": list(entry.uploads),
        "commit_id": entry.commit_id,
        "content_version": entry.content_version,
        "fingerprint": json.dumps(dict(entry.fingerprint)),
        **{f"{table}_rows": count for table, count in entry.rows.items()},
        **entry.counts,
    }
    shape = contract("versions").schema()
    return pl.DataFrame([{name: row.get(name) for name in shape}], schema=shape)


def _joined(values: Sequence[str | None]) -> str | None:
    """The distinct values, joined; None if there is none."""
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    return ", ".join(distinct) if distinct else None
