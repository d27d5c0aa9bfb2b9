"""What undoing has in common: earlier rows written as an upload of its own.

History is never rewritten. A restore or a revert is settled like any upload: a
version, a row in `uploads`, images in the change log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from lakehouse.collection import Collection
from lakehouse.engines.background import checkpoint_later, compact_later
from lakehouse.engines.landing import Planned, land
from lakehouse.engines.pending import Pending, settled_row
from lakehouse.engines.plan import plan_entry
from lakehouse.engines.ready import next_time
from lakehouse.ledger import Entry
from lakehouse.merging.outcome import OLD_AT, OLD_HASH, Outcome, TableChange
from lakehouse.merging.rows import filled
from lakehouse.model.operations import Operations
from lakehouse.model.problems import PROBLEM_SCHEMA
from lakehouse.staging import Manifest, require_same_content, require_untaken

__all__ = ["Request", "Undoing", "change_towards", "outcome_of", "settle"]

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
        filled(then, schema)
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
