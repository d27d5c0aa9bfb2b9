"""The merge: pending uploads become the next version, or are told why not.

One attempt reads the head, the class map and the touched rows; runs the kernel;
writes data files; and puts the next ledger entry if absent. Only that put
decides. Lost it: everything is computed again on the new head, from the same
staged rows. Won it: the tables are published, best effort, since whoever comes
next completes that.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from lakehouse.errors import LakehouseError, NotFoundError, StorageError
from lakehouse.ledger.change_log import content
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.ledger.prepared import as_sent
from lakehouse.ledger.settled import distinct, frame_ids, unsettled
from lakehouse.ledger.tags import pin_row
from lakehouse.merging.evolve import evolve
from lakehouse.merging.kernel import apply
from lakehouse.merging.rows import anti_join, semi_join
from lakehouse.merging.types import Current, Held, Outcome, Rules
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.operations import OP, Operations, all_are
from lakehouse.model.problems import (
    UPLOAD_PROBLEM_SCHEMA,
    concat_problems,
    problems_of_rows,
)
from lakehouse.storage import collect
from lakehouse.transactions.background import (
    checkpoint_later,
    compact_later,
    index_later,
    sweep,
    sweep_later,
)
from lakehouse.transactions.commit import (
    LOSSES_BEFORE_TURN,
    next_time,
    ready_head,
    take_turn,
)
from lakehouse.transactions.pending import Pending, next_group
from lakehouse.transactions.plan import Plan, plan_entry, upload_rows
from lakehouse.types import Progress, silent

_UNKNOWN: Final = "The dataset never had a frame of that id."
_UNPINNED: Final = (
    "The frame is not in the dataset's version that the set is pinned to, so it has no "
    "ground truth there and metrics leave it out."
)


def base_findings(collection: Collection, operations: Operations) -> pl.DataFrame:
    """Problems of frames that the dataset of an inference set does not have.

    Args:
        collection: An inference set's, or a dataset's, which has no base.
        operations: With `upload_id` in every row.
    """
    base = collection.base
    if base is None:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    named = [
        part.filter(pl.col(OP) != "DELETE").select("frame_id", "upload_id")
        for part in (operations.frames, operations.labels)
        if part.height
    ]
    if not named:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    sent = pl.concat(named).unique()
    ids = distinct(sent.get_column("frame_id"))
    head = base.head().version
    ever = base.scan("frames_changes", head, keys=ids, columns=["frame_id"])
    unknown = sent.join(collect(ever.unique()), on="frame_id", how="anti")
    parts = [
        problems_of_rows(
            unknown,
            rule="frame.not_in_dataset",
            message=_UNKNOWN,
            hint="Add the frame to the dataset first, or correct its id.",
        )
    ]
    pin = pin_row(base, collection.path.rpartition("/")[2])
    if pin is not None:
        version = int(pin["version"])
        there = content(base, "frames", version, keys=ids, columns=["frame_id"])
        known = sent.join(unknown, on="frame_id", how="anti")
        parts.append(
            problems_of_rows(
                known.join(collect(there), on="frame_id", how="anti"),
                rule="frame.not_pinned",
                message=_UNPINNED,
                hint="Create another inference set, or repin this one, to measure it.",
                severity="warning",
            )
        )
    return concat_problems(parts, UPLOAD_PROBLEM_SCHEMA)


_FRAME: Final = ["frame_id"]
_LABEL: Final = ["frame_id", "label_id"]
_NO_LABELS: Final = pl.DataFrame(schema=dict.fromkeys(_LABEL, pl.String))
_STALE_SCHEMA: Final = pl.Schema(
    {"frame_id": pl.String, "version": pl.Int64, "author": pl.String}
)


def stamped(group: Sequence[Pending], class_ids: Mapping[str, int]) -> Operations:
    """The operations of a group as one, each row with its upload's id.

    Hashes made when an upload was staged are kept where it is alone, and its
    classes have the ids still that it was hashed with.
    """
    known = len(group) == 1 and all(
        class_ids.get(name) == number
        for name, number in group[0].manifest.classes.items()
    )
    parts = {
        name: [
            (part if known else as_sent(part)).with_columns(
                upload_id=pl.lit(pending.manifest.upload_id)
            )
            for pending in group
            if (part := getattr(pending.operations, name)).height
        ]
        for name in ("frames", "labels", "problems")
    }
    empty = pl.DataFrame(schema=UPLOAD_PROBLEM_SCHEMA)
    return Operations(
        frames=_together(parts["frames"]),
        labels=_together(parts["labels"]),
        problems=pl.concat(parts["problems"]) if parts["problems"] else empty,
    )


def _together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    if not parts:
        return pl.DataFrame()
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal")


def current_rows(
    collection: Collection, version: int, operations: Operations
) -> Current:
    """What the tables hold at `version` of what operations touch."""
    frames, labels = operations.frames, operations.labels
    if not frames.height:
        return _of_labels_alone(collection, version, labels)
    lookup = collection.lookup("frames", version)
    touched = (
        frames[_FRAME].clear() if lookup.is_empty else frame_ids(operations).to_frame()
    )
    there = lookup.keys(touched)
    modified = semi_join(there, _of(frames, "MODIFY", _FRAME))
    wholly = pl.concat([_of(frames, "ADD", _FRAME), _of(frames, "DELETE", _FRAME)])
    wholly = semi_join(there[_FRAME], wholly)
    lasting = anti_join(there[_FRAME], wholly)
    singly = semi_join(labels[_LABEL], lasting) if labels.height else _NO_LABELS
    return Current(
        frames=Held(there, lookup.rows(modified)),
        labels=_held_labels(collection, version, labels, wholly, singly),
        frame_embeddings=_keys(collection, "frame_embeddings", version, there, None),
        label_embeddings=_keys(collection, "label_embeddings", version, wholly, singly),
    )


def _of_labels_alone(
    collection: Collection, version: int, labels: pl.DataFrame
) -> Current:
    """The same where no frame is sent: the frame of a label that is there, is there."""
    none = pl.DataFrame(schema=dict.fromkeys(_FRAME, pl.String))
    singly = labels[_LABEL] if labels.height else _NO_LABELS
    held = _held_labels(collection, version, labels, none, singly)
    found = distinct(held.keys.get_column("frame_id"))
    rest = singly if not len(found) else anti_join(singly, found.to_frame())
    looked_up = collection.lookup("frames", version).keys(
        distinct(rest.get_column("frame_id")).to_frame()
    )
    there = pl.concat([looked_up, found.to_frame()], how="diagonal")
    return Current(
        frames=Held(there, pl.DataFrame()),
        labels=held,
        frame_embeddings=_keys(collection, "frame_embeddings", version, none, None),
        label_embeddings=_keys(collection, "label_embeddings", version, none, singly),
    )


def _of(rows: pl.DataFrame, op: str, key: list[str]) -> pl.DataFrame:
    """The keys of the rows with that operation."""
    if not rows.height:
        return pl.DataFrame(schema=dict.fromkeys(key, pl.String))
    if all_are(rows, op):
        return rows[key]
    is_op = rows.get_column(OP) == op
    return rows.filter(is_op)[key] if is_op.any() else rows[key].clear()


def _held_labels(
    collection: Collection,
    version: int,
    labels: pl.DataFrame,
    wholly: pl.DataFrame,
    singly: pl.DataFrame,
) -> Held:
    keys = _keys(collection, "labels", version, wholly, singly).keys
    modified = semi_join(keys, _of(labels, "MODIFY", _LABEL), _LABEL)
    return Held(keys, collection.lookup("labels", version).rows(modified))


def _keys(
    collection: Collection,
    table: str,
    version: int,
    wholly: pl.DataFrame,
    singly: pl.DataFrame | None,
) -> Held:
    """What a table holds of whole frames, and of single labels."""
    lookup = collection.lookup(table, version)
    found = lookup.frames(wholly.get_column("frame_id"))
    if singly is not None and singly.height:
        found = pl.concat([found, lookup.keys(singly)])
    return Held(found, pl.DataFrame())


def stale_frames(
    collection: Collection, version: int, group: Sequence[Pending]
) -> pl.DataFrame:
    """Frames of uploads with `based_on` that were changed after that version.

    Returns:
        `frame_id`, and the version and author of the newest change.
    """
    found = [
        _changed_since(collection, version, pending.manifest.based_on, pending)
        for pending in group
        if pending.manifest.based_on is not None
    ]
    return pl.concat(found) if found else pl.DataFrame(schema=_STALE_SCHEMA)


def _changed_since(
    collection: Collection, version: int, base: int, pending: Pending
) -> pl.DataFrame:
    keys = pending.frame_ids
    uploads = collection.scan("uploads", version).filter(pl.col("version") > base)
    changes = pl.concat(
        [
            collection.scan(
                f"{table}_changes",
                version,
                keys=keys,
                columns=["frame_id", "upload_id"],
            )
            for table in LIVE_TABLES
        ]
    )
    return collect(
        changes.join(
            uploads.select("upload_id", "version", "author"),
            on="upload_id",
            how="inner",
        )
        .sort("version")
        .group_by("frame_id")
        .agg(pl.col("version", "author").last())
        .select(_STALE_SCHEMA.names())
    )


_log = logging.getLogger(__name__)

_MANY: Final = 16
"""So many settled uploads are swept after the answer."""


class Merger:
    """Merges what is staged in one collection, until nothing is left."""

    def __init__(
        self,
        collection: Collection,
        at_hand: dict[str, Operations] | None = None,
        *,
        compacts: bool = True,
    ) -> None:
        self._collection = collection
        self._name = secrets.token_hex(8)
        self._losses = 0
        self._compacts = compacts
        self._at_hand = at_hand if at_hand is not None else {}

    def run(self, progress: Progress = silent) -> list[str]:
        """Merge until nothing is pending; the ids of the uploads settled, in order.

        Args:
            progress: Told `merging`, how many uploads are settled, and of how many.

        Raises:
            StorageError: If the store failed. Nothing is lost: what is staged
                stays staged, and the next merge takes it up.
        """
        settled: list[str] = []
        with self._collection.lock:
            while True:
                head = ready_head(self._collection, self._name)
                group = next_group(self._collection, head.version, self._at_hand)
                if not group:
                    progress("merging", len(settled), len(settled))
                    return settled
                if progress is not silent:
                    left = len(unsettled(self._collection, head.version))
                    progress("merging", len(settled), len(settled) + left)
                settled += self._merge(head, group)

    def _merge(self, head: Entry, group: Sequence[Pending]) -> list[str]:
        """One attempt; the ids settled, none when another merger was first."""
        try:
            outcome, rules = self._compute(head, group)
        except NotFoundError:
            if self._collection.head().version > head.version:
                return []
            raise
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - one upload must not block the next
            if len(group) > 1:
                return self._merge(head, group[:1])
            _log.exception("upload %s cannot be merged", group[0].manifest.upload_id)
            reason = f"{type(error).__name__}: {error}"
            group = [replace(group[0], damage=reason, operations=Operations.empty())]
            outcome, rules = self._compute(head, group)
        at = next_time(head)
        entry, plan = plan_entry(
            self._collection, head, group, outcome=outcome, rules=rules, at=at
        )
        if not self._collection.ledger.decide(entry):
            self._lost(plan)
            return []
        self._won(entry, group, outcome)
        return list(entry.uploads)

    def _compute(self, head: Entry, group: Sequence[Pending]) -> tuple[Outcome, Rules]:
        collection = self._collection
        before = collection.rules(head.version)
        operations = stamped(group, before.class_ids)
        rules, operations, problems = evolve(before, operations)
        problems = concat_problems(
            [problems, base_findings(collection, operations)], UPLOAD_PROBLEM_SCHEMA
        )
        outcome = apply(
            current_rows(collection, head.version, operations),
            operations,
            rules,
            problems=problems,
            stale=stale_frames(collection, head.version, group),
            abort=frozenset(
                pending.manifest.upload_id
                for pending in group
                if pending.manifest.on_error == "abort"
            ),
        )
        return outcome, rules

    def _won(self, entry: Entry, group: Sequence[Pending], outcome: Outcome) -> None:
        """The version stands. Nothing below may make the caller think otherwise."""
        self._losses = 0
        collection = self._collection
        collection.staging.note_settled(list(entry.uploads))
        rows = upload_rows(group, outcome, entry.version, entry.time)
        ended = rows[["upload_id", "status"]].rows()
        done = [upload_id for upload_id, status in ended if status == "DONE"]
        try:
            collection.ledger.publish(entry)
            for upload_id in entry.uploads:
                self._at_hand.pop(upload_id, None)
                if upload_id not in done:
                    collection.staging.keep_rejected(upload_id)
            if len(done) > _MANY:
                sweep_later(collection, done)
            else:
                sweep(collection, done)
        except LakehouseError as error:
            _log.warning("version %s stands; left for later: %s", entry.version, error)
        index_later(collection)
        checkpoint_later(collection, entry.version)
        if self._compacts:
            compact_later(collection, entry.version)

    def _lost(self, plan: Plan) -> None:
        """Another merger was first: drop what was written, and maybe ask for a turn."""
        self._losses += 1
        try:
            for path in plan.written_files(self._collection):
                self._collection.store.delete(path)
            if self._losses >= LOSSES_BEFORE_TURN:
                take_turn(self._collection, self._name)
        except LakehouseError as error:
            _log.warning("left for garbage collection: %s", error)
