"""Frames as sent become frame operations."""

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl

from lakehouse.intake.columns import (
    EMBEDDING,
    Intake,
    check_finite,
    to_operations,
    typed_column,
    with_cleared_fields,
)
from lakehouse.intake.keys import (
    IGNORED,
    UNREADABLE,
    check_columns,
    check_frame_ids,
    frame_ids_of,
)
from lakehouse.intake.nested import MOST_PIXELS
from lakehouse.intake.tabular import Table, table_of
from lakehouse.model.contracts import DATASET, Layout
from lakehouse.model.operations import IF_EXISTS
from lakehouse.model.problems import Problems
from lakehouse.types import FrameLike


def frame_operations(
    data: FrameLike | Sequence[str],
    *,
    op: Literal["ADD", "MODIFY", "DELETE"],
    if_exists: str = "replace",
    nulls: str = "keep",
    layout: Layout = DATASET,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frames as sent, as operations; and what is wrong with them.

    Args:
        data: Rows; for DELETE also a list of ids.
        op: What is to be done with each.
        if_exists: What an ADD does to a frame that is there.
        nulls: Whether a MODIFY keeps or clears fields whose value is null.
        layout: Whose frames: those of an inference set need no image.

    Raises:
        InvalidInputError: If a column is unknown, or a frame id is missing,
            unusable or given twice. All such problems are listed.
    """
    table = _table(data)
    shape = layout.contract("frames")
    ids = frame_ids_of(table)
    known = {*shape.logical, "embedding"}
    unreadable = Problems()
    check_columns(table, known, "frames", unreadable)
    check_frame_ids(table, ids, "frames", unreadable)
    unreadable.raise_if_any(UNREADABLE)
    intake = Intake(ids.to_frame())
    if op != "DELETE":
        schema = shape.schema()
        for name in table.columns:
            if name == "frame_id" or name in IGNORED:
                continue
            dtype = EMBEDDING if name == "embedding" else schema.get(name)
            typed_column(intake, table, name, dtype)
        _check(intake)
        if layout.kind == "dataset" and op == "ADD":
            _check_has_image(intake)
    rows = intake.keys.hstack(list(intake.columns.values()))
    if op == "ADD" and if_exists != "replace":
        rows = rows.with_columns(pl.lit(if_exists).alias(IF_EXISTS))
    if op == "MODIFY" and nulls == "clear":
        rows = with_cleared_fields(rows, table)
    return to_operations(rows, intake, table, op)


def _table(data: FrameLike | Sequence[str]) -> Table:
    if isinstance(data, list | tuple | pl.Series) and all(
        isinstance(item, str) for item in data
    ):
        ids: list[Any] = list(data)
        return Table({"frame_id": pl.Series(ids, dtype=pl.String)}, len(ids))
    return table_of(data)


def _check(intake: Intake) -> None:
    columns = intake.columns
    check_finite(intake)
    for name in ("width", "height"):
        if name in columns:
            bad = ~columns[name].is_between(1, MOST_PIXELS).fill_null(value=True)
            message = f"{name} is not in 1 to {MOST_PIXELS}."
            intake.add_problems(bad, "value.range", message, "Send pixels.", name)
    _check_place(intake)
    check_vector(intake)
    _check_image(intake)
    _check_coordinate_frames(intake)


def _check_place(intake: Intake) -> None:
    if intake.columns.keys().isdisjoint({"latitude", "longitude"}):
        return
    latitude = intake.get("latitude", pl.Float64)
    longitude = intake.get("longitude", pl.Float64)
    for name, value, most in (
        ("latitude", latitude, 90),
        ("longitude", longitude, 180),
    ):
        bad = (value.abs() > most).fill_null(value=False)
        message = f"{name} is not in -{most} to {most}."
        intake.add_problems(
            bad, "value.range", message, "Send degrees (EPSG:4326).", name
        )
    alone = intake.is_absent("latitude") != intake.is_absent("longitude")
    message = "latitude and longitude come together, and one is missing."
    intake.add_problems(
        alone, "value.range", message, "Send both, or neither.", "latitude"
    )


def check_vector(intake: Intake) -> None:
    """Vectors have two numbers or more, all finite."""
    if "embedding" not in intake.columns:
        return
    vectors = intake.columns["embedding"]
    short = (vectors.list.len() < 2).fill_null(value=False)  # noqa: PLR2004 - the rule
    message = "A vector has 2 numbers or more."
    intake.add_problems(
        short, "embedding.dimension", message, "Send the whole vector.", "embedding"
    )
    odd = (
        vectors.list.eval(pl.element().is_finite().not_().fill_null(value=True))
        .list.any()
        .fill_null(value=False)
    )
    message = "The vector has a number that is not finite."
    intake.add_problems(
        odd, "value.range", message, "Send finite numbers only.", "embedding"
    )


def _check_has_image(intake: Intake) -> None:
    """An added frame should have an image, or another sensor."""
    columns, url = intake.columns, intake.get("image_url")
    if not url.null_count():
        return
    is_missing = intake.is_absent("image_url")
    if "sensors" in intake.misfits:
        is_missing = is_missing & ~intake.misfits["sensors"]
    if "sensors" in columns:
        is_missing = is_missing & (columns["sensors"].list.len().fill_null(0) == 0)
    message = "The frame has no image_url and no sensor."
    hint = "Add it again with its image, if it has one."
    intake.add_problems(is_missing, "sensor.missing", message, hint, is_warning=True)


def _check_image(intake: Intake) -> None:
    """image_url and the list of sensors must agree.

    The merge takes image_url from the sensors; one that is on none of them would
    be lost without a word.
    """
    columns, url = intake.columns, intake.get("image_url")
    if "sensors" in columns:
        sensors = columns["sensors"]
        urls = sensors.list.eval(pl.element().struct.field("image_url"))
        agrees = (
            pl.DataFrame({"urls": urls, "url": url})
            .select(pl.col("urls").list.contains(pl.col("url")))
            .to_series()
        )
        odd = url.is_not_null() & sensors.is_not_null() & ~agrees.fill_null(value=False)
        message = (
            "image_url and sensors are both given, and no sensor has that image_url."
        )
        hint = "Give one of them; sensors alone sets image_url."
        intake.add_problems(odd, "sensor.invalid", message, hint, "image_url")


def _check_coordinate_frames(intake: Intake) -> None:
    """A sensor's coordinate frame is one of the frame's, the world, or its own."""
    columns = intake.columns
    if "sensors" not in columns or "coordinate_frames" not in columns:
        return
    listed = pl.DataFrame(
        [
            intake.keys.get_column("frame_id"),
            columns["sensors"],
            columns["coordinate_frames"],
        ]
    )
    # Per frame: the coordinate frames that sensors name, less those that exist. All
    # in list operations: frames have a handful of sensors, uploads many frames.
    used = listed.select(
        pl.col("sensors")
        .list.eval(pl.element().struct.field("coordinate_frame"))
        .list.drop_nulls()
        .list.set_difference(
            pl.col("coordinate_frames").list.eval(
                pl.element().struct.field("coordinate_frame_id")
            )
        )
        .list.set_difference(
            pl.col("sensors").list.eval(pl.element().struct.field("sensor_id"))
        )
        .list.set_difference(pl.lit(["world"]))
        .alias("unknown")
    ).to_series()
    # A frame modified without its coordinate_frames keeps the ones stored, which
    # are not known here.
    bad = (used.list.len() > 0).fill_null(value=False) & columns[
        "coordinate_frames"
    ].is_not_null()
    message = (
        "Sensors name coordinate frames that the frame does not have: "
        + used.list.join(", ").fill_null("")
    )
    hint = "Add the coordinate frame, or correct its id."
    intake.add_problems(bad, "sensor.invalid", message + ".", hint, "sensors")
