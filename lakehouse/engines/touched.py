"""What a merge reads: the rows as they are, as far as uploads touch them."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.engines.pending import Pending, distinct, frame_ids
from lakehouse.merging.current import Current, Held
from lakehouse.merging.rows import among, without
from lakehouse.model.operations import OP, Operations, all_are
from lakehouse.model.problems import PROBLEM_SCHEMA
from lakehouse.prepared import as_sent
from lakehouse.storage import collect

__all__ = ["current_rows", "stale_frames", "stamped"]

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
    empty = pl.DataFrame(schema=PROBLEM_SCHEMA | {"upload_id": pl.String})
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
    modified = among(there, _of(frames, "MODIFY", _FRAME))
    wholly = pl.concat([_of(frames, "ADD", _FRAME), _of(frames, "DELETE", _FRAME)])
    wholly = among(there[_FRAME], wholly)
    lasting = without(there[_FRAME], wholly)
    singly = among(labels[_LABEL], lasting) if labels.height else _NO_LABELS
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
    rest = singly if not len(found) else without(singly, found.to_frame())
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
    modified = among(keys, _of(labels, "MODIFY", _LABEL), _LABEL)
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
