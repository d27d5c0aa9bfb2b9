"""Which elements are not any more what they were when they were added.

The change log names what later versions changed, and holds the hash of every
row that ever was; so elements are compared by hash, and no live table is read.
What was changed and changed back, or deleted and added again as it was, does
not differ.
"""

from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.diff.fields import differs
from lakehouse.replay import uploads_between
from lakehouse.segments.frozen import last_images_at, rows_of
from lakehouse.segments.refs import key_of
from lakehouse.storage import collect

__all__ = ["REASONS", "otherwise_at", "out_of_date"]

REASONS: Final = ("deleted", "changed", "labels changed")
"""Why an element is out of date, the first that holds."""

_AT: Final = "_at"
_TEXTS: Final = pl.List(pl.String)


def out_of_date(
    collection: Collection, element_type: str, wanted: pl.DataFrame
) -> pl.DataFrame:
    """Those elements of one collection that differ now.

    Args:
        collection: Where they are.
        element_type: frame, label or inference.
        wanted: The key and `version` of each element.

    Returns:
        The key, `version`; `latest`, the version it was compared with; `reason`;
        `fields`, the names of those that differ; of frames also `labels`, the ids of
        those that were added, removed or changed.
    """
    key = key_of(element_type)
    table = "frames" if element_type == "frame" else "labels"
    now = collection.head().content_version
    rows = _differing(collection, table, wanted, now)
    gone, there = rows.filter(pl.col("is_gone")), rows.filter(~pl.col("is_gone"))
    fields = _fields(collection, table, there, now)
    told = wanted.join(gone.select(key).with_columns(_gone=True), on=key, how="left")
    told = told.join(fields, on=key, how="left")
    if element_type == "frame":
        labels = _differing(collection, "labels", wanted, now)
        by_frame = labels.group_by("frame_id").agg(
            pl.col("label_id").sort().alias("labels")
        )
        told = told.join(by_frame, on=key, how="left")
    lists = [name for name in ("fields", "labels") if name in told.columns]
    reason = (
        pl.when(pl.col("_gone")).then(pl.lit("deleted"))
        .when(pl.col("fields").is_not_null()).then(pl.lit("changed"))
        .when(pl.col(lists[-1]).is_not_null()).then(pl.lit("labels changed"))
    )  # fmt: skip
    return (
        told.with_columns(reason=reason, latest=pl.lit(now, dtype=pl.Int64))
        .filter(pl.col("reason").is_not_null())
        .with_columns(pl.col(lists).fill_null(pl.lit([], dtype=_TEXTS)))
        .select(*key, "version", "latest", "reason", *lists)
        .sort(key)
    )


def otherwise_at(
    collection: Collection, element_type: str, wanted: pl.DataFrame, version: int
) -> pl.DataFrame:
    """Those elements that a version, an earlier one too, has otherwise than theirs.

    Args:
        collection: Where they are.
        element_type: frame, label or inference.
        wanted: The key and `version` of each element.
        version: The version in question.

    Returns:
        The key, `version`, and `reason`: deleted, which is "not there", changed, or
        labels changed.
    """
    key = key_of(element_type)
    moved = wanted.filter(pl.col("version") != version)
    table = "frames" if element_type == "frame" else "labels"
    own = _compared(collection, table, moved, version)
    parts = [
        own.select(*key, _rank=pl.when("is_gone").then(0).otherwise(1)),
    ]
    if element_type == "frame":
        labels = _compared(collection, "labels", moved, version)
        parts.append(labels.select("frame_id", _rank=pl.lit(2)))
    ranks = pl.concat(parts, how="vertical_relaxed").group_by(key).agg(pl.min("_rank"))
    reason = pl.lit(pl.Series(REASONS)).gather(pl.col("_rank"))
    told = ranks.with_columns(reason=reason)
    return (
        moved.join(told, on=key, how="inner")
        .select(*key, "version", "reason")
        .sort(key)
    )


