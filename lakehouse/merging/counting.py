"""How many frames and labels of an upload were created, replaced, modified and so on."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import polars as pl

from lakehouse.merging.rows import anti_join, semi_join
from lakehouse.merging.types import TableChange
from lakehouse.model.operations import OLD_HASH, OP

Counts = Counter[tuple[str, str]]
"""(Upload, result) to how many of its frames, or labels, had that result."""

_RESULTS: Final = (
    "created",
    "replaced",
    "modified",
    "deleted",
    "unchanged",
    "rejected",
)
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
    of_frames = _count_frames(landed, changes, all_changed=all_changed)
    of_labels = _count_labels(kept, changes)
    if rejected.height:
        of_frames += _count_rows(semi_join(targets, rejected), "rejected")
        of_labels += _count_rows(semi_join(labels, rejected), "rejected")
    counts = {"": of_frames, "label_": of_labels}
    ids = list(dict.fromkeys(upload for upload, _ in [*of_frames, *of_labels]))
    columns = {
        prefix + result: [of_prefix[upload, result] for upload in ids]
        for prefix, of_prefix in counts.items()
        for result in _RESULTS
    }
    schema = {"upload_id": pl.String} | dict.fromkeys(columns, pl.Int64)
    return pl.DataFrame({"upload_id": ids, **columns}, schema=schema)


def _count_frames(
    targets: pl.DataFrame, changes: Mapping[str, TableChange], *, all_changed: bool
) -> Counts:
    """The results of the frames that landed."""
    # A frame that is added and new was created, without a look at the changes.
    is_new = targets.select(
        is_new=((pl.col("frame_op") == "ADD") & ~pl.col("exists")).fill_null(
            value=False
        )
    ).to_series()
    if is_new.all():
        return _count_rows(targets, "created")
    created = _count_rows(targets.filter(is_new), "created")
    rest = targets.filter(~is_new)
    if all_changed:
        return created + _count_rows(_with_result(rest))
    return created + _count_changed_frames(rest, changes)


def _count_changed_frames(
    targets: pl.DataFrame, changes: Mapping[str, TableChange]
) -> Counts:
    """The results of frames that may be unchanged: those without any change are."""
    parts = [
        part
        for change in changes.values()
        for part in (change.new_rows, change.deletions)
    ]
    changed = pl.concat([part[["frame_id"]] for part in parts]).unique()
    result = pl.when(pl.col("_changed")).then(pl.col("result"))
    return _count_rows(
        _with_result(targets)
        .join(changed.with_columns(_changed=True), on="frame_id", how="left")
        .select("upload_id", result=result.otherwise(pl.lit("unchanged")))
    )


def _with_result(targets: pl.DataFrame) -> pl.DataFrame:
    """Frames with their results, if anything about them changed."""
    op, exists = pl.col("frame_op"), pl.col("exists")
    result = (
        pl.when(op == "DELETE")
        .then(pl.lit("deleted"))
        .when((op == "ADD") & ~exists)
        .then(pl.lit("created"))
        .when(op == "ADD")
        .then(pl.lit("replaced"))
        .otherwise(pl.lit("modified"))
    )
    return targets.select("frame_id", "upload_id", result=result)


def _all_changed(
    targets: pl.DataFrame, labels: pl.DataFrame, changes: Mapping[str, TableChange]
) -> bool:
    """Whether every label sent and every frame operation changed something.

    By heights alone: a key is at most once in a change, so as many changes as
    operations are one each.
    """
    frames = changes["frames"]
    operated = targets.height - targets.get_column("frame_op").null_count()
    return (
        changes["labels"].new_rows.height == labels.height
        and frames.new_rows.height + frames.deletions.height == operated
    )


def _count_labels(labels: pl.DataFrame, changes: Mapping[str, TableChange]) -> Counts:
    """The results of the labels that landed, or were taken out with their frames."""
    deleted = changes["labels"].deletions
    deleted_count = _count_rows(deleted, "deleted")
    if not labels.height:
        return deleted_count
    new_rows = changes["labels"].new_rows
    if new_rows.height == labels.height:
        return deleted_count + _count_new_rows(new_rows)
    sent = labels.select(*_KEY, "upload_id", op=OP)
    vectors = changes["label_embeddings"]
    # A label whose vector alone changed is modified, though its row is the same.
    moved = pl.concat(
        [vectors.new_rows.select(_KEY), vectors.deletions.select(_KEY)]
    ).unique()
    new_rows = new_rows.select(*_KEY, OLD_HASH, _changed=True)
    result = (
        pl.when(pl.col("_changed") & pl.col(OLD_HASH).is_null())
        .then(pl.lit("created"))
        .when((pl.col("_changed") | pl.col("_moved")).not_())
        .then(pl.lit("unchanged"))
        .when(pl.col("op") == "ADD")
        .then(pl.lit("replaced"))
        .otherwise(pl.lit("modified"))
    )
    rest = (
        sent.join(deleted.select(_KEY), on=_KEY, how="anti")
        .join(new_rows, on=_KEY, how="left")
        .join(moved.with_columns(_moved=True), on=_KEY, how="left")
        .with_columns(pl.col("_changed", "_moved").fill_null(value=False))
        .select("upload_id", result=result)
    )
    return deleted_count + _count_rows(rest)


def _count_new_rows(new_rows: pl.DataFrame) -> Counts:
    """The results of labels that all have a new row."""
    old = new_rows.get_column(OLD_HASH)
    if old.null_count() == new_rows.height:
        return _count_rows(new_rows, "created")
    is_new = old.is_null()
    replaced = pl.when(pl.col("op") == "ADD").then(pl.lit("replaced"))
    rest = new_rows.filter(~is_new).select(
        "upload_id", result=replaced.otherwise(pl.lit("modified"))
    )
    return _count_rows(new_rows.filter(is_new), "created") + _count_rows(rest)


def _count_rows(rows: pl.DataFrame, result: str | None = None) -> Counts:
    """How many rows of each upload had a result: the one given, or each row's own."""
    if not rows.height:
        return Counter()
    if result is None:
        counted = rows.group_by("upload_id", "result").len().rows()
        return Counter({(upload, own): number for upload, own, number in counted})
    ids = rows.get_column("upload_id")
    # One upload, as in most merges: no grouping.
    if ids[0] == ids[-1] and ids.is_sorted():
        return Counter({(ids[0], result): rows.height})
    counted = rows.group_by("upload_id").len().rows()
    return Counter({(upload, result): number for upload, number in counted})
