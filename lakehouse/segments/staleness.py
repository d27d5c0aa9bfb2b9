"""Elements as they were at their versions, and those that are not like that any more.

The change log names what later versions changed, and holds the hash of every
row that ever was; so elements are compared by hash, and no live table is read.
What was changed and changed back, or deleted and added again as it was, does
not differ.

    last_changes_at   the newest after-image of each key up to its version
    rows_of           the rows that those after-images are
    frozen            both: elements as they were
    out_of_date       what differs now, and in which fields
    differing_at      what another version has differently
"""

from typing import Final

import polars as pl

from lakehouse.ledger.change_log import upload_versions, uploads_between
from lakehouse.ledger.collection import Collection
from lakehouse.segments.rules import key_of
from lakehouse.storage import collect
from lakehouse.versions.diff_tables import differs

REASONS: Final = ("deleted", "changed", "labels changed")
"""Why an element is out of date, the first that holds."""

_AT: Final = "_at"
"""The version that an upload was merged in; `version` is the element's."""
_HIDDEN: Final = ("row_hash", "upload_id")
_TEXTS: Final = pl.List(pl.String)


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
    changes = last_changes_at(collection, table, wanted)
    # A deletion has no hash.
    existing = changes.filter(pl.col("row_hash").is_not_null())
    newest = wanted.get_column("version").max()
    # No element, no version: the schema of version 0 does.
    version = newest if isinstance(newest, int) else 0
    return rows_of(collection, table, existing, version)


def last_changes_at(
    collection: Collection, table: str, wanted: pl.DataFrame
) -> pl.DataFrame:
    """The newest after-image of some keys up to versions.

    Args:
        collection: Whose change log.
        table: A live table.
        wanted: As `frozen` takes it.

    Returns:
        The columns of the key, `version`, `upload_id`, and `row_hash`: null if the row
        was deleted. What never was there by then is left out.
    """
    key = list(collection.contract(table).key)
    on = [name for name in key if name in wanted.columns]
    changes = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=wanted.get_column("frame_id").unique(),
        columns=[*key, "row_hash", "upload_id"],
    )
    uploads = upload_versions(collection).rename({"version": _AT})
    # One scan for elements of all versions: `uploads` gives each after-image its
    # version, and each element keeps the newest that is not later than its own.
    return collect(
        changes.join(uploads, on="upload_id", how="inner")
        .join(wanted.lazy(), on=on, how="inner")
        .filter(pl.col(_AT) <= pl.col("version"))
        .sort(_AT)
        .unique([*key, "version"], keep="last", maintain_order=False)
        .select(*key, "version", "upload_id", "row_hash")
    )


