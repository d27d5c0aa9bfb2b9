"""Which elements are not any more what they were when they were added.

The change log names what later versions changed, and holds the hash of every
row that ever was; so elements are compared by hash, and no live table is read.
What was changed and changed back, or deleted and added again as it was, does
not differ.
"""

from datetime import datetime
from typing import Any, Final

import polars as pl

from lakehouse.ledger.change_log import upload_versions, uploads_between
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import contract
from lakehouse.segments.refs import key_of
from lakehouse.segments.table import Change
from lakehouse.storage import collect
from lakehouse.versions.diff_tables import differs

_HIDDEN: Final = ("row_hash", "upload_id")
_FROZEN_AT: Final = "_at"


def frozen(collection: Collection, table: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows that some keys had at versions.

    Args:
        collection: Whose rows.
        table: A live table.
        wanted: `version`, and columns of the table's key: all of them, or the first
            for every row of a frame.

    Returns:
        `version` and the row's columns, those that the newest version asked for has.
        What was not there at its version is left out.
    """
    images = last_images_at(collection, table, wanted)
    there = images.filter(pl.col("row_hash").is_not_null())
    newest = wanted.get_column("version").max()
    return rows_of(collection, table, there, newest if isinstance(newest, int) else 0)


def last_images_at(
    collection: Collection, table: str, wanted: pl.DataFrame
) -> pl.DataFrame:
    """The last image of some keys up to versions.

    Args:
        collection: Whose images.
        table: A live table.
        wanted: As `frozen` takes it.

    Returns:
        The columns of the key, `version`, `upload_id`, and `row_hash`: null if the row
        was deleted. What never was there by then is left out.
    """
    key = list(collection.contract(table).key)
    on = [name for name in key if name in wanted.columns]
    images = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=wanted.get_column("frame_id").unique(),
        columns=[*key, "row_hash", "upload_id"],
    )
    uploads = upload_versions(collection).rename({"version": _FROZEN_AT})
    return collect(
        images.join(uploads, on="upload_id", how="inner")
        .join(wanted.lazy(), on=on, how="inner")
        .filter(pl.col(_FROZEN_AT) <= pl.col("version"))
        .sort(_FROZEN_AT)
        .unique([*key, "version"], keep="last", maintain_order=False)
        .select(*key, "version", "upload_id", "row_hash")
    )


def rows_of(
    collection: Collection, table: str, images: pl.DataFrame, version: int
) -> pl.DataFrame:
    """The rows of images.

    Args:
        collection: Whose rows.
        table: A live table.
        images: The columns of the key, `version` and `upload_id`.
        version: Columns are those of the table then.

    Returns:
        `version` and the row's columns, in no promised order.
    """
    key = list(collection.contract(table).key)
    schema = collection.state(table, version).schema
    names = [name for name in schema.names() if name not in _HIDDEN]
    rows = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=images.get_column("frame_id").unique(),
        columns=[*names, "upload_id"],
    )
    ids = images.get_column("upload_id").unique()
    if len(ids):
        # Statistics of row groups leave out those of other uploads.
        mine = pl.col("upload_id")
        within = mine.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
        rows = rows.filter(within, mine.is_in(ids.implode()))
    wanted = images.select(*key, "version", "upload_id").lazy()
    found = rows.join(wanted, on=[*key, "upload_id"], how="inner")
    return collect(found.select("version", *names))


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


KEY: Final = ("dataset", "inference_set", "frame_id", "label_id")
"""What tells the elements of one segment apart."""


def added(
    rows: pl.DataFrame,
    keys: pl.DataFrame,
    fields: dict[str, Any],
    batch_size: int | None = None,
) -> Change:
    """New elements; those that are there stay as they are.

    Args:
        rows: The segment's rows.
        keys: The key's columns, each element once.
        fields: What the new rows have in common.
        batch_size: Put them into batches of that many; None for none.
    """
    schema = contract("segment_elements").schema()
    fresh = keys.join(rows, on=list(KEY), how="anti", maintain_order="left")
    nothing: dict[str, Any] = {"earlier": [], "comments": []}
    values = nothing | {name: None for name in schema if name not in {*KEY, *nothing}}
    put = fresh.with_columns(
        pl.lit(value, dtype=schema[name]).alias(name)
        for name, value in (values | fields).items()
    )
    if batch_size is not None:
        put = put.with_columns(batch=_batches(rows, put.height, batch_size))
    return Change(put.select(schema.names()), rows.clear())


def removed(rows: pl.DataFrame, mine: pl.DataFrame) -> Change:
    """Elements that leave the segment."""
    return Change(rows.clear(), mine)


def with_fields(mine: pl.DataFrame, fields: dict[str, Any], at: datetime) -> Change:
    """Elements with other values of fields; those that have them stay."""
    new = {name: pl.lit(value, mine.schema[name]) for name, value in fields.items()}
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(value) for name, value in new.items()
    )
    return Change(_touched(mine.filter(differs).with_columns(**new), at), mine.clear())


def commented(
    mine: pl.DataFrame, author: str | None, text: str, at: datetime
) -> Change:
    """Elements with one more comment."""
    said = [[{"author": author, "time": at, "text": text}]]
    comment = pl.Series(said, dtype=mine.schema["comments"])
    every = pl.concat_list("comments", pl.lit(comment))
    return Change(_touched(mine.with_columns(comments=every), at), mine.clear())


def moved(rows: pl.DataFrame, moves: pl.DataFrame, at: datetime) -> Change:
    """Elements at other versions; those they had are kept.

    Args:
        rows: The segment's rows.
        moves: The key's columns, `version` and `latest`. An element that is at
            another version by now stays.
        at: When.
    """
    mine = rows.join(moves, on=[*KEY, "version"], how="inner", maintain_order="left")
    put = mine.with_columns(
        earlier=pl.concat_list("earlier", "version"), version="latest"
    )
    return Change(_touched(put.select(rows.columns), at), rows.clear())


def _touched(rows: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(at, dtype=rows.schema["updated_at"]).alias("updated_at")
    )


def _batches(rows: pl.DataFrame, count: int, size: int) -> pl.Series:
    """The batches that new elements go into: `batch_1` and on.

    The last batch is filled up unless somebody works on it already.
    """
    number = pl.col("batch").str.extract(r"^batch_([0-9]+)$").cast(pl.Int64)
    numbered = rows.with_columns(_number=number).drop_nulls("_number")
    last = numbered.filter(pl.col("_number") == pl.col("_number").max())
    is_idle = last.get_column("assignee").null_count() == last.height and not (
        last.filter(status="done").height
    )
    newest = last["_number"][0] if last.height else 0
    free = max(size - last.height, 0) if last.height and is_idle else 0
    first = [newest] * min(free, count)
    rest = [newest + 1 + place // size for place in range(count - len(first))]
    return pl.Series("batch", [f"batch_{number}" for number in first + rest], pl.String)
