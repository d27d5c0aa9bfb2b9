"""New rows and deletions of vectors.

A vector stays when its frame is modified or its label replaced without a new
one; it goes with its frame or label, and when a frame is added anew without,
unless the row says that it keeps what is stored.
"""

import polars as pl

from lakehouse.merging.labels import removed_labels
from lakehouse.merging.rows import conform, logical_columns, table_change
from lakehouse.merging.types import Current, TableChange, no_change
from lakehouse.model.contracts import Contract, Layout
from lakehouse.model.operations import CLEAR, KEEPS_VECTOR


def frame_vector_change(
    frames: pl.DataFrame, targets: pl.DataFrame, current: Current, layout: Layout
) -> TableChange:
    """The vectors of frames that come, change or go."""
    existing = current.frame_embeddings.keys
    if not existing.height and "embedding" not in frames.columns:
        return no_change(layout, "frame_embeddings")
    sent = _sent(frames)
    if not existing.height:
        return _change(
            layout.contract("frame_embeddings"), sent, existing, existing, targets
        )
    replaced_frames = targets.filter(pl.col("frame_op").is_in(["ADD", "DELETE"]))
    # Whatever goes, less what stays on request, less what is replaced by a new vector.
    removed = existing.join(replaced_frames, on="frame_id", how="semi")
    removed = removed.join(_keeping(frames), on="frame_id", how="anti")
    if CLEAR in frames.columns:
        cleared = frames.filter(pl.col(CLEAR).list.contains("embedding"))
        removed = pl.concat(
            [removed, existing.join(cleared, on="frame_id", how="semi")]
        )
    removed = removed.join(sent, on="frame_id", how="anti")
    return _change(
        layout.contract("frame_embeddings"), sent, existing, removed, targets
    )


def label_vector_change(
    labels: pl.DataFrame, targets: pl.DataFrame, current: Current, layout: Layout
) -> TableChange:
    """The vectors of labels that come, change or go."""
    existing = current.label_embeddings.keys
    if not existing.height and "embedding" not in labels.columns:
        return no_change(layout, "label_embeddings")
    key = ["frame_id", "label_id"]
    sent = _sent(labels)
    # A label that is modified and not there was reported; its vector must not land.
    modified = sent.filter(pl.col("op") == "MODIFY")
    unknown = modified.join(current.labels.keys, on=key, how="anti")
    sent = sent.join(unknown, on=key, how="anti", maintain_order="left")
    removed, _ = removed_labels(labels, targets, existing)
    if existing.height and CLEAR in labels.columns:
        cleared = labels.filter(pl.col(CLEAR).list.contains("embedding"))
        removed = pl.concat([removed, existing.join(cleared, on=key, how="semi")])
    if existing.height:
        # In a frame added added_again, a label sent without a vector loses the old one.
        added_again = targets.filter(pl.col("frame_op") == "ADD")
        lost = existing.join(added_again, on="frame_id", how="semi").join(
            sent, on=key, how="anti"
        )
        lost = lost.join(_keeping(labels), on=key, how="anti")
        removed = pl.concat([removed, lost]).unique(key)
    return _change(
        layout.contract("label_embeddings"), sent, existing, removed, targets
    )


def _keeping(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose stored vector stays where they have none."""
    if KEEPS_VECTOR not in rows.columns:
        return rows.clear()
    return rows.filter(pl.col(KEEPS_VECTOR).fill_null(value=False))


def _sent(rows: pl.DataFrame) -> pl.DataFrame:
    if "embedding" not in rows.columns:
        return rows.clear().with_columns(
            pl.lit(None, dtype=pl.List(pl.Float32)).alias("embedding")
        )
    return rows.filter(pl.col("embedding").is_not_null())


def _change(
    shape: Contract,
    sent: pl.DataFrame,
    existing: pl.DataFrame,
    removed: pl.DataFrame,
    targets: pl.DataFrame,
) -> TableChange:
    rows = conform(sent, logical_columns(shape, {}))
    uploads = targets.select("frame_id", "upload_id")
    return table_change(rows, removed, uploads, existing, shape, {})
