"""From the kernel's outcome to the actions of every table's next commit.

Data files are written here; nothing names them until the ledger entry does.
A live table and its change log share files when every image is a new row.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES, contract
from lakehouse.delta.actions import Action
from lakehouse.delta.create import metadata_action
from lakehouse.delta.plan import plan_append, plan_changes, share_actions
from lakehouse.engines.pending import Pending
from lakehouse.engines.records import (
    error_rows,
    shared,
    totals,
    upload_rows,
    version_row,
)
from lakehouse.fingerprint import Fingerprint
from lakehouse.ledger import Entry
from lakehouse.merging.outcome import Outcome, TableChange
from lakehouse.merging.rules import EmbeddingSpec, Rules
from lakehouse.model.metadata import PREFIX

__all__ = ["Plan", "plan_entry"]


@dataclass(slots=True)
class Plan:
    """The actions of a commit, table by table, and what they add up to."""

    actions: dict[str, list[Action]] = field(default_factory=dict[str, list[Action]])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])

    def append(self, collection: Collection, table: str, rows: pl.DataFrame) -> None:
        """Plan rows of one of the tables that only grow."""
        if rows.height:
            path, shape = collection.table_path(table), contract(table)
            adds = plan_append(collection.store, path, rows, shape)
            self.actions.setdefault(table, []).extend(adds)

    def added_files(self, collection: Collection) -> list[str]:
        """The paths of the data files that this plan wrote."""
        return [
            f"{collection.table_path(table)}/{action['add']['path']}"
            for table, actions in self.actions.items()
            for action in actions
            if "add" in action
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
        _plan_table(collection, head, table, change=change, plan=plan, at=at)
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
    plan: Plan,
    at: datetime,
) -> None:
    old = Fingerprint.parse(head.fingerprint[table])
    plan.fingerprint[table] = head.fingerprint[table]
    plan.rows[table] = head.rows[table]
    if change is None or not (change.images.height or change.deletions.height):
        return
    created = change.images.get_column("_old_hash").null_count()
    plan.rows[table] += created - change.deletions.height
    gone = pl.concat(
        [part.get_column("_old_hash") for part in (change.images, change.deletions)]
    ).drop_nulls()
    new = Fingerprint.of(change.images.get_column("row_hash"))
    plan.fingerprint[table] = (old - Fingerprint.of(gone) + new).text
    is_append = created == change.images.height and not change.deletions.height
    change = _without_unlanded(change, collection.state(table, head.version).schema)
    logged = _write_log(collection, table, change, plan)
    path = collection.table_path(table)
    live = plan.actions.setdefault(table, [])
    if is_append:
        log_path = collection.table_path(f"{table}_changes")
        live += share_actions(collection.store, log_path, path, logged)
        return
    live += plan_changes(
        collection.store,
        path,
        collection.state(table, head.version),
        change.images.drop("op", "_old_hash"),
        change.deletions.select(contract(table).key),
        contract=contract(table),
        timestamp=at,
    )


def _without_unlanded(change: TableChange, known: pl.Schema) -> TableChange:
    """The change without new fields of which no value landed."""
    unlanded = [
        name
        for name in change.images.columns
        if name.startswith(PREFIX)
        and name not in known
        and change.images.get_column(name).null_count() == change.images.height
    ]
    return TableChange(change.images.drop(unlanded), change.deletions)


def _write_log(
    collection: Collection, table: str, change: TableChange, plan: Plan
) -> list[Action]:
    """Append the images and deletions to the change log."""
    log = f"{table}_changes"
    rows = change.images.drop("_old_hash")
    if change.deletions.height:
        gone = change.deletions.drop("_old_hash")
        rows = pl.concat([rows, gone], how="diagonal")
    adds = list(
        plan_append(collection.store, collection.table_path(log), rows, contract(log))
    )
    plan.actions.setdefault(log, []).extend(adds)
    return adds


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
        action = metadata_action(state, contract(name), new, notes)
        plan.actions.setdefault(name, []).append(action)


def _note(spec: EmbeddingSpec) -> dict[str, object]:
    note: dict[str, object] = {}
    if spec.dimension is not None:
        note["ml.dim"] = spec.dimension
    if spec.model is not None:
        note["ml.model"] = spec.model
    return note
