"""What a merge reads: the rows as they are of the frames that uploads touch."""

from collections.abc import Sequence

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.engines.pending import Pending, frame_ids
from lakehouse.merging.current import Current
from lakehouse.model.operations import Operations
from lakehouse.model.problems import PROBLEM_SCHEMA
from lakehouse.storage import collect, collect_all

__all__ = ["current_rows", "stale_frames", "stamped"]

_STALE_SCHEMA = pl.Schema(
    {"frame_id": pl.String, "version": pl.Int64, "author": pl.String}
)


def stamped(group: Sequence[Pending]) -> Operations:
    """The operations of a group as one, each row with its upload's id."""
    parts = {
        name: [
            part.with_columns(upload_id=pl.lit(pending.manifest.upload_id))
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
    """Every row at `version` of the frames that the operations touch."""
    keys = frame_ids(operations)
    lazy = [collection.scan(table, version, keys=keys) for table in LIVE_TABLES]
    frames, labels, frame_embeddings, label_embeddings = collect_all(lazy)
    return Current(
        frames=frames,
        labels=labels,
        frame_embeddings=frame_embeddings,
        label_embeddings=label_embeddings,
    )


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
