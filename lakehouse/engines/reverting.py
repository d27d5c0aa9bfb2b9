"""Reverting: one change undone, and later work kept.

Every row that the change touched has three states: before it, after it, and now.

    now = before     it is undone already
    now = after      it goes back to what it was before
    otherwise        a conflict: it was changed since, and is left alone unless asked

Rows hang together, too: a frame goes only with all its labels, and a label comes
back only to a frame that is there. What cannot be is a conflict as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.engines.undoing import Request, change_towards, outcome_of, settle
from lakehouse.ledger import Entry
from lakehouse.merging.outcome import OLD_HASH, Outcome
from lakehouse.model.found import found, together
from lakehouse.replay import images_of, rows_at
from lakehouse.staging import Manifest

__all__ = ["Conflicts", "revert"]

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
        return outcome_of(changes, together(left), manifest.upload_id)

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
            found(
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
            found(
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
            found(
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
