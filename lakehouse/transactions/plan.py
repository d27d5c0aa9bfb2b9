"""From the kernel's outcome to the actions of every table's next commit.

Data files are written here; nothing names them until the ledger entry does.
A live table and its change log share the files of new images.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from lakehouse.delta.create import metadata_action
from lakehouse.delta.log import Action, written_paths
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.merging.rows import drop
from lakehouse.merging.types import EmbeddingSpec, Outcome, Rules, TableChange
from lakehouse.model.contracts import LIVE_TABLES, contract
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import OLD_AT, OLD_HASH
from lakehouse.model.row_hash import Fingerprint
from lakehouse.transactions.pending import Pending

COUNTS: Final = ("created", "replaced", "modified", "deleted", "unchanged", "rejected")
"""What can become of a frame of an upload."""

_ALL_COUNTS: Final = (*COUNTS, *(f"label_{name}" for name in COUNTS))


def upload_rows(
    group: Sequence[Pending], outcome: Outcome, version: int, at: datetime
) -> pl.DataFrame:
    """One row an upload: how it ended, in which version, with which counts."""
    counted = {
        str(row["upload_id"]): row for row in outcome.counts.iter_rows(named=True)
    }
    shape = contract("uploads").schema()
    rows = [
        _upload_row(pending, counted.get(pending.manifest.upload_id, {}), version, at)
        for pending in group
    ]
    return pl.DataFrame(rows, schema=shape)


def _upload_row(
    pending: Pending, counts: dict[str, Any], version: int, at: datetime
) -> dict[str, Any]:
    manifest = pending.manifest
    return {
        "upload_id": manifest.upload_id,
        "status": "FAILED" if pending.damage else _status(counts),
        "version": version,
        "mode": manifest.mode,
        "kind": manifest.kind,
        "author": manifest.author,
        "message": manifest.message,
        "metadata": json.dumps(manifest.metadata) if manifest.metadata else None,
        "submitted_at": manifest.submitted_at,
        "settled_at": at,
        "frame_count": manifest.frame_count,
        "label_count": manifest.label_count,
        **{name: int(counts.get(name) or 0) for name in _ALL_COUNTS},
        "content_hash": manifest.content_hash,
        "retry_of": manifest.retry_of,
        "on_error": manifest.on_error,
        "based_on": manifest.based_on,
        "error": pending.damage,
    }


def _status(counts: dict[str, Any]) -> str:
    if not counts.get("rejected"):
        return "DONE"
    landed = any(counts.get(name) for name in COUNTS if name != "rejected")
    return "PARTIAL" if landed else "FAILED"


def error_rows(outcome: Outcome) -> pl.DataFrame:
    """The problems of a merge, errors and warnings, one a row."""
    return outcome.problems.select(contract("upload_errors").schema().names())


def totals(uploads: pl.DataFrame) -> dict[str, int]:
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


def shared(values: Sequence[str | None]) -> str | None:
    """The value if all agree, else those there are, joined."""
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    return ", ".join(distinct) if distinct else None


@dataclass(slots=True)
class Plan:
    """The actions of a commit, table by table, and what they add up to."""

    actions: dict[str, list[Action]] = field(default_factory=dict[str, list[Action]])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])

    def append(self, collection: Collection, table: str, rows: pl.DataFrame) -> None:
        """Plan rows of one of the tables that only grow."""
        if rows.height:
            adds = collection.writer(table).append(rows)
            self.actions.setdefault(table, []).extend(adds)

    def written_files(self, collection: Collection) -> list[str]:
        """The paths of the data files that this plan wrote.

        A file that only got another deletion vector was there before.
        """
        return [
            f"{collection.table_path(table)}/{path}"
            for table, actions in self.actions.items()
            for path in written_paths(actions)
        ]


def plan_entry(
    collection: Collection,
    head: Entry,
    group: Sequence[Pending],
    *,
    outcome: Outcome,
    rules: Rules,
    at: datetime,
) -> tuple[Entry, Plan]:
    """Write the data files of the version after `head`, and plan its commits.

    Args:
        collection: Whose tables.
        head: The entry that the outcome was computed on.
        group: The uploads that the version settles.
        outcome: What the kernel decided.
        rules: The rules after the uploads: new fields become new columns.
        at: The time of the version.
    """
    plan = Plan()
    for table in LIVE_TABLES:
        change = outcome.changes.get(table)
        if change is not None and change.images.height:
            _evolve(collection, head.version, table, change.images, rules, plan)
        _plan_table(
            collection, head, table, change=change, group=group, plan=plan, at=at
        )
    uploads = upload_rows(group, outcome, head.version + 1, at)
    plan.append(collection, "uploads", uploads)
    plan.append(collection, "upload_errors", error_rows(outcome))
    entry = Entry(
        version=head.version + 1,
        kind="data",
        commit_id=uuid.uuid4().hex,
        time=at,
        content_version=head.version + 1,
        author=shared([pending.manifest.author for pending in group]),
        message=shared([pending.manifest.message for pending in group]),
        uploads=tuple(pending.manifest.upload_id for pending in group),
        counts=totals(uploads),
        rows=plan.rows,
        fingerprint=plan.fingerprint,
        collected=head.collected,
        class_map=rules.class_map_version,
    )
    plan.append(collection, "versions", version_row(entry))
    actions = {table: tuple(actions) for table, actions in plan.actions.items()}
    return replace(entry, actions=actions), plan


def _plan_table(
    collection: Collection,
    head: Entry,
    table: str,
    *,
    change: TableChange | None,
    group: Sequence[Pending],
    plan: Plan,
    at: datetime,
) -> None:
    old = Fingerprint.parse(head.fingerprint[table])
    plan.fingerprint[table] = head.fingerprint[table]
    plan.rows[table] = head.rows[table]
    if change is None or not (change.images.height or change.deletions.height):
        return
    created = change.images.get_column(OLD_HASH).null_count()
    plan.rows[table] += created - change.deletions.height
    gone = _known(change, OLD_HASH)
    new = Fingerprint.of(change.images.get_column("row_hash"))
    plan.fingerprint[table] = (old - Fingerprint.of(gone) + new).text
    state = collection.state(table, head.version)
    change = _without_unlanded(change, state.schema)
    logged = _write_log(collection, table, change, group, plan)
    images = drop(change.images, "op", OLD_HASH)
    writer = collection.writer(table)
    actions, rest = writer.change(state, images, _known(change, OLD_AT), at)
    if rest.height == images.height:
        log_path = collection.table_path(f"{table}_changes")
        actions += writer.share(log_path, logged)
    elif rest.height:
        actions += writer.append(drop(rest, OLD_AT))
    plan.actions.setdefault(table, []).extend(actions)


def _known(change: TableChange, name: str) -> pl.Series:
    """What is told of the old rows of a change; new rows have none."""
    parts = [part.get_column(name) for part in (change.images, change.deletions)]
    some = [part for part in parts if part.null_count() < len(part)]
    return pl.concat(some).drop_nulls() if some else parts[0].clear()


def _without_unlanded(change: TableChange, known: pl.Schema) -> TableChange:
    """The change without new fields of which no value landed."""
    unlanded = [
        name
        for name in change.images.columns
        if name.startswith(PREFIX)
        and name not in known
        and change.images.get_column(name).null_count() == change.images.height
    ]
    if not unlanded:
        return change
    return TableChange(change.images.drop(unlanded), change.deletions)


def _write_log(
    collection: Collection,
    table: str,
    change: TableChange,
    group: Sequence[Pending],
    plan: Plan,
) -> list[Action]:
    """Append the images, and the deletions, to the change log.

    Returns:
        What adds the images: the live table can have the same files.
    """
    log = f"{table}_changes"
    writer = collection.writer(log)
    told = plan.actions.setdefault(log, [])
    if _is_staged(group, table, change.images):
        (pending,) = group
        images = collection.staging.share_images(pending.manifest, table, writer.path)
    else:
        images = writer.append(drop(change.images, OLD_HASH, OLD_AT))
    told += images
    told += writer.append(drop(change.deletions, OLD_HASH, OLD_AT))
    return images


def _is_staged(group: Sequence[Pending], table: str, images: pl.DataFrame) -> bool:
    """Whether the images are, all and as they are, the files that were staged."""
    if len(group) != 1 or table not in group[0].manifest.images:
        return False
    staged: pl.DataFrame = getattr(group[0].operations, table)
    return images.get_column("row_hash").equals(staged.get_column("row_hash"))


def _evolve(  # noqa: PLR0917 - what the two sides of a change are
    collection: Collection,
    version: int,
    table: str,
    images: pl.DataFrame,
    rules: Rules,
    plan: Plan,
) -> None:
    """New metadata fields and a first embedding become a metaData action.

    Only what landed counts: a rejected frame leaves no column behind.
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
        if name not in known and images.get_column(name).null_count() < images.height
    }
    if not new and not notes:
        return
    for name in (table, f"{table}_changes"):
        state = collection.state(name, version)
        action = metadata_action(state, collection.contract(name), new, notes)
        plan.actions.setdefault(name, []).append(action)


def _note(spec: EmbeddingSpec) -> dict[str, object]:
    note: dict[str, object] = {}
    if spec.dimension is not None:
        note["ml.dim"] = spec.dimension
    if spec.model is not None:
        note["ml.model"] = spec.model
    return note