def rows_of(
    collection: Collection, table: str, changes: pl.DataFrame, version: int
) -> pl.DataFrame:
    """The rows of after-images.

    Args:
        collection: Whose rows.
        table: A live table.
        changes: The columns of the key, `version` and `upload_id`.
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
        keys=changes.get_column("frame_id").unique(),
        columns=[*names, "upload_id"],
    )
    ids = changes.get_column("upload_id").unique()
    if len(ids):
        # `is_in` alone would read every row group: only the bounds meet statistics.
        upload = pl.col("upload_id")
        within = upload.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
        rows = rows.filter(within, upload.is_in(ids.implode()))
    wanted = changes.select(*key, "version", "upload_id").lazy()
    # An upload changes a row once at most, so the key and the upload name one row.
    matches = rows.join(wanted, on=[*key, "upload_id"], how="inner")
    return collect(matches.select("version", *names))


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
    gone, changed = rows.filter(pl.col("is_gone")), rows.filter(~pl.col("is_gone"))
    fields = _fields(collection, table, changed, now)
    compared = wanted.join(
        gone.select(key).with_columns(_gone=True), on=key, how="left"
    ).join(fields, on=key, how="left")
    if element_type == "frame":
        labels = _differing(collection, "labels", wanted, now)
        by_frame = labels.group_by("frame_id").agg(
            pl.col("label_id").sort().alias("labels")
        )
        compared = compared.join(by_frame, on=key, how="left")
    # For labels and inferences the last list is `fields`, which the branch before took.
    lists = [name for name in ("fields", "labels") if name in compared.columns]
    reason = (
        pl.when(pl.col("_gone")).then(pl.lit("deleted"))
        .when(pl.col("fields").is_not_null()).then(pl.lit("changed"))
        .when(pl.col(lists[-1]).is_not_null()).then(pl.lit("labels changed"))
    )  # fmt: skip
    return (
        compared.with_columns(reason=reason, latest=pl.lit(now, dtype=pl.Int64))
        .filter(pl.col("reason").is_not_null())
        .with_columns(pl.col(lists).fill_null(pl.lit([], dtype=_TEXTS)))
        .select(*key, "version", "latest", "reason", *lists)
        .sort(key)
    )


def differing_at(
    collection: Collection, element_type: str, wanted: pl.DataFrame, version: int
) -> pl.DataFrame:
    """Those elements that another version, an earlier one too, has differently.

    Args:
        collection: Where they are.
        element_type: frame, label or inference.
        wanted: The key and `version` of each element.
        version: The version to compare with.

    Returns:
        The key, `version`, and `reason`: deleted, which is "not there", changed, or
        labels changed.
    """
    key = key_of(element_type)
    moved = wanted.filter(pl.col("version") != version)
    table = "frames" if element_type == "frame" else "labels"
    rows = _compared(collection, table, moved, version)
    # The rank is the place in REASONS: the least one wins.
    parts = [rows.select(*key, _rank=pl.when("is_gone").then(0).otherwise(1))]
    if element_type == "frame":
        labels = _compared(collection, "labels", moved, version)
        parts.append(labels.select("frame_id", _rank=pl.lit(2)))
    ranks = pl.concat(parts, how="vertical_relaxed").group_by(key).agg(pl.min("_rank"))
    reason = pl.lit(pl.Series(REASONS)).gather(pl.col("_rank"))
    return (
        moved.join(ranks.with_columns(reason=reason), on=key, how="inner")
        .select(*key, "version", "reason")
        .sort(key)
    )


def _compared(
    collection: Collection, table: str, wanted: pl.DataFrame, version: int
) -> pl.DataFrame:
    """The rows that a version has differently than the elements' own versions have them.

    Returns:
        The key, and `is_gone`: whether the version has no such row.
    """
    key = list(collection.contract(table).key)
    at = pl.lit(version, dtype=pl.Int64).alias("version")
    own, other = (
        last_changes_at(collection, table, rows).select(*key, "row_hash")
        for rows in (wanted, wanted.with_columns(at))
    )
    # Full: a label may be in either of the two versions alone.
    both = own.join(other, on=key, how="full", coalesce=True, suffix="_other")
    before, after = pl.col("row_hash"), pl.col("row_hash_other")
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
    # Only what changed later is looked up at its own version: usually little of all.
    earlier = last_changes_at(collection, table, later.select(*key, "version"))
    both = later.join(earlier, on=[*key, "version"], how="left", suffix="_before")
    before, after = pl.col("row_hash_before"), pl.col("row_hash")
    # `ne_missing`: null is "not there", on either side.
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
    """The newest after-images of what changed after its version, as `last_changes_at`."""
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
    # Upload ids begin with their time, so bounds leave row groups of earlier ones out.
    within = pl.col("upload_id").is_between(pl.lit(ids.min()), pl.lit(ids.max()))
    changes = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=wanted.get_column("frame_id").unique(),
        columns=[*key, "row_hash", "upload_id"],
    )
    return collect(
        changes.filter(within)
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
    # Both sides are sorted by one key, so rows stand opposite each other.
    texts = [
        pl.when(name).then(pl.lit(name)) for name in names if differing[name].any()
    ]
    fields = pl.concat_list(texts).list.drop_nulls() if texts else pl.lit([], _TEXTS)
    return after.select(key).hstack(
        differing.with_columns(fields=fields).select("fields")
    )
