"""The merge: pending uploads become the next version, or are rejected with reasons.

It has three steps, and each hands one value to the next:

    read_inputs     all reading and no deciding: head and group → `MergeInputs`
    kernel.merge    all deciding and no reading: `MergeInputs` → `Outcome`
    commit          `plan_entry` writes files: `Outcome` → `PlannedEntry`, which is put

What these are, in one sentence each:

    head            the newest ledger entry, on which one attempt is planned
    group           the staged uploads, with their rows, that share the next version
    MergeInputs     everything that decides what the group does to the tables
    Outcome         rows to add and to delete in each table, problems, and counts
    PlannedEntry    the next ledger entry, and the paths of the files written for it

Only the put decides. A merge that lost it reads and decides everything again on
the new head, from the same staged rows; what it had computed is of no use, since
the rows that the uploads touch may have changed.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from lakehouse.errors import LakehouseError, NotFoundError, StorageError
from lakehouse.ledger.change_log import content
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.ledger.prepared import as_sent
from lakehouse.ledger.settled import distinct, frame_ids, unsettled
from lakehouse.ledger.tags import pin_row
from lakehouse.merging import kernel
from lakehouse.merging.rows import anti_join, keys_of, semi_join
from lakehouse.merging.types import Current, ExistingRows, MergeInputs
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.operations import OP, Operations
from lakehouse.model.problems import (
    UPLOAD_PROBLEM_SCHEMA,
    Problems,
)
from lakehouse.storage import collect
from lakehouse.transactions.background import (
    index_later,
    sweep,
    sweep_later,
)
from lakehouse.transactions.commit import MERGE, PlannedEntry, commit
from lakehouse.transactions.compact import compact_later
from lakehouse.transactions.pending import Pending, PendingUploads
from lakehouse.transactions.plan import plan_entry
from lakehouse.types import Progress, silent

_log = logging.getLogger(__name__)

_UPLOADS_SWEPT_AT_ONCE: Final = 16
"""Staging of more settled uploads is removed after the answer, not before it."""

_UNKNOWN: Final = "The dataset never had a frame of that id."
_UNPINNED: Final = (
    "The frame is not in the dataset's version that the set is pinned to, so it has no "
    "ground truth there and metrics leave it out."
)

_FRAME_KEY: Final = ["frame_id"]
_LABEL_KEY: Final = ["frame_id", "label_id"]
_NO_LABELS: Final = pl.DataFrame(schema=dict.fromkeys(_LABEL_KEY, pl.String))
_STALE_SCHEMA: Final = pl.Schema(
    {"frame_id": pl.String, "version": pl.Int64, "author": pl.String}
)


def merge_pending(
    collection: Collection,
    *,
    staged: Mapping[str, Operations] | None = None,
    compacts: bool = True,
    progress: Progress = silent,
) -> list[str]:
    """Merge what is staged until nothing is left; the ids settled, in order.

    Args:
        collection: The collection whose uploads are merged.
        staged: Upload id to rows that the caller staged a moment ago: they need not
            be read again.
        compacts: Whether compaction may follow when it is due.
        progress: Called with `merging`, how many uploads are settled, and of how many.

    Raises:
        StorageError: If the store failed. Nothing is lost: what is staged stays
            staged, and the next merge takes it up.
    """
    pending = PendingUploads(collection, staged)
    settled: list[str] = []

    def plan(head: Entry) -> PlannedEntry[dict[str, str]]:
        """The next entry, with the uploads of which every row landed: id to hash."""
        group = pending.next_group(head.version)
        if not group:
            # Another process may have settled what the caller is told of.
            collection.ledger.make_durable(head.version)
            return PlannedEntry(None, {})
        if progress is not silent:
            left = len(unsettled(collection, head.version))
            progress("merging", len(settled), len(settled) + left)
        return _plan_group(collection, head, group)

    # Threads of this process that merge the same collection would all do the same
    # work and all but one lose it, so they queue; the last of them has nothing to do.
    with collection.lock:
        while (planned := commit(collection, plan, MERGE)).entry is not None:
            settled += planned.entry.uploads
            pending.forget(planned.entry.uploads)
            _clean_up(collection, planned.entry, complete=planned.result)
            if compacts:
                compact_later(collection, planned.entry.version)
    progress("merging", len(settled), len(settled))
    return settled


def _plan_group(
    collection: Collection, head: Entry, group: Sequence[Pending]
) -> PlannedEntry[dict[str, str]]:
    """The three steps up to the put; an upload that cannot be merged is FAILED."""
    try:
        outcome = kernel.merge(read_inputs(collection, head, group))
    except (StorageError, MemoryError, NotFoundError):
        # They say something of the store or the machine, and nothing of the upload.
        raise
    except Exception as error:
        if group[0].error is not None:
            # It has no rows any more, so the cause is not in the upload.
            raise
        # One upload must not block the next. One of several is the cause: the first is
        # merged alone, or fails alone. Without rows it changes nothing: the entry then
        # only settles it, with the reason.
        alone = group[0]
        if len(group) == 1:
            _log.exception("upload %s cannot be merged", alone.manifest.upload_id)
            reason = f"{type(error).__name__}: {error}"
            alone = Pending(alone.manifest, Operations.empty(), error=reason)
        return _plan_group(collection, head, [alone])
    return plan_entry(collection, head, group, outcome)


def _clean_up(
    collection: Collection, entry: Entry, *, complete: Mapping[str, str]
) -> None:
    """Remove what settled uploads staged; the entry stands, so nothing here raises.

    Args:
        collection: Where they were staged.
        entry: The entry that settled them.
        complete: The uploads of which every row landed, and the content hash of each;
            the others keep their staged rows for a retry.
    """
    collection.staging.note_settled(list(entry.uploads))
    try:
        for upload_id in entry.uploads:
            if upload_id not in complete:
                collection.staging.keep_rejected(upload_id)
        if len(complete) > _UPLOADS_SWEPT_AT_ONCE:
            sweep_later(collection, complete)
        else:
            sweep(collection, complete)
    except LakehouseError as error:
        _log.warning("version %s stands; left for later: %s", entry.version, error)
    index_later(collection)


# --------------------------------- READING --------------------------------- #


def read_inputs(
    collection: Collection, head: Entry, group: Sequence[Pending]
) -> MergeInputs:
    """Read everything that decides what a group of uploads does to the tables.

    Args:
        collection: Whose tables are read.
        head: The entry at which they are read.
        group: The uploads; no two of them touch the same frame.
    """
    rules = collection.rules(head.version)
    operations = _operations_of(group, rules.class_ids)
    return MergeInputs(
        operations=operations,
        current=_readable_rows(collection, head.version, operations),
        rules=rules,
        problems=_problems_of_base(collection, operations),
        stale=_stale_frames(collection, head.version, group),
        abort=frozenset(
            pending.manifest.upload_id
            for pending in group
            if pending.manifest.on_error == "abort"
        ),
    )


def _operations_of(
    group: Sequence[Pending], class_ids: Mapping[str, int]
) -> Operations:
    """The operations of a group as one, each row with its upload's id."""
    # Large uploads were hashed when they were staged, class ids included. Those hashes
    # are right as long as the project gives the same ids to their class names. They
    # are kept for an upload that is alone: beside one without hashes there would be gaps.
    keeps_hashes = len(group) == 1 and all(
        class_ids.get(name) == number
        for name, number in group[0].manifest.classes.items()
    )
    parts = {
        name: [
            (part if keeps_hashes else as_sent(part)).with_columns(
                upload_id=pl.lit(pending.manifest.upload_id)
            )
            for pending in group
            if (part := getattr(pending.operations, name)).height
        ]
        for name in ("frames", "labels", "problems")
    }
    empty = pl.DataFrame(schema=UPLOAD_PROBLEM_SCHEMA)
    return Operations(
        frames=_concat(parts["frames"]),
        labels=_concat(parts["labels"]),
        problems=pl.concat(parts["problems"]) if parts["problems"] else empty,
    )


