"""Images and deletions of frames."""

from typing import Final

import polars as pl

from lakehouse.merging.current import Current
from lakehouse.merging.outcome import TableChange, no_change
from lakehouse.merging.rows import (
    among,
    as_deletions,
    as_images,
    exactly,
    logical_columns,
    merged,
    of_op,
    together,
)
from lakehouse.merging.rules import Rules
from lakehouse.merging.sensors import mirrored, with_image_changed

__all__ = ["frame_change"]

_UPLOAD: Final = ["frame_id", "upload_id"]


def frame_change(
    frames: pl.DataFrame, targets: pl.DataFrame, current: Current, rules: Rules
) -> TableChange:
    """The frames that are created, replaced, modified or deleted."""
    if not frames.height:
        return no_change(rules.layout, "frames")
    shape = rules.layout.contract("frames")
    extras = dict(rules.frame_metadata)
    fields = logical_columns(shape, extras)
    added = mirrored(of_op(frames, "ADD"), where=pl.lit(value=True))
    parts = [exactly(added, fields)]
    sent = of_op(frames, "MODIFY") if added.height < frames.height else frames.clear()
    if sent.height:
        relisted = pl.lit(value=False)
        sent = with_image_changed(sent, current.frames.rows)
        if "sensors" in sent.columns:
            sent = sent.with_columns(_relisted=pl.col("sensors").is_not_null())
            relisted = pl.col("_relisted")
        full = merged(sent, current.frames.rows, ["frame_id"], fields)
        parts.append(exactly(mirrored(full, where=relisted), fields))
    images = as_images(together(parts), current.frames.keys, shape, extras)
    gone = current.frames.keys
    deleted = targets.clear()
    if gone.height:
        deleted = targets.filter(pl.col("frame_op") == "DELETE")
    return TableChange(
        images, as_deletions(among(gone, deleted), deleted[_UPLOAD], shape)
    )
