"""Restore and revert: earlier rows, written again as an upload of its own.

History is never rewritten. A restore or a revert is settled like any upload: a
version, a row in `uploads`, rows in the change log. Both say which rows are to be
there (`wanted`), and which of the keys are there now (`current`); the difference
is the upload. Only keys that the undone versions or uploads touched are looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

import polars as pl

from lakehouse.ledger.change_log import changed_keys, rows_at, touched_keys
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.ledger.settled import settled_row
from lakehouse.ledger.staging import Manifest, require_same_content, require_untaken
from lakehouse.merging.rows import add_missing_columns
from lakehouse.merging.types import Outcome, Rules, TableChange
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.ids import check_upload_id
from lakehouse.model.operations import OLD_AT, OLD_HASH, Operations
from lakehouse.model.problems import PROBLEM_SCHEMA, Problems
from lakehouse.transactions.commit import CALL, PlannedEntry, commit
from lakehouse.transactions.compact import compact_later
from lakehouse.transactions.pending import Pending
from lakehouse.transactions.plan import plan_entry

Conflicts = Literal["keep", "overwrite"]
"""What becomes of rows that were changed since: they are kept, or undone as well."""

Undoing = Callable[[Entry, Manifest], Outcome]
"""From the head and the upload to what is to be written."""

_AFTER: Final = "_after"
"""Column: the hash of a row after the change that is undone; null if it was deleted."""

_BEFORE: Final = "_before"
"""Column: the hash of a row before that change; null if it was not there."""

_OWNERS: Final = {
    "labels": "frames",
    "frame_embeddings": "frames",
    "label_embeddings": "labels",
}
"""Live table to the one whose rows its rows belong to; frames belong to nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for an undoing, and how."""

    author: str | None
    """Who does it."""
    message: str
    """Why."""
    upload_id: str | None
    """An id of the caller's own; a new one if None."""
    mode: str
    """STREAMING or BATCH."""
    compacts: bool
    """Whether compaction may follow when it is due."""


def restore(collection: Collection, version: int, request: Request) -> str:
    """Make the content of `version` the newest again; the id of the upload.

    Raises:
        InvalidInputError: If the upload's id is taken by something else.
        ConflictError: If other writers were always first.
        StorageError: If the store failed; the same call finds out what landed.
    """

    def undo(head: Entry, manifest: Manifest) -> Outcome:
        changes = {}
        for table in LIVE_TABLES:
            # Keys that no later version touched are as they were: the cost is that of
            # the changes, and not that of the table.
            keys = touched_keys(collection, table, version, head.content_version)
            changes[table] = _change_towards(
                collection,
                table,
                head.version,
                wanted=rows_at(collection, table, version, keys),
                current=collection.lookup(table, head.version).keys(keys),
                upload_id=manifest.upload_id,
            )
        rules = collection.rules(head.version)
        return _outcome_of(changes, Problems().table(), manifest.upload_id, rules)

    return _settle(collection, "restore", str(version), request, undo)


def revert(
    collection: Collection,
    version: int,
    uploads: Sequence[str],
    request: Request,
    *,
    conflicts: Conflicts,
) -> str:
    """Undo what uploads of one version did; the id of the upload that does it.

    Args:
        collection: Whose rows.
        version: The version that settled the uploads.
        uploads: Their ids.
        request: Who asks, and how.
        conflicts: Whether rows that were changed since are kept or overwritten.

    Raises:
        InvalidInputError: If the upload's id is taken by something else.
        ConflictError: If other writers were always first.
        StorageError: If the store failed; the same call finds out what landed.
    """

    def undo(head: Entry, manifest: Manifest) -> Outcome:
        work = {
            table: _read_work(collection, head, table, version, uploads)
            for table in LIVE_TABLES
        }
        problems = Problems()
        if conflicts != "overwrite":
            _keep_changed(work, problems)
        # Deletions first: a row whose owner stays or goes with it is known only then.
        _settle_deletions(collection, head, work, conflicts, problems)
        _settle_additions(collection, head, work, problems)
        changes = {
            table: _change_towards(
                collection,
                table,
                head.version,
                wanted=_of_keys(part.wanted, part.keys),
                current=_of_keys(part.current, part.keys),
                upload_id=manifest.upload_id,
            )
            for table, part in work.items()
        }
        rules = collection.rules(head.version)
        return _outcome_of(changes, problems.table(), manifest.upload_id, rules)

    content = f"{' '.join(sorted(uploads))} {conflicts}"
    return _settle(collection, "revert", content, request, undo)