def _concat(parts: list[pl.DataFrame]) -> pl.DataFrame:
    if not parts:
        return pl.DataFrame()
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal")


def _readable_rows(
    collection: Collection, version: int, operations: Operations
) -> Current:
    """The same as `_current_rows`, where a damaged file is the store's fault.

    Raises:
        StorageError: If a data file cannot be decoded. That says nothing of the
            uploads, so they wait.
    """
    try:
        return _current_rows(collection, version, operations)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise StorageError(
            f"A data file of {collection.target} cannot be read at version {version}: "
            f"{error}. Uploads wait until it is mended; dataset.verify() names the file.",
            kind="store.damaged",
        ) from error


def _current_rows(
    collection: Collection, version: int, operations: Operations
) -> Current:
    """What the live tables hold at `version` of what the operations touch."""
    frames, labels = operations.frames, operations.labels
    if not frames.height:
        return _current_of_labels(collection, version, labels)
    lookup = collection.lookup("frames", version)
    # A first load names millions of frames: no list of them where nothing can match.
    touched = (
        frames[_FRAME_KEY].clear()
        if lookup.is_empty
        else frame_ids(operations).to_frame()
    )
    existing = lookup.keys(touched)
    modified = semi_join(existing, keys_of(frames, "MODIFY", _FRAME_KEY))
    # ADD and DELETE of a frame take all its labels out, so all of them are looked up;
    # labels of other frames are looked up one by one.
    replaced = pl.concat(
        [keys_of(frames, "ADD", _FRAME_KEY), keys_of(frames, "DELETE", _FRAME_KEY)]
    )
    replaced_frames = semi_join(existing[_FRAME_KEY], replaced)
    surviving_frames = anti_join(existing[_FRAME_KEY], replaced_frames)
    # A frame that is not there has no labels: those sent to it are new, or problems.
    single_labels = (
        semi_join(labels[_LABEL_KEY], surviving_frames) if labels.height else _NO_LABELS
    )
    return Current(
        frames=ExistingRows(existing, lookup.rows(modified)),
        labels=_current_labels(
            collection, version, labels, replaced_frames, single_labels
        ),
        # MODIFY may clear or replace the one vector of a frame: all frames count.
        frame_embeddings=_existing_keys(
            collection, "frame_embeddings", version, existing, None
        ),
        label_embeddings=_existing_keys(
            collection, "label_embeddings", version, replaced_frames, single_labels
        ),
    )


