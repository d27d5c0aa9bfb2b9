"""What became of each frame and label of an upload, in numbers."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import polars as pl

from lakehouse.merging.rows import anti_join, semi_join
from lakehouse.merging.types import TableChange
from lakehouse.model.operations import OLD_HASH, OP

Counts = Counter[tuple[str, str]]
"""How many frames, or labels, of an upload have a fate."""

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
    landed, kept = anti_join(targets, rejected), anti_join(labels, rejected)
    all_changed = _all_changed(landed, kept, changes)
    of_frames = _frames(landed, changes, all_changed=all_changed)
    of_labels = _labels(kept, changes)
    if rejected.height:
        of_frames += _count_rows(semi_join(targets, rejected), "rejected")
        of_labels += _count_rows(semi_join(labels, rejected), "rejected")
    tallies = {"": of_frames, "label_": of_labels}
    ids = list(dict.fromkeys(upload for upload, _ in [*of_frames, *of_labels]))
    columns = {
        prefix + name: [tally[upload, name] for upload in ids]
        for prefix, tally in tallies.items()
        for name in _NAMES
    }
    schema = {"upload_id": pl.String} | dict.fromkeys(columns, pl.Int64)
    return pl.DataFrame({"upload_id": ids, **columns}, schema=schema)


def _frames(
    targets: pl.DataFrame, changes: Mapping[str, TableChange], *, all_changed: bool
) -> Counts:
    """The fates of the frames that landed."""
    plain = targets.select(
        plain=((pl.col("frame_op") == "ADD") & ~pl.col("exists")).fill_null(value=False)
    ).to_series()
    if plain.all():
        return _count_rows(targets, "created")
    created, rest = (
        _count_rows(targets.filter(plain), "created"),
        targets.filter(~plain),
    )
    if all_changed:
        return created + _count_rows(_fated(rest))
    return created + _frames_looked_up(rest, changes)


def _frames_looked_up(
    targets: pl.DataFrame, changes: Mapping[str, TableChange]
) -> Counts:
    """The same for frames of which it depends on what changed."""
    parts = [
        part
        for change in changes.values()
        for part in (change.new_rows, change.deletions)
    ]
    changed = pl.concat([part[["frame_id"]] for part in parts]).unique()
    fate = pl.when(pl.col("_changed")).then(pl.col("fate"))
    return _count_rows(
        _fated(targets)
        .join(changed.with_columns(_changed=True), on="frame_id", how="left")
        .select("upload_id", fate=fate.otherwise(pl.lit("unchanged")))
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
        changes["labels"].new_rows.height == labels.height
        and frames.new_rows.height + frames.deletions.height == operated
    )


def _labels(labels: pl.DataFrame, changes: Mapping[str, TableChange]) -> Counts:
    """The fates of the labels that landed, and of those taken out with their frames."""
    deleted = changes["labels"].deletions
    gone = _count_rows(deleted, "deleted")
    if not labels.height:
        return gone
    images = changes["labels"].new_rows
    if images.height == labels.height:
        return gone + _count_new_rows(images)
    sent = labels.select(*_KEY, "upload_id", op=OP)
    vectors = changes["label_embeddings"]
    moved = pl.concat(
        [vectors.new_rows.select(_KEY), vectors.deletions.select(_KEY)]
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
    return gone + _count_rows(rest)


def _count_new_rows(images: pl.DataFrame) -> Counts:
    """The fates of labels that are all images."""
    old = images.get_column(OLD_HASH)
    if old.null_count() == images.height:
        return _count_rows(images, "created")
    is_new = old.is_null()
    replaced = pl.when(pl.col("op") == "ADD").then(pl.lit("replaced"))
    rest = images.filter(~is_new).select(
        "upload_id", fate=replaced.otherwise(pl.lit("modified"))
    )
    return _count_rows(images.filter(is_new), "created") + _count_rows(rest)


def _count_rows(rows: pl.DataFrame, fate: str | None = None) -> Counts:
    """How many rows of each upload have a fate: the one named, or their own."""
    if not rows.height:
        return Counter()
    if fate is None:
        counted = rows.group_by("upload_id", "fate").len().rows()
        return Counter({(upload, own): number for upload, own, number in counted})
    ids = rows.get_column("upload_id")
    if ids[0] == ids[-1] and ids.is_sorted():
        return Counter({(ids[0], fate): rows.height})
    counted = rows.group_by("upload_id").len().rows()
    return Counter({(upload, fate): number for upload, number in counted})
