"""What undoing has in common: earlier rows written as an upload of its own.

History is never rewritten. A restore or a revert is settled like any upload: a
version, a row in `uploads`, images in the change log.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

import polars as pl

from lakehouse.ledger.change_log import images_of, rows_at, touched
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.ledger.settled import settled_row
from lakehouse.ledger.staging import Manifest, require_same_content, require_untaken
from lakehouse.merging.rows import add_missing_columns
from lakehouse.merging.types import Outcome, TableChange
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.operations import OLD_AT, OLD_HASH, Operations
from lakehouse.model.problems import (
    PROBLEM_SCHEMA,
    concat_problems,
    problems_of_rows,
    problems_to_frame,
)
from lakehouse.transactions.background import checkpoint_later, compact_later
from lakehouse.transactions.commit import Planned, land, next_time
from lakehouse.transactions.pending import Pending
from lakehouse.transactions.plan import plan_entry

Undoing = Callable[[Entry, Manifest], Outcome]
"""From the head and the upload to what is to be written."""


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


def settle(
    collection: Collection, what: str, content: str, request: Request, undo: Undoing
) -> str:
    """Settle an upload whose rows follow from the dataset itself; its id.

    The same id again is the same upload: nothing is written twice.

    Args:
        collection: Whose rows.
        what: `restore` or `revert`.
        content: What it undoes: calls that say the same are the same upload.
        request: Who asks, and how.
        undo: What is to be written on top of a head.

    Raises:
        InvalidInputError: If the upload's id is taken by something else.
        ConflictError: If other writers were always first.
        StorageError: If the store failed; the same call finds out what landed.
    """
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

    def plan(head: Entry) -> Planned | None:
        settled = settled_row(collection, head.version, manifest.upload_id)
        if settled is not None:
            require_same_content(settled["content_hash"], manifest)
            return None
        require_untaken(collection.staging, manifest.upload_id)
        outcome = undo(head, manifest)
        entry, made = plan_entry(
            collection,
            head,
            [Pending(_counted(manifest, outcome), Operations.empty())],
            outcome=outcome,
            rules=collection.rules(head.version),
            at=next_time(head),
        )
        return Planned(entry, made.written_files(collection))

    entry = land(collection, plan)
    if entry is not None:
        checkpoint_later(collection, entry.version)
        if request.compacts:
            compact_later(collection, entry.version)
    return manifest.upload_id


def change_towards(
    collection: Collection,
    table: str,
    version: int,
    *,
    then: pl.DataFrame,
    now: pl.DataFrame,
    upload_id: str,
) -> TableChange:
    """What makes the rows of some keys those they were.

    Args:
        collection: Whose table.
        table: A live table.
        version: The head entry, which has its columns.
        then: The rows that are to be.
        now: Key, hash and place of what is there; what `then` lacks goes.
        upload_id: The upload that does it.
    """
    key = list(collection.contract(table).key)
    schema = collection.state(table, version).schema
    op = pl.when(pl.col(OLD_HASH).is_null()).then(pl.lit("ADD"))
    images = (
        add_missing_columns(then, schema)
        .with_columns(upload_id=pl.lit(upload_id))
        .join(now, on=key, how="left", maintain_order="left")
        .filter(pl.col("row_hash").ne_missing(pl.col(OLD_HASH)))
        .with_columns(op=op.otherwise(pl.lit("MODIFY")))
        .select(*schema.names(), "op", OLD_HASH, OLD_AT)
    )
    gone = now.join(then, on=key, how="anti", maintain_order="left")
    deletions = gone.select(
        *key, pl.lit(upload_id).alias("upload_id"), pl.lit("DELETE").alias("op"),
        OLD_HASH, OLD_AT,
    )  # fmt: skip
    return TableChange(images, deletions)


def outcome_of(
    changes: Mapping[str, TableChange], problems: pl.DataFrame, upload_id: str
) -> Outcome:
    """The outcome of an undoing, its frames and labels counted.

    Args:
        changes: Live table to its changes.
        problems: With `PROBLEM_SCHEMA`; frames with one count as rejected, and as
            changed as well where other rows of theirs could be undone.
        upload_id: The upload that does it.
    """
    frames, labels = changes["frames"], changes["labels"]
    bad = problems.select("frame_id").unique()
    parts = [
        part.select("frame_id")
        for change in changes.values()
        for part in (change.images, change.deletions)
    ]
    touched = pl.concat(parts).unique().height
    is_new = pl.col(OLD_HASH).is_null()
    created = frames.images.filter(is_new).height
    deleted = frames.deletions.height
    labels_created = labels.images.filter(is_new).height
    counts = {
        "upload_id": upload_id,
        "frames": pl.concat([*parts, bad]).unique().height,
        "created": created,
        "deleted": deleted,
        "modified": touched - created - deleted,
        "rejected": bad.height,
        "label_created": labels_created,
        "label_modified": labels.images.height - labels_created,
        "label_deleted": labels.deletions.height,
        "label_rejected": len(problems.get_column("label_id").drop_nulls()),
    }
    told = problems.with_columns(upload_id=pl.lit(upload_id, dtype=pl.String))
    return Outcome(
        changes,
        told.select(*PROBLEM_SCHEMA.names(), "upload_id"),
        pl.DataFrame([counts]),
    )


def _counted(manifest: Manifest, outcome: Outcome) -> Manifest:
    counts = outcome.counts.row(0, named=True)
    fates = ("created", "modified", "deleted", "rejected")
    return replace(
        manifest,
        frame_count=counts["frames"],
        label_count=sum(counts[f"label_{fate}"] for fate in fates),
    )


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
            keys = touched(collection, table, version, head.content_version)
            changes[table] = change_towards(
                collection,
                table,
                head.version,
                then=rows_at(collection, table, version, keys),
                now=collection.lookup(table, head.version).keys(keys),
                upload_id=manifest.upload_id,
            )
        return outcome_of(changes, problems_to_frame([]), manifest.upload_id)

    return settle(collection, "restore", str(version), request, undo)


Conflicts = Literal["keep", "overwrite"]
"""What becomes of rows that were changed since: they are kept, or undone as well."""

_AFTER: Final = "_after"
_BEFORE: Final = "_before"
_OWNERS: Final = {
    "labels": "frames",
    "frame_embeddings": "frames",
    "label_embeddings": "labels",
}
"""Live table to the one whose rows its rows hang on; frames hang on nothing."""


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
            table: _work(collection, head, table, version, uploads)
            for table in LIVE_TABLES
        }
        left = [] if conflicts == "overwrite" else _leave_changed(work)
        left += _settle_deletions(collection, head, work, conflicts)
        left += _settle_additions(collection, head, work)
        changes = {
            table: change_towards(
                collection,
                table,
                head.version,
                then=_of_keys(part.then, part.keys),
                now=_of_keys(part.now, part.keys),
                upload_id=manifest.upload_id,
            )
            for table, part in work.items()
        }
        return outcome_of(changes, concat_problems(left), manifest.upload_id)

    content = f"{' '.join(sorted(uploads))} {conflicts}"
    return settle(collection, "revert", content, request, undo)


@dataclass(slots=True)
class _Work:
    """What there is to undo in one table."""

    keys: pl.DataFrame
    """The rows to undo: key, `_before`, `_after` and `_old_hash`, hashes or null."""
    then: pl.DataFrame
    """The full rows before the change."""
    now: pl.DataFrame
    """Key, hash and place of the rows that are there."""

    @property
    def goes(self) -> pl.DataFrame:
        """Those that were not there before."""
        return self.keys.filter(pl.col(_BEFORE).is_null())

    @property
    def comes(self) -> pl.DataFrame:
        """Those that were there before."""
        return self.keys.filter(pl.col(_BEFORE).is_not_null())


def _work(
    collection: Collection,
    head: Entry,
    table: str,
    version: int,
    uploads: Sequence[str],
) -> _Work:
    key = list(collection.contract(table).key)
    after = images_of(collection, table, uploads).rename({"row_hash": _AFTER})
    keys = after.select(key)
    then = rows_at(collection, table, version - 1, keys)
    now = collection.lookup(table, head.version).keys(keys)
    rows = (
        after.join(
            then.select(*key, pl.col("row_hash").alias(_BEFORE)), on=key, how="left"
        )
        .join(now.select(*key, OLD_HASH), on=key, how="left")
        .filter(pl.col(_BEFORE).ne_missing(pl.col(OLD_HASH)))
        .sort(key)
    )
    return _Work(rows, then, now)


def _leave_changed(work: dict[str, _Work]) -> list[pl.DataFrame]:
    """Leave rows alone that are neither as before nor as after the change."""
    left: list[pl.DataFrame] = []
    for part in work.values():
        changed = pl.col(OLD_HASH).ne_missing(pl.col(_AFTER))
        left.append(
            problems_of_rows(
                part.keys.filter(changed),
                rule="revert.conflict",
                message="It was changed again later, so it was left as it is.",
                hint="The history of the frame tells by whom; conflicts='overwrite' "
                "undoes the later change too.",
            )
        )
        part.keys = part.keys.filter(~changed)
    return left


def _settle_deletions(
    collection: Collection, head: Entry, work: dict[str, _Work], conflicts: Conflicts
) -> list[pl.DataFrame]:
    """Rows go only with all that hangs on them."""
    left: list[pl.DataFrame] = []
    order = ("labels", "frame_embeddings", "label_embeddings")
    # What is blocked blocks its owner; what is taken along takes along its own.
    for table in order if conflicts == "overwrite" else reversed(order):
        owner, part = work[_OWNERS[table]], work[table]
        shared = list(collection.contract(_OWNERS[table]).key)
        key = list(collection.contract(table).key)
        lookup = collection.lookup(table, head.version)
        going = owner.goes.select(shared)
        held = (
            lookup.keys(going)
            if shared == key
            else lookup.frames(going.get_column("frame_id"))
        )
        staying = held.join(part.goes, on=key, how="anti")
        if conflicts == "overwrite":
            _take_along(part, staying, key)
            continue
        blocked = owner.goes.join(
            staying.select(shared).unique(), on=shared, how="semi"
        )
        owner.keys = owner.keys.join(blocked, on=shared, how="anti")
        left.append(
            problems_of_rows(
                blocked,
                rule="revert.in_use",
                message=f"Something of `{table}` hangs on it that is to stay, so it stays too.",
                hint="Delete that first, or revert with conflicts='overwrite'.",
            )
        )
    return left


def _take_along(part: _Work, staying: pl.DataFrame, key: list[str]) -> None:
    """Let rows go that the change did not touch, with what they hang on."""
    null = pl.lit(None, dtype=pl.Int64)
    rows = staying.select(
        *key, null.alias(_AFTER), null.alias(_BEFORE), OLD_HASH
    ).select(part.keys.columns)
    part.keys = pl.concat([part.keys.join(rows, on=key, how="anti"), rows])
    part.now = pl.concat([part.now.join(staying, on=key, how="anti"), staying])
    part.then = part.then.join(rows, on=key, how="anti")


def _settle_additions(
    collection: Collection, head: Entry, work: dict[str, _Work]
) -> list[pl.DataFrame]:
    """Rows come back only to what is there; owners first."""
    left: list[pl.DataFrame] = []
    for table in ("labels", "frame_embeddings", "label_embeddings"):
        name = _OWNERS[table]
        owner, part = work[name], work[table]
        shared = list(collection.contract(name).key)
        needed = part.comes.select(shared).unique()
        there = pl.concat(
            [
                collection.lookup(name, head.version).keys(needed).select(shared),
                owner.comes.select(shared),
            ]
        ).join(owner.goes, on=shared, how="anti")
        orphaned = part.comes.join(there, on=shared, how="anti")
        part.keys = part.keys.join(
            orphaned, on=list(collection.contract(table).key), how="anti"
        )
        left.append(
            problems_of_rows(
                orphaned,
                rule="revert.no_owner",
                message=f"What it hangs on is not in `{name}` any more, so it cannot "
                "come back.",
                hint="Revert the change that took that out first.",
            )
        )
    return left


def _of_keys(rows: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    key = [name for name in ("frame_id", "label_id") if name in keys.columns]
    return rows.join(keys.select(key), on=key, how="semi", maintain_order="left")