def _current_of_labels(
    collection: Collection, version: int, labels: pl.DataFrame
) -> Current:
    """The same where no frame is sent.

    A label that exists proves that its frame does, so only the frames of new labels
    are looked up in `frames`: correcting labels reads no file of that table.
    """
    # A frame that is known by its labels alone has no hash and no location. Nothing
    # needs them: where no frame is sent, no row of `frames` changes.
    no_frames = pl.DataFrame(schema=dict.fromkeys(_FRAME_KEY, pl.String))
    single_labels = labels[_LABEL_KEY] if labels.height else _NO_LABELS
    current = _current_labels(collection, version, labels, no_frames, single_labels)
    proven = distinct(current.keys.get_column("frame_id"))
    unproven = single_labels
    if len(proven):
        unproven = anti_join(single_labels, proven.to_frame())
    looked_up = collection.lookup("frames", version).keys(
        distinct(unproven.get_column("frame_id")).to_frame()
    )
    existing = pl.concat([looked_up, proven.to_frame()], how="diagonal")
    return Current(
        frames=ExistingRows(existing, pl.DataFrame()),
        labels=current,
        frame_embeddings=_existing_keys(
            collection, "frame_embeddings", version, no_frames, None
        ),
        label_embeddings=_existing_keys(
            collection, "label_embeddings", version, no_frames, single_labels
        ),
    )