def _compared(
    collection: Collection, table: str, wanted: pl.DataFrame, version: int
) -> pl.DataFrame:
    """The rows that a version has otherwise than those asked for have theirs.

    Returns:
        The key, and `is_gone`: whether the version has no such row.
    """
    key = list(collection.contract(table).key)
    at = pl.lit(version, dtype=pl.Int64).alias("version")
    theirs, there = (
        last_images_at(collection, table, rows).select(*key, "row_hash")
        for rows in (wanted, wanted.with_columns(at))
    )
    both = theirs.join(there, on=key, how="full", coalesce=True, suffix="_there")
    before, after = pl.col("row_hash"), pl.col("row_hash_there")
    return both.filter(before.ne_missing(after)).select(*key, is_gone=after.is_null())


def _differing(
    collection: Collection, table: str, wanted: pl.DataFrame, now: int
) -> pl.DataFrame:
    """The rows that are not what they were.

    Args:
        collection: Whose rows.
        table: A live table.
        wanted: `version`, and columns of the key, as `frozen` takes them.
        now: The version to compare with.

    Returns:
        The key and `version`; `upload_id`, which made the row that it was;
        `upload_id_now`, which made what it is; and `is_gone`.
    """
    key = list(collection.contract(table).key)
    later = _changed_later(collection, table, wanted, now)
    earlier = last_images_at(collection, table, later.select(*key, "version"))
    both = later.join(earlier, on=[*key, "version"], how="left", suffix="_before")
    before, after = pl.col("row_hash_before"), pl.col("row_hash")
    return both.filter(before.ne_missing(after)).select(
        *key,
        "version",
        is_gone=after.is_null(),
        upload_id="upload_id_before",
        upload_id_now="upload_id",
    )


def _changed_later(
    collection: Collection, table: str, wanted: pl.DataFrame, now: int
) -> pl.DataFrame:
    """The newest images of what was touched after its version, as `last_images_at`."""
    key = list(collection.contract(table).key)
    on = [name for name in key if name in wanted.columns]
    first = wanted.get_column("version").min()
    uploads = uploads_between(collection, first if isinstance(first, int) else 0, now)
    if not uploads.height:
        return pl.DataFrame(
            schema=dict.fromkeys(key, pl.String())
            | {"version": pl.Int64(), "upload_id": pl.String(), "row_hash": pl.Int64()}
        )
    ids = uploads.get_column("upload_id")
    # Statistics of row groups leave out those of earlier uploads.
    within = pl.col("upload_id").is_between(pl.lit(ids.min()), pl.lit(ids.max()))
    images = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=wanted.get_column("frame_id").unique(),
        columns=[*key, "row_hash", "upload_id"],
    )
    return collect(
        images.filter(within)
        .join(uploads.lazy().rename({"version": _AT}), on="upload_id", how="inner")
        .join(wanted.lazy(), on=on, how="inner")
        .filter(pl.col(_AT) > pl.col("version"))
        .sort(_AT)
        .unique(key, keep="last", maintain_order=False)
        .select(*key, "version", "upload_id", "row_hash")
    )


def _fields(
    collection: Collection, table: str, changed: pl.DataFrame, now: int
) -> pl.DataFrame:
    """The fields in which rows differ from what they are now: the key and `fields`."""
    key = list(collection.contract(table).key)
    if not changed.height:
        return changed.select(key).with_columns(fields=pl.lit(None, dtype=_TEXTS))
    # Rows from before a column was there have no value in it.
    before = rows_of(collection, table, changed, now).sort(key)
    current = changed.with_columns(upload_id="upload_id_now")
    after = rows_of(collection, table, current, now).sort(key)
    names = [name for name in after.columns if name not in {*key, "version"}]
    differing = pl.DataFrame({name: differs(before, after, name) for name in names})
    told = [pl.when(name).then(pl.lit(name)) for name in names if differing[name].any()]
    fields = pl.concat_list(told).list.drop_nulls() if told else pl.lit([], _TEXTS)
    return after.select(key).hstack(
        differing.with_columns(fields=fields).select("fields")
    )
