"""What the operations of some uploads do to the rows of each live table.

One function a table: `frame_change`, `label_change`, `frame_vector_change`,
`label_vector_change`. They share the last step, `_table_change`, which leaves out
rows that are stored already.

`targets` has a row for each frame that the uploads touch, by itself or by its labels:
`frame_id`, the `upload_id` that touches it, and `frame_op`, which is null where labels
alone were sent. Frames that are rejected or skipped are left out of it, and so are
their rows. `current` is what the tables hold of the same frames. The column `op` of
rows here was `_op` in the upload: the kernel renames it to what the change log has.

Below stand table helpers. Those do what Polars'
methods of the same names do, and spare its query planning, about a tenth of a
millisecond each, where a look at the heights answers already: most merges are of a
few rows.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import polars as pl

from lakehouse.merging.types import Current, Rules, TableChange
from lakehouse.model.contracts import Contract, Layout
from lakehouse.model.operations import CLEAR, KEEPS_VECTOR, OLD_AT, OLD_HASH, OP
from lakehouse.model.row_hash import row_hash

_LABEL_KEY: Final = ["frame_id", "label_id"]
_IMAGE_COLUMNS: Final = ("image_url", "width", "height")

# One bad row of a million is cut out of the sorted rows around it without a copy;
# a join would hash and copy all of them. With more frames, or fewer rows, joining
# is as cheap.
_ROWS_WORTH_SLICING: Final = 10_000
_MOST_SLICED_FRAMES: Final = 64

_COMPARED_AS_SERIES: Final = 1_000  # planning a query takes longer than so many rows


# -------------------------------------- FRAMES -------------------------------------- #

# The image columns of a frame and its list of sensors say the same: whichever is
# sent, the other follows (decision 0007).


def frame_change(
    frames: pl.DataFrame, targets: pl.DataFrame, current: Current, rules: Rules
) -> TableChange:
    """The frames that are created, replaced, modified or deleted."""
    if not frames.height:
        return _no_change(rules.layout, "frames")
    contract = rules.layout.contract("frames")
    extras = dict(rules.frame_metadata)
    fields = logical_columns(contract, extras)
    added = _copy_image_from_sensors(of_op(frames, "ADD"), where=pl.lit(value=True))
    parts = [_conform(added, fields)]
    sent = of_op(frames, "MODIFY") if added.height < frames.height else frames.clear()
    if sent.height:
        has_new_sensors = pl.lit(value=False)
        sent = _update_default_sensor(sent, current.frames.rows)
        if "sensors" in sent.columns:
            # Noted before stored values fill in: a list that was not sent must not
            # overwrite the image columns.
            sent = sent.with_columns(_has_sensors=pl.col("sensors").is_not_null())
            has_new_sensors = pl.col("_has_sensors")
        full = _coalesce_update(sent, current.frames.rows, ["frame_id"], fields)
        parts.append(
            _conform(_copy_image_from_sensors(full, where=has_new_sensors), fields)
        )
    existing = current.frames.keys
    deleted = targets.clear()
    if existing.height:
        deleted = targets.filter(pl.col("frame_op") == "DELETE")
    removed = semi_join(existing, deleted)
    uploads = deleted[["frame_id", "upload_id"]]
    rows = _concat_rows(parts)
    return _table_change(rows, removed, uploads, existing, contract, extras)


def _copy_image_from_sensors(rows: pl.DataFrame, *, where: pl.Expr) -> pl.DataFrame:
    """Rows with the image columns set from their list of sensors.

    Args:
        rows: Frames, in any columns.
        where: Which of those that have a list are meant.
    """
    if "sensors" not in rows.columns:
        return rows
    has_list = where & pl.col("sensors").is_not_null()
    if not rows.select(has_list.any()).item():
        return rows
    # The image of a frame is that of sensor DEFAULT, else that of its first camera.
    cameras = pl.col("sensors").list.eval(
        pl.element().filter(pl.element().struct.field("sensor_type") == "IMAGE_V0")
    )
    default = cameras.list.eval(
        pl.element().filter(pl.element().struct.field("sensor_id") == "DEFAULT")
    )
    shown = pl.coalesce(default.list.first(), cameras.list.first())
    return rows.with_columns(
        pl.when(has_list)
        .then(shown.struct.field(name))
        .otherwise(pl.col(name) if name in rows.columns else None)
        .alias(name)
        for name in _IMAGE_COLUMNS
    )


def _update_default_sensor(sent: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """MODIFY rows of image columns, with the list of sensors that these change.

    A frame that has a list keeps it, with its sensor DEFAULT changed or added.
    """
    given = [name for name in _IMAGE_COLUMNS if name in sent.columns]
    if not given or not current.height:
        return sent
    listed = current.filter(pl.col("sensors").is_not_null())
    is_image_sent = pl.any_horizontal(pl.col(name).is_not_null() for name in given)
    if "sensors" in sent.columns:
        is_image_sent &= pl.col("sensors").is_null()
    # A loop in Python, but over these rows alone: frames with a stored list of
    # sensors, of which only the image is modified.
    rows = sent.filter(is_image_sent).join(
        listed.select("frame_id", pl.col("sensors").alias("_listed")), on="frame_id"
    )
    if not rows.height:
        return sent
    dtype = current.schema["sensors"]
    lists = [
        _with_image(row["_listed"], {name: row[name] for name in given})
        for row in rows.iter_rows(named=True)
    ]
    updated = rows.select("frame_id").with_columns(
        pl.Series("_made", lists, dtype=dtype)
    )
    joined = sent.join(updated, on="frame_id", how="left", maintain_order="left")
    kept = pl.col("sensors") if "sensors" in sent.columns else pl.lit(None, dtype=dtype)
    return joined.with_columns(sensors=pl.coalesce("_made", kept)).drop("_made")


def _with_image(
    sensors: list[dict[str, Any]], image: dict[str, Any]
) -> list[dict[str, Any]]:
    new = {name: value for name, value in image.items() if value is not None}
    if not any(_is_default(sensor) for sensor in sensors):
        fresh = {"sensor_id": "DEFAULT", "sensor_type": "IMAGE_V0", **new}
        return [*sensors, fresh]
    return [
        _replace_image(sensor, new) if _is_default(sensor) else sensor
        for sensor in sensors
    ]


def _replace_image(sensor: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A sensor with another image; the checksum was of the one before."""
    is_other = new.get("image_url", sensor["image_url"]) != sensor["image_url"]
    return sensor | new | ({"checksum": None} if is_other else {})