def _current_labels(
    collection: Collection,
    version: int,
    labels: pl.DataFrame,
    replaced_frames: pl.DataFrame,
    single_labels: pl.DataFrame,
) -> ExistingRows:
    """The labels that exist; whole rows only of those that a MODIFY is merged into."""
    keys = _existing_keys(
        collection, "labels", version, replaced_frames, single_labels
    ).keys
    modified = semi_join(keys, keys_of(labels, "MODIFY", _LABEL_KEY), _LABEL_KEY)
    return ExistingRows(keys, collection.lookup("labels", version).rows(modified))


def _existing_keys(
    collection: Collection,
    table: str,
    version: int,
    whole_frames: pl.DataFrame,
    single_keys: pl.DataFrame | None,
) -> ExistingRows:
    """The keys that a table holds of whole frames, and of single labels."""
    lookup = collection.lookup(table, version)
    keys = lookup.frames(whole_frames.get_column("frame_id"))
    if single_keys is not None and single_keys.height:
        keys = pl.concat([keys, lookup.keys(single_keys)])
    return ExistingRows(keys, pl.DataFrame())


def _problems_of_base(collection: Collection, operations: Operations) -> pl.DataFrame:
    """Problems of frames that the dataset of an inference set does not have.

    Args:
        collection: An inference set's, or a dataset's, which has no base.
        operations: With `upload_id` in every row.
    """
    problems = Problems()
    base = collection.base
    if base is None:
        return problems.table(UPLOAD_PROBLEM_SCHEMA)
    parts = [
        part.filter(pl.col(OP) != "DELETE").select("frame_id", "upload_id")
        for part in (operations.frames, operations.labels)
        if part.height
    ]
    if not parts:
        return problems.table(UPLOAD_PROBLEM_SCHEMA)
    sent = pl.concat(parts).unique()
    ids = distinct(sent.get_column("frame_id"))
    head = base.head().version
    # The change log, not `frames`: inferences on a frame that was deleted since are
    # about a frame of an older version, which is still there to be compared with.
    ever_in_dataset = base.scan("frames_changes", head, keys=ids, columns=["frame_id"])
    unknown = sent.join(collect(ever_in_dataset.unique()), on="frame_id", how="anti")
    problems.add_rows(
        unknown,
        rule="frame.not_in_dataset",
        message=_UNKNOWN,
        hint="Add the frame to the dataset first, or correct its id.",
    )
    pin = pin_row(base, collection.path.rpartition("/")[2])
    if pin is not None:
        version = int(pin["version"])
        pinned = content(base, "frames", version, keys=ids, columns=["frame_id"])
        known = sent.join(unknown, on="frame_id", how="anti")
        problems.add_rows(
            known.join(collect(pinned), on="frame_id", how="anti"),
            rule="frame.not_pinned",
            message=_UNPINNED,
            hint="Create another inference set, or repin this one, to measure it.",
            severity="warning",
        )
    return problems.table(UPLOAD_PROBLEM_SCHEMA)


def _stale_frames(
    collection: Collection, version: int, group: Sequence[Pending]
) -> pl.DataFrame:
    """Frames of uploads with `based_on` that were changed after that version.

    Returns:
        `frame_id`, and the version and author of the newest change.
    """
    frames = [
        _changed_since(collection, version, pending.manifest.based_on, pending)
        for pending in group
        if pending.manifest.based_on is not None
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=_STALE_SCHEMA)


def _changed_since(
    collection: Collection, version: int, based_on: int, pending: Pending
) -> pl.DataFrame:
    """The frames of an upload that changed after `based_on`, up to `version`.

    Returns:
        `frame_id`, and the version and author of the newest change.
    """
    # Rows of change logs name their upload, not its version (decision 0002), so the
    # `uploads` table says which of them came later.
    keys = pending.frame_ids
    uploads = collection.scan("uploads", version).filter(pl.col("version") > based_on)
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