def _settle(
    collection: Collection, what: str, content: str, request: Request, undo: Undoing
) -> str:
    """Settle an upload whose rows follow from the collection itself; its id.

    The same id again is the same upload: nothing is written twice.

    Args:
        collection: Whose rows.
        what: `restore` or `revert`.
        content: What it undoes, as text: a call with the same id and other content is
            refused.
        request: Who asks, and how.
        undo: What is to be written on top of a head.

    Raises:
        InvalidInputError: If the upload's id is taken by something else.
        ConflictError: If other writers were always first.
        StorageError: If the store failed; the same call finds out what landed.
    """
    if request.upload_id is not None:
        check_upload_id(request.upload_id)
    manifest = Manifest(
        upload_id=request.upload_id or collection.staging.new_id(),
        content_hash=f"{what} {content}",
        submitted_at=datetime.now(UTC),
        frame_count=0,
        label_count=0,
        parts={},
        mode=request.mode,
        kind=what,
        author=request.author,
        message=request.message,
    )

    def plan(head: Entry) -> PlannedEntry[dict[str, str]]:
        settled = settled_row(collection, head.version, manifest.upload_id)
        if settled is not None:
            # The same call made again, whose first answer was lost: nothing to do.
            require_same_content(settled["content_hash"], manifest)
            return PlannedEntry(None, {})
        require_untaken(collection.staging, manifest.upload_id)
        outcome = undo(head, manifest)
        upload = Pending(_counted(manifest, outcome), Operations.empty())
        return plan_entry(collection, head, [upload], outcome)

    entry = commit(collection, plan, CALL).entry
    if entry is not None and request.compacts:
        compact_later(collection, entry.version)
    return manifest.upload_id


def _change_towards(
    collection: Collection,
    table: str,
    version: int,
    *,
    wanted: pl.DataFrame,
    current: pl.DataFrame,
    upload_id: str,
) -> TableChange:
    """The change that gives some keys the rows that they had.

    Args:
        collection: Whose table.
        table: A live table.
        version: The head entry, which has its columns.
        wanted: The full rows that are to be there.
        current: Key, hash and place of the rows that are there; those that `wanted`
            does not have are deleted.
        upload_id: The upload that does it.
    """
    key = list(collection.contract(table).key)
    schema = collection.state(table, version).schema
    op = pl.when(pl.col(OLD_HASH).is_null()).then(pl.lit("ADD"))
    new_rows = (
        add_missing_columns(wanted, schema)
        .with_columns(upload_id=pl.lit(upload_id))
        .join(current, on=key, how="left", maintain_order="left")
        # Equal rows are no change, whoever wrote them: the hash leaves provenance out.
        .filter(pl.col("row_hash").ne_missing(pl.col(OLD_HASH)))
        .with_columns(op=op.otherwise(pl.lit("MODIFY")))
        .select(*schema.names(), "op", OLD_HASH, OLD_AT)
    )
    removed = current.join(wanted, on=key, how="anti", maintain_order="left")
    deletions = removed.select(
        *key, pl.lit(upload_id).alias("upload_id"), pl.lit("DELETE").alias("op"),
        OLD_HASH, OLD_AT,
    )  # fmt: skip
    return TableChange(new_rows, deletions)


def _outcome_of(
    changes: Mapping[str, TableChange],
    problems: pl.DataFrame,
    upload_id: str,
    rules: Rules,
) -> Outcome:
    """The outcome of an undoing, its frames and labels counted.

    Args:
        changes: Live table to its changes.
        problems: With `PROBLEM_SCHEMA`; frames with one count as rejected, and as
            changed as well where other rows of theirs could be undone.
        upload_id: The upload that does it.
        rules: Those of the head: undoing adds no field and no class.
    """
    frames, labels = changes["frames"], changes["labels"]
    bad = problems.select("frame_id").unique()
    parts = [
        part.select("frame_id")
        for change in changes.values()
        for part in (change.new_rows, change.deletions)
    ]
    touched = pl.concat(parts).unique().height
    is_new = pl.col(OLD_HASH).is_null()
    created = frames.new_rows.filter(is_new).height
    deleted = frames.deletions.height
    labels_created = labels.new_rows.filter(is_new).height
    counts = {
        "upload_id": upload_id,
        "frames": pl.concat([*parts, bad]).unique().height,
        "created": created,
        "deleted": deleted,
        "modified": touched - created - deleted,
        "rejected": bad.height,
        "label_created": labels_created,
        "label_modified": labels.new_rows.height - labels_created,
        "label_deleted": labels.deletions.height,
        "label_rejected": len(problems.get_column("label_id").drop_nulls()),
    }
    stamped = problems.with_columns(upload_id=pl.lit(upload_id, dtype=pl.String))
    return Outcome(
        changes,
        stamped.select(*PROBLEM_SCHEMA.names(), "upload_id"),
        pl.DataFrame([counts]),
        rules,
    )


def _counted(manifest: Manifest, outcome: Outcome) -> Manifest:
    """The manifest with the frames and labels that the undoing came to."""
    counts = outcome.counts.row(0, named=True)
    ends = ("created", "modified", "deleted", "rejected")
    return replace(
        manifest,
        frame_count=counts["frames"],
        label_count=sum(counts[f"label_{end}"] for end in ends),
    )


# ---------------------------------- REVERT ---------------------------------- #


