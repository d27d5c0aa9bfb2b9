"""What became of each frame and label of an upload, in numbers."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from lakehouse.merging.outcome import OLD_HASH, TableChange
from lakehouse.merging.rows import without
from lakehouse.model.operations import OP

__all__ = ["count"]

_NAMES: Final = ("created", "replaced", "modified", "deleted", "unchanged", "rejected")
_KEY: Final = ["frame_id", "label_id"]


def count(
    targets: pl.DataFrame,
    labels: pl.DataFrame,
    rejected: pl.DataFrame,
    changes: Mapping[str, TableChange],
) -> pl.DataFrame:
    """One row an upload, a column a count.

    Args:
        targets: Every touched frame.
        labels: Every label sent.
        rejected: The frames that do not land.
        changes: Live table to its changes.
    """
    all_changed = _all_changed(targets, labels, changes)
    of_frames = _frames(targets, rejected, changes, all_changed=all_changed)
    of_labels = _labels(labels, rejected, changes)
    counted = [_pivot(of_frames, ""), _pivot(of_labels, "label_")]
    ids = pl.concat([part.select("upload_id") for part in counted]).unique()
    for part in counted:
        ids = ids.join(part, on="upload_id", how="left")
    return ids.fill_null(0)


def _frames(
    targets: pl.DataFrame,
    rejected: pl.DataFrame,
    changes: Mapping[str, TableChange],
    *,
    all_changed: bool,
) -> pl.DataFrame:
    """The fates of the touched frames: `upload_id`, `fate` and `count`."""
    plain = (pl.col("frame_op") == "ADD") & ~pl.col("exists")
    plain = plain.fill_null(value=False)
    landed = without(targets.filter(plain), rejected)
    created = _tally(landed, "created")
    if landed.height == targets.height:
        return created
    if all_changed and not rejected.height:
        return pl.concat([created, _tally(_fated(targets.filter(~plain)))])
    rest = pl.concat(
        [targets.filter(~plain), targets.filter(plain).join(rejected, on="frame_id")]
    )
    return pl.concat([created, _frames_looked_up(rest, rejected, changes)])


def _frames_looked_up(
    targets: pl.DataFrame, rejected: pl.DataFrame, changes: Mapping[str, TableChange]
) -> pl.DataFrame:
    """The same for frames of which it depends on what changed."""
    parts = [
        part
        for change in changes.values()
        for part in (change.images, change.deletions)
    ]
    changed = pl.concat([part.select("frame_id") for part in parts]).unique()
    by_change = (
        pl.when(pl.col("_bad"))
        .then(pl.lit("rejected"))
        .when(~pl.col("_changed"))
        .then(pl.lit("unchanged"))
        .otherwise(pl.col("fate"))
    )
    return _tally(
        _fated(targets)
        .join(rejected.with_columns(_bad=True), on="frame_id", how="left")
        .join(changed.with_columns(_changed=True), on="frame_id", how="left")
        .with_columns(pl.col("_bad", "_changed").fill_null(value=False))
        .select("upload_id", fate=by_change)
    )


def _fated(targets: pl.DataFrame) -> pl.DataFrame:
    """Frames with what becomes of them if anything does."""
    op, exists = pl.col("frame_op"), pl.col("exists")
    fate = (
        pl.when(op == "DELETE")
        .then(pl.lit("deleted"))
        .when((op == "ADD") & ~exists)
        .then(pl.lit("created"))
        .when(op == "ADD")
        .then(pl.lit("replaced"))
        .otherwise(pl.lit("modified"))
    )
    return targets.select("frame_id", "upload_id", fate=fate)


def _all_changed(
    targets: pl.DataFrame, labels: pl.DataFrame, changes: Mapping[str, TableChange]
) -> bool:
    """Whether every label sent and every frame operation came to a change."""
    frames = changes["frames"]
    operated = targets.height - targets.get_column("frame_op").null_count()
    return (
        changes["labels"].images.height == labels.height
        and frames.images.height + frames.deletions.height == operated
    )


def _labels(
    labels: pl.DataFrame, rejected: pl.DataFrame, changes: Mapping[str, TableChange]
) -> pl.DataFrame:
    """The fates of the labels sent, and of those taken out with their frames."""
    deleted = changes["labels"].deletions
    gone = _tally(deleted, "deleted")
    if not labels.height:
        return gone
    images = changes["labels"].images
    if images.height == labels.height and not rejected.height:
        is_new = images.get_column(OLD_HASH).is_null()
        replaced = pl.when(pl.col("op") == "ADD").then(pl.lit("replaced"))
        old = images.filter(~is_new).select(
            "upload_id", fate=replaced.otherwise(pl.lit("modified"))
        )
        new = images if is_new.all() else images.filter(is_new)
        return pl.concat([gone, _tally(new, "created"), _tally(old)])
    bad = labels.join(rejected, on="frame_id", how="semi")
    sent = labels.join(rejected, on="frame_id", how="anti").select(
        *_KEY, "upload_id", op=OP
    )
    vectors = changes["label_embeddings"]
    moved = pl.concat(
        [vectors.images.select(_KEY), vectors.deletions.select(_KEY)]
    ).unique()
    images = images.select(*_KEY, OLD_HASH, _image=True)
    fate = (
        pl.when(pl.col("_image") & pl.col(OLD_HASH).is_null())
        .then(pl.lit("created"))
        .when((pl.col("_image") | pl.col("_moved")).not_())
        .then(pl.lit("unchanged"))
        .when(pl.col("op") == "ADD")
        .then(pl.lit("replaced"))
        .otherwise(pl.lit("modified"))
    )
    rest = (
        sent.join(deleted.select(_KEY), on=_KEY, how="anti")
        .join(images, on=_KEY, how="left")
        .join(moved.with_columns(_moved=True), on=_KEY, how="left")
        .with_columns(pl.col("_image", "_moved").fill_null(value=False))
        .select("upload_id", fate=fate)
    )
    return pl.concat([gone, _tally(rest), _tally(bad, "rejected")])


def _pivot(fates: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """Tallies as one row an upload."""
    return fates.group_by("upload_id").agg(
        pl.col("count").filter(pl.col("fate") == name).sum().alias(prefix + name)
        for name in _NAMES
    )


def _tally(rows: pl.DataFrame, fate: str | None = None) -> pl.DataFrame:
    """How many rows of each upload have a fate: the one named, or their own."""
    if fate is None:
        return rows.group_by("upload_id", "fate").agg(count=pl.len().cast(pl.Int64))
    upload_ids = rows.get_column("upload_id")
    if rows.height and upload_ids[0] == upload_ids[-1] and upload_ids.is_sorted():
        found = pl.DataFrame({"upload_id": [upload_ids[0]], "count": [rows.height]})
    else:
        found = rows.group_by("upload_id").agg(count=pl.len().cast(pl.Int64))
    return found.select("upload_id", pl.lit(fate).alias("fate"), "count")