def _is_default(sensor: dict[str, Any]) -> bool:
    return (sensor["sensor_id"], sensor["sensor_type"]) == ("DEFAULT", "IMAGE_V0")


# -------------------------------------- LABELS -------------------------------------- #


def label_change(
    labels: pl.DataFrame, targets: pl.DataFrame, current: Current, rules: Rules
) -> TableChange:
    """The labels that are created, replaced, modified or deleted."""
    if not labels.height and not current.labels.keys.height:
        return _no_change(rules.layout, "labels")
    contract = rules.layout.contract("labels")
    extras = dict(rules.label_metadata)
    fields = logical_columns(contract, extras)
    added = of_op(labels, "ADD")
    parts = [_conform(added, fields)]
    sent = of_op(labels, "MODIFY") if added.height < labels.height else labels.clear()
    if sent.height:
        old = current.labels.rows
        # A label that is not there was reported by the checks, and is left out here.
        existing = sent.join(old, on=_LABEL_KEY, how="semi", maintain_order="left")
        parts.append(
            _conform(_coalesce_update(existing, old, _LABEL_KEY, fields), fields)
        )
    rows = _with_class_ids(_concat_rows(parts), rules.class_ids, current.labels.rows)
    existing = current.labels.keys
    removed, uploads = _removed_labels(labels, targets, existing)
    return _table_change(rows, removed, uploads, existing, contract, extras)


