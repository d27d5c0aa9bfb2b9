"""New rows and deletions of frames.

The image columns of a frame and its list of sensors say the same: whichever is
sent, the other follows (decision 0007).
"""

from typing import Any, Final

import polars as pl

from lakehouse.merging.rows import (
    coalesce_update,
    concat_rows,
    conform,
    logical_columns,
    of_op,
    semi_join,
    table_change,
)
from lakehouse.merging.types import Current, Rules, TableChange, no_change

_IMAGE_COLUMNS: Final = ("image_url", "width", "height")


def frame_change(
    frames: pl.DataFrame, targets: pl.DataFrame, current: Current, rules: Rules
) -> TableChange:
    """The frames that are created, replaced, modified or deleted."""
    if not frames.height:
        return no_change(rules.layout, "frames")
    shape = rules.layout.contract("frames")
    extras = dict(rules.frame_metadata)
    fields = logical_columns(shape, extras)
    added = _copy_image_from_sensors(of_op(frames, "ADD"), where=pl.lit(value=True))
    parts = [conform(added, fields)]
    sent = of_op(frames, "MODIFY") if added.height < frames.height else frames.clear()
    if sent.height:
        has_new_sensors = pl.lit(value=False)
        sent = _update_default_sensor(sent, current.frames.rows)
        if "sensors" in sent.columns:
            # Noted before stored values fill in: a list that was not sent must not
            # overwrite the image columns.
            sent = sent.with_columns(_has_sensors=pl.col("sensors").is_not_null())
            has_new_sensors = pl.col("_has_sensors")
        full = coalesce_update(sent, current.frames.rows, ["frame_id"], fields)
        parts.append(
            conform(_copy_image_from_sensors(full, where=has_new_sensors), fields)
        )
    existing = current.frames.keys
    deleted = targets.clear()
    if existing.height:
        deleted = targets.filter(pl.col("frame_op") == "DELETE")
    removed = semi_join(existing, deleted)
    uploads = deleted[["frame_id", "upload_id"]]
    rows = concat_rows(parts)
    return table_change(rows, removed, uploads, existing, shape, extras)


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
    made = rows.select("frame_id").with_columns(pl.Series("_made", lists, dtype=dtype))
    joined = sent.join(made, on="frame_id", how="left", maintain_order="left")
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