@dataclass(slots=True)
class _TableWork:
    """What there is to undo in one table."""

    keys: pl.DataFrame
    """The rows to undo: key, `_before`, `_after` and `_old_hash`, hashes or null."""
    wanted: pl.DataFrame
    """The full rows before the change."""
    current: pl.DataFrame
    """Key, hash and place of the rows that are there."""

    @property
    def removals(self) -> pl.DataFrame:
        """The rows to undo that were not there before the change."""
        return self.keys.filter(pl.col(_BEFORE).is_null())

    @property
    def returns(self) -> pl.DataFrame:
        """The rows to undo that were there before the change."""
        return self.keys.filter(pl.col(_BEFORE).is_not_null())


def _read_work(
    collection: Collection,
    head: Entry,
    table: str,
    version: int,
    uploads: Sequence[str],
) -> _TableWork:
    key = list(collection.contract(table).key)
    after = changed_keys(collection, table, uploads).rename({"row_hash": _AFTER})
    keys = after.select(key)
    wanted = rows_at(collection, table, version - 1, keys)
    current = collection.lookup(table, head.version).keys(keys)
    rows = (
        after.join(
            wanted.select(*key, pl.col("row_hash").alias(_BEFORE)), on=key, how="left"
        )
        .join(current.select(*key, OLD_HASH), on=key, how="left")
        # Now as before the change: somebody undid it already, or it changed nothing.
        .filter(pl.col(_BEFORE).ne_missing(pl.col(OLD_HASH)))
        .sort(key)
    )
    return _TableWork(rows, wanted, current)


def _keep_changed(work: dict[str, _TableWork], problems: Problems) -> None:
    """Keep rows that are neither as before nor as after the change: later work is in them."""
    for part in work.values():
        changed = pl.col(OLD_HASH).ne_missing(pl.col(_AFTER))
        problems.add_rows(
            part.keys.filter(changed),
            rule="revert.conflict",
            message="It was changed again later, so it was left as it is.",
            hint="The history of the frame shows by whom; conflicts='overwrite' "
            "undoes the later change too.",
        )
        part.keys = part.keys.filter(~changed)


def _settle_deletions(
    collection: Collection,
    head: Entry,
    work: dict[str, _TableWork],
    conflicts: Conflicts,
    problems: Problems,
) -> None:
    """Delete rows only with all rows that belong to them."""
    order = ("labels", "frame_embeddings", "label_embeddings")
    # Kept rows keep their owners, so tables are walked from the leaves to the frames;
    # with overwrite, owners take their rows along, so from the frames to the leaves.
    for table in order if conflicts == "overwrite" else reversed(order):
        owner, part = work[_OWNERS[table]], work[table]
        shared = list(collection.contract(_OWNERS[table]).key)
        key = list(collection.contract(table).key)
        lookup = collection.lookup(table, head.version)
        removed = owner.removals.select(shared)
        dependent = (
            lookup.keys(removed)
            if shared == key
            else lookup.frames(removed.get_column("frame_id"))
        )
        staying = dependent.join(part.removals, on=key, how="anti")
        if conflicts == "overwrite":
            _remove_too(part, staying, key)
            continue
        # An owner with a row that stays would leave it without an owner: it stays too.
        blocked = owner.removals.join(
            staying.select(shared).unique(), on=shared, how="semi"
        )
        owner.keys = owner.keys.join(blocked, on=shared, how="anti")
        problems.add_rows(
            blocked,
            rule="revert.in_use",
            message=f"Rows of `{table}` that are kept belong to it, so it is kept too.",
            hint="Delete that first, or revert with conflicts='overwrite'.",
        )


def _remove_too(part: _TableWork, staying: pl.DataFrame, key: list[str]) -> None:
    """Delete rows that the change did not touch, since their owners go."""
    null = pl.lit(None, dtype=pl.Int64)
    rows = staying.select(
        *key, null.alias(_AFTER), null.alias(_BEFORE), OLD_HASH
    ).select(part.keys.columns)
    part.keys = pl.concat([part.keys.join(rows, on=key, how="anti"), rows])
    part.current = pl.concat([part.current.join(staying, on=key, how="anti"), staying])
    part.wanted = part.wanted.join(rows, on=key, how="anti")


def _settle_additions(
    collection: Collection,
    head: Entry,
    work: dict[str, _TableWork],
    problems: Problems,
) -> None:
    """Bring rows back only to owners that are there; owners first."""
    for table in ("labels", "frame_embeddings", "label_embeddings"):
        name = _OWNERS[table]
        owner, part = work[name], work[table]
        shared = list(collection.contract(name).key)
        needed = part.returns.select(shared).unique()
        owners = pl.concat(
            [
                collection.lookup(name, head.version).keys(needed).select(shared),
                owner.returns.select(shared),
            ]
        ).join(owner.removals, on=shared, how="anti")
        orphaned = part.returns.join(owners, on=shared, how="anti")
        part.keys = part.keys.join(
            orphaned, on=list(collection.contract(table).key), how="anti"
        )
        problems.add_rows(
            orphaned,
            rule="revert.no_owner",
            message=f"What it belongs to is not in `{name}` any more, so it cannot "
            "come back.",
            hint="Revert the change that deleted that first.",
        )


def _of_keys(rows: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    key = [name for name in ("frame_id", "label_id") if name in keys.columns]
    return rows.join(keys.select(key), on=key, how="semi", maintain_order="left")
