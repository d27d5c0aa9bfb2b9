"""Images and deletions of vectors.

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
    there = current.frame_embeddings.keys
    if not there.height and "embedding" not in frames.columns:
        return no_change(layout, "frame_embeddings")
    sent = _sent(frames)
    if not there.height:
        return _change(layout.contract("frame_embeddings"), sent, there, there, targets)
    wholly = targets.filter(pl.col("frame_op").is_in(["ADD", "DELETE"]))
    gone = there.join(wholly, on="frame_id", how="semi")
    gone = gone.join(_keeping(frames), on="frame_id", how="anti")
    if CLEAR in frames.columns:
        cleared = frames.filter(pl.col(CLEAR).list.contains("embedding"))
        gone = pl.concat([gone, there.join(cleared, on="frame_id", how="semi")])
    gone = gone.join(sent, on="frame_id", how="anti")
    return _change(layout.contract("frame_embeddings"), sent, there, gone, targets)


def label_vector_change(
    labels: pl.DataFrame, targets: pl.DataFrame, current: Current, layout: Layout
) -> TableChange:
    """The vectors of labels that come, change or go."""
    there = current.label_embeddings.keys
    if not there.height and "embedding" not in labels.columns:
        return no_change(layout, "label_embeddings")
    key = ["frame_id", "label_id"]
    sent = _sent(labels)
    modified = sent.filter(pl.col("op") == "MODIFY")
    unknown = modified.join(current.labels.keys, on=key, how="anti")
    sent = sent.join(unknown, on=key, how="anti", maintain_order="left")
    gone, _ = removed_labels(labels, targets, there)
    if there.height and CLEAR in labels.columns:
        cleared = labels.filter(pl.col(CLEAR).list.contains("embedding"))
        gone = pl.concat([gone, there.join(cleared, on=key, how="semi")])
    if there.height:
        # In a frame added anew, a label sent without a vector loses the old one.
        anew = targets.filter(pl.col("frame_op") == "ADD")
        lost = there.join(anew, on="frame_id", how="semi").join(
            sent, on=key, how="anti"
        )
        lost = lost.join(_keeping(labels), on=key, how="anti")
        gone = pl.concat([gone, lost]).unique(key)
    return _change(layout.contract("label_embeddings"), sent, there, gone, targets)


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
    there: pl.DataFrame,
    gone: pl.DataFrame,
    targets: pl.DataFrame,
) -> TableChange:
    rows = conform(sent, logical_columns(shape, {}))
    uploads = targets.select("frame_id", "upload_id")
    return table_change(rows, gone, uploads, there, shape, {})