def _removed_labels(
    labels: pl.DataFrame, targets: pl.DataFrame, existing: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys of a table keyed by label that leave, and which upload takes them out.

    They leave with their frame, by a frame that is added anew without them, or
    one by one.
    """
    uploads = targets[["frame_id", "upload_id"]]
    if not existing.height:
        return existing, uploads
    replaced_frames = targets.filter(pl.col("frame_op").is_in(["ADD", "DELETE"]))
    if not replaced_frames.height and of_op(labels, "ADD").height == labels.height:
        return existing.clear(), uploads
    # A label that is sent again with its frame is replaced: one change of its key.
    sent = labels.filter(pl.col("op") != "DELETE")
    by_frame = existing.join(replaced_frames, on="frame_id", how="semi").join(
        sent, on=_LABEL_KEY, how="anti"
    )
    # `by_frame` and `by_label` have no key in common: an upload that adds or deletes a
    # frame may not delete single labels of it; such a frame is rejected.
    deleted_labels = labels.filter(pl.col("op") == "DELETE")
    by_label = existing.join(deleted_labels, on=_LABEL_KEY, how="semi")
    return pl.concat([by_frame, by_label]), uploads


def _with_class_ids(
    rows: pl.DataFrame, class_ids: Mapping[str, int], existing: pl.DataFrame
) -> pl.DataFrame:
    """Label rows with the column `class_id`, which follows from the class name.

    Where a MODIFY of other fields keeps a name that is no longer in the class map, the
    id stays too. Rows that were hashed when they were staged bring their ids: they come
    here only if the class map still gives the same ones.
    """
    if "row_hash" in rows.columns:
        return rows
    name = pl.col("class_name")
    ids = name.replace_strict(dict(class_ids), default=None, return_dtype=pl.Int64)
    if not existing.height:
        return rows.with_columns(class_id=ids)
    old = existing.select(*_LABEL_KEY, _old_name="class_name", _old_id="class_id")
    kept = pl.when(name == pl.col("_old_name")).then(pl.col("_old_id"))
    return (
        rows.join(old, on=_LABEL_KEY, how="left", maintain_order="left")
        .with_columns(class_id=pl.coalesce(ids, kept))
        .drop("_old_name", "_old_id")
    )


# ------------------------------------- VECTORS -------------------------------------- #

# When a stored vector stays, and when it goes:
#   frame modified, or label replaced, without a new vector    stays
#   frame or label deleted                                     goes
#   frame added again without a vector                         goes, and its labels' too,
#                                                              unless `_keeps_vector`


def frame_vector_change(
    frames: pl.DataFrame, targets: pl.DataFrame, current: Current, layout: Layout
) -> TableChange:
    """The vectors of frames that come, change or go."""
    existing = current.frame_embeddings.keys
    if not existing.height and "embedding" not in frames.columns:
        return _no_change(layout, "frame_embeddings")
    sent = _with_vector(frames)
    if not existing.height:
        return _vector_change(
            layout.contract("frame_embeddings"), sent, existing, existing, targets
        )
    replaced_frames = targets.filter(pl.col("frame_op").is_in(["ADD", "DELETE"]))
    # Whatever goes, less what stays on request, less what is replaced by a new vector.
    removed = existing.join(replaced_frames, on="frame_id", how="semi")
    removed = removed.join(_rows_keeping_vector(frames), on="frame_id", how="anti")
    if CLEAR in frames.columns:
        cleared = frames.filter(pl.col(CLEAR).list.contains("embedding"))
        removed = pl.concat(
            [removed, existing.join(cleared, on="frame_id", how="semi")]
        )
    removed = removed.join(sent, on="frame_id", how="anti")
    return _vector_change(
        layout.contract("frame_embeddings"), sent, existing, removed, targets
    )


def label_vector_change(
    labels: pl.DataFrame, targets: pl.DataFrame, current: Current, layout: Layout
) -> TableChange:
    """The vectors of labels that come, change or go."""
    existing = current.label_embeddings.keys
    if not existing.height and "embedding" not in labels.columns:
        return _no_change(layout, "label_embeddings")
    sent = _with_vector(labels)
    # A label that is modified and not there was reported; its vector must not land.
    modified = sent.filter(pl.col("op") == "MODIFY")
    unknown = modified.join(current.labels.keys, on=_LABEL_KEY, how="anti")
    sent = sent.join(unknown, on=_LABEL_KEY, how="anti", maintain_order="left")
    removed, _ = _removed_labels(labels, targets, existing)
    if existing.height and CLEAR in labels.columns:
        cleared = labels.filter(pl.col(CLEAR).list.contains("embedding"))
        removed = pl.concat(
            [removed, existing.join(cleared, on=_LABEL_KEY, how="semi")]
        )
    if existing.height:
        # In a frame that is added again, a label sent without a vector loses the old one.
        added_again = targets.filter(pl.col("frame_op") == "ADD")
        lost = existing.join(added_again, on="frame_id", how="semi").join(
            sent, on=_LABEL_KEY, how="anti"
        )
        lost = lost.join(_rows_keeping_vector(labels), on=_LABEL_KEY, how="anti")
        removed = pl.concat([removed, lost]).unique(_LABEL_KEY)
    return _vector_change(
        layout.contract("label_embeddings"), sent, existing, removed, targets
    )


def _rows_keeping_vector(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose stored vector stays where they have none."""
    if KEEPS_VECTOR not in rows.columns:
        return rows.clear()
    return rows.filter(pl.col(KEEPS_VECTOR).fill_null(value=False))


def _with_vector(rows: pl.DataFrame) -> pl.DataFrame:
    if "embedding" not in rows.columns:
        return rows.clear().with_columns(
            pl.lit(None, dtype=pl.List(pl.Float32)).alias("embedding")
        )
    return rows.filter(pl.col("embedding").is_not_null())


def _vector_change(
    contract: Contract,
    sent: pl.DataFrame,
    existing: pl.DataFrame,
    removed: pl.DataFrame,
    targets: pl.DataFrame,
) -> TableChange:
    rows = _conform(sent, logical_columns(contract, {}))
    uploads = targets.select("frame_id", "upload_id")
    return _table_change(rows, removed, uploads, existing, contract, {})


# ------------------------------- CHANGES OF ONE TABLE ------------------------------- #


@cache
def _no_change(layout: Layout, table: str) -> TableChange:
    """Nothing happens to a table."""
    contract = layout.contract(table)
    old = dict.fromkeys((OLD_HASH, OLD_AT), pl.Int64())
    key = dict.fromkeys((*contract.key, "upload_id", "op"), pl.String())
    new_rows = pl.DataFrame(schema={**contract.schema(), "op": pl.String(), **old})
    return TableChange(new_rows, pl.DataFrame(schema={**key, **old}))


def _coalesce_update(
    rows: pl.DataFrame,
    current: pl.DataFrame,
    key: list[str],
    fields: Mapping[str, pl.DataType],
) -> pl.DataFrame:
    """Rows of MODIFY over the rows there are: a field that is given replaces.

    Args:
        rows: With the key and some of the fields; null means not given, unless
            the `_clear` list of the row names the field.
        current: The rows there are.
        key: What joins them.
        fields: Every field that the result has.
    """
    # Prefixed, so that the join keeps both values of a field.
    old = add_missing_columns(current, fields).select(
        *key, *(pl.col(f).alias(f"_old_{f}") for f in fields if f not in key)
    )
    joined = rows.join(old, on=key, how="left", maintain_order="left")
    clears = CLEAR in rows.columns
    values: list[pl.Expr] = []
    for name, dtype in fields.items():
        if name in key:
            continue
        value = pl.col(f"_old_{name}").cast(dtype)
        if name in rows.columns:
            value = pl.coalesce(pl.col(name).cast(dtype), value)
        if clears:
            # Last: a null that was given on purpose beats the value that is stored.
            is_cleared = pl.col(CLEAR).list.contains(name).fill_null(value=False)
            value = pl.when(is_cleared).then(None).otherwise(value)
        values.append(value.alias(name))
    rest = [name for name in rows.columns if name not in fields]
    return joined.select(*key, *values, *rest)


def _table_change(  # noqa: PLR0917 - the two sides of a change
    rows: pl.DataFrame,
    removed: pl.DataFrame,
    uploads: pl.DataFrame,
    existing: pl.DataFrame,
    contract: Contract,
    extras: Mapping[str, pl.DataType],
) -> TableChange:
    """The change of one table: rows that are new or differ, and keys that go.

    Args:
        rows: With the content, `upload_id` and `op`.
        removed: Keys that go, with their hashes and places.
        uploads: `frame_id` to the `upload_id` that deletes.
        existing: The keys there are, with their hashes and places.
        contract: The table's contract.
        extras: The metadata columns of the table.
    """
    return TableChange(
        _after_images(rows, existing, contract, extras),
        _deletions_of(removed, uploads, contract),
    )


def _after_images(
    rows: pl.DataFrame,
    existing: pl.DataFrame,
    contract: Contract,
    extras: Mapping[str, pl.DataType],
) -> pl.DataFrame:
    """Full rows as the table will hold them; those that it holds already are left out.

    Args:
        rows: With the content, `upload_id` and `op`.
        existing: The keys there are, with their hashes and places.
        contract: The table's contract.
        extras: Its metadata columns.
    """
    columns = logical_columns(contract, extras)
    hash_column = ["row_hash"] if "row_hash" in rows.columns else []
    rows = _conform(rows, columns)
    # Large uploads were hashed when they were staged, and are not hashed again.
    if not hash_column:
        rows = rows.hstack([row_hash(rows, list(columns))])
    key = list(contract.key)
    null = pl.lit(None, dtype=pl.Int64)
    old = [null.alias(OLD_HASH), null.alias(OLD_AT)]
    if existing.height:
        rows = rows.join(existing, on=key, how="left", maintain_order="left")
        # The hash is of the content alone: equal hashes, nothing to write. A key
        # that is new has no old hash, and null is unequal to any.
        rows = rows.filter(pl.col("row_hash").ne_missing(pl.col(OLD_HASH)))
        old = [pl.col(OLD_HASH), pl.col(OLD_AT)]
    return rows.select(*contract.schema(extras).names(), "op", *old)


def _deletions_of(
    removed: pl.DataFrame, uploads: pl.DataFrame, contract: Contract
) -> pl.DataFrame:
    """Removed keys as deletions.

    Args:
        removed: Keys that go, with their hashes and places.
        uploads: `frame_id` to the `upload_id` that deletes.
        contract: The table's contract.
    """
    texts = dict.fromkeys([*contract.key, "upload_id", "op"], pl.String())
    if not removed.height:
        return pl.DataFrame(schema={**texts, OLD_HASH: pl.Int64, OLD_AT: pl.Int64})
    # Inner loses nothing: keys are removed only of frames that are in the targets.
    deleted = removed.join(uploads, on="frame_id", how="inner", maintain_order="left")
    return deleted.select(
        *contract.key, "upload_id", pl.lit("DELETE").alias("op"), OLD_HASH, OLD_AT
    )


def _conform(rows: pl.DataFrame, fields: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The fields in order, null where not given, then `upload_id` and `op`.

    A `row_hash` that was made when the rows were staged is kept.
    """
    hash_column = ["row_hash"] if "row_hash" in rows.columns else []
    names = [*fields, "upload_id", "op", *hash_column]
    # Staged rows have this form, and a select of all columns would still be planned.
    if rows.columns == names and rows.dtypes[: len(fields)] == [*fields.values()]:
        return rows
    return rows.select(*_typed(rows, fields), "upload_id", "op", *hash_column)


def _typed(rows: pl.DataFrame, fields: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """The fields under their types, null where the rows lack one."""
    dtypes = dict(zip(rows.columns, rows.dtypes, strict=True))
    values: list[pl.Expr] = []
    for name, dtype in fields.items():
        if name not in dtypes:
            values.append(pl.lit(None, dtype=dtype).alias(name))
        elif dtypes[name] == dtype:
            values.append(pl.col(name))
        else:
            values.append(pl.col(name).cast(dtype))
    return values


def _concat_rows(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Parts as `_conform` makes them, as one table.

    A part's `row_hash` is kept only where that part is all: beside rows without
    hashes the column would have gaps, and all rows are hashed again.
    """
    full = [part for part in parts if part.height] or [parts[0]]
    if len(full) == 1:
        return full[0]
    return pl.concat([part.drop("row_hash", strict=False) for part in full])


# ---------------------------------- TABLE HELPERS ----------------------------------- #


def all_are(rows: pl.DataFrame, op: str, column: str = OP) -> bool:
    """Whether every row has that operation.

    A query compares a long column of one value by that value alone, where a series
    is unfolded first; for few rows the series is faster.

    >>> all_are(pl.DataFrame({"_op": ["ADD", "MODIFY"]}), "ADD")
    False
    """
    if rows.height < _COMPARED_AS_SERIES:
        return bool((rows.get_column(column) == op).all())
    return bool(rows.select((pl.col(column) == op).all()).item())


def of_op(rows: pl.DataFrame, op: str) -> pl.DataFrame:
    """The rows with that `op`; the same table, not a copy, where all have it."""
    return rows if all_are(rows, op, "op") else rows.filter(rows.get_column("op") == op)


def keys_of(rows: pl.DataFrame, op: str, key: list[str]) -> pl.DataFrame:
    """The keys of the rows with that operation; no query where all rows have it."""
    if not rows.height:
        return pl.DataFrame(schema=dict.fromkeys(key, pl.String))
    if all_are(rows, op):
        return rows[key]
    is_op = rows.get_column(OP) == op
    return rows.filter(is_op)[key] if is_op.any() else rows[key].clear()


def anti_join(rows: pl.DataFrame, frames: pl.DataFrame) -> pl.DataFrame:
    """The rows of other frames; the same table, not a copy, where none are named."""
    if not frames.height or not rows.height:
        return rows
    if rows.height > _ROWS_WORTH_SLICING and frames.height <= _MOST_SLICED_FRAMES:
        ids = rows.get_column("frame_id")
        if not ids.null_count() and ids.is_sorted():
            return _cut_out(rows, ids, frames.get_column("frame_id").drop_nulls())
    return rows.join(frames, on="frame_id", how="anti", maintain_order="left")


def _cut_out(rows: pl.DataFrame, ids: pl.Series, frames: pl.Series) -> pl.DataFrame:
    """The sorted rows before, between and after those of a few frames, not copied."""
    parts: list[pl.DataFrame] = []
    start = 0
    for name in frames.unique().sort():
        low = ids.search_sorted(name, side="left")
        parts.append(rows.slice(start, low - start))
        start = ids.search_sorted(name, side="right")
    return pl.concat([*parts, rows.slice(start)])


def semi_join(
    rows: pl.DataFrame, others: pl.DataFrame, key: Sequence[str] = ("frame_id",)
) -> pl.DataFrame:
    """The rows whose key others have too; no query where either has no rows."""
    if not rows.height or not others.height:
        return rows.clear()
    return rows.join(others, on=key, how="semi", maintain_order="left")


def add_missing_columns(
    rows: pl.DataFrame, schema: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """The rows with every column of the schema, null where one was missing."""
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
        if name not in rows.columns
    ]
    return rows.with_columns(missing) if missing else rows


def logical_columns(
    contract: Contract, extras: Mapping[str, pl.DataType]
) -> dict[str, pl.DataType]:
    """The columns that are a row's content, metadata included."""
    schema = contract.schema(extras)
    return {
        name: dtype for name, dtype in schema.items() if name not in contract.provenance
    }
