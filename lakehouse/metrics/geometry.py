"""The geometry of labels and inferences: boxes as arrays, and what is wrong with them.

A polygon list has the box around all its vertices.
"""

from typing import Final, Literal

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Floats
from lakehouse.metrics.tables import Faults
from lakehouse.model.label_types import BOX

__all__ = ["SHAPES", "Geometry", "boxes", "check_shapes", "shaped"]

Geometry = Literal["box", "polygon"]
"""What overlap is measured on."""

SHAPES: Final = ("BBOX_2D", "POLYGON_LIST_2D")
"""The types of labels that detection is about."""

_CORNERS: Final = 3


def shaped(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are boxes or polygon lists; a row without a type is what it has."""
    told = (
        pl.when(pl.col("polygons").is_not_null())
        .then(pl.lit(SHAPES[1]))
        .otherwise(pl.lit(SHAPES[0]))
    )
    typed = rows.with_columns(pl.col("label_type").fill_null(told))
    return typed.filter(pl.col("label_type").is_in(SHAPES))


def check_shapes(rows: pl.DataFrame, table: str, faults: Faults) -> None:
    """Boxes have an edge and a size of 0 or more; polygons have three vertices."""
    box, polygon = (rows.filter(label_type=name) for name in SHAPES)
    for name in BOX:
        fine = pl.col(name).is_finite()
        if name in {"width", "height"}:
            fine &= pl.col(name) >= 0
        bad = box.filter(~fine.fill_null(value=False))
        told = "a box has finite edges, and sides of 0 or more."
        faults.rows(table, bad, name, rule="box.invalid", told=told, hint="Correct it.")
    vertices = pl.element().list.len().min()
    known = pl.element().explode().explode().is_finite().all()
    fine = (pl.col("polygons").list.eval(vertices).list.first() >= _CORNERS) & pl.col(
        "polygons"
    ).list.eval(known).list.first()
    bad = polygon.filter(~fine.fill_null(value=False))
    told = "a polygon list has polygons, of three finite vertices or more each."
    faults.rows(
        table, bad, "polygons", rule="polygon.invalid", told=told, hint="Correct it."
    )


def boxes(rows: pl.DataFrame) -> Floats:
    """`float64[rows, 4]`: left, top, width, height in pixels."""
    made = rows.select("left", "top", "width", "height").to_numpy().astype(np.float64)
    vertices = (
        rows.select("label_type", "polygons")
        .with_row_index("row")
        .filter(label_type=SHAPES[1])
        .explode("polygons")
        .explode("polygons")
    )
    x, y = (pl.col("polygons").list.get(axis) for axis in (0, 1))
    around = vertices.group_by("row").agg(
        left=x.min(), top=y.min(), width=x.max() - x.min(), height=y.max() - y.min()
    )
    made[around["row"].to_numpy()] = around.drop("row").to_numpy()
    return made
