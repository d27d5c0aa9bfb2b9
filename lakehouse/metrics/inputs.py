"""Rows in: the columns that evaluation needs, typed, checked, all faults at once.

Columns have the names and types of `tables/labels.toml` and `tables/frames.toml`;
inferences add `confidence`. What else the tables hold is left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import polars as pl

from lakehouse.errors import InvalidInputError, Problem
from lakehouse.metrics.arrays import Floats
from lakehouse.model.contracts import contract
from lakehouse.model.labels import BOX

Rows = pl.DataFrame | pl.LazyFrame
"""A table: as read, or still to be collected."""

KEY: Final = ("frame_id", "label_id")
UNIT: Final = ("frame_id", "coordinate_frame")
"""What rows of labels and inferences must share to meet: an image of a frame."""

IGNORE: Final = "user__ignore_in_eval"
"""Labels where this is true are neither asked for nor held against a model."""

_DEFAULT_SENSOR: Final = "DEFAULT"
_EXTRA: Final[dict[str, pl.DataType]] = {
    "confidence": pl.Float64(),
    IGNORE: pl.Boolean(),
}
_MOST_TOLD: Final = 100
_MOST_SHOWN: Final = 5


@dataclass(slots=True)
class Faults:
    """Collects what is wrong, to refuse it in one error."""

    problems: list[Problem] = field(default_factory=list[Problem])
    count: int = 0

    def add(self, path: str, rule: str, message: str, hint: str) -> None:
        """A fault of a whole table."""
        self.problems.append(Problem(None, None, path, rule, message, hint))
        self.count += 1

    def rows(
        self,
        table: str,
        bad: pl.DataFrame,
        path: str,
        *,
        rule: str,
        told: str,
        hint: str,
    ) -> None:
        """A fault of each of these rows; the first hundred are named.

        Args:
            table: `labels` or `inferences`.
            bad: The rows at fault, with their keys and the column of `path`.
            path: The column.
            rule: A dotted code.
            told: What the rule is, behind "is 7: ".
            hint: What to do.
        """
        self.count += bad.height
        for row in bad.head(_MOST_TOLD).iter_rows(named=True):
            where = f"{table}[{row['frame_id']!r}, {row['label_id']!r}].{path}"
            message = f"is {row[path]!r}: {told}"
            keys = (str(row["frame_id"]), str(row["label_id"]))
            self.problems.append(Problem(*keys, where, rule, message, hint))

    def refuse(self) -> None:
        """Raise what was collected.

        Raises:
            InvalidInputError: If anything was; `problems` holds all of it.
        """
        if not self.count:
            return
        shown = [str(problem) for problem in self.problems[:_MOST_SHOWN]]
        more = self.count - len(shown)
        raise InvalidInputError(
            " ".join([*shown, f"And {more} more." if more else ""]).strip(),
            kind="metrics.input",
            problems=self.problems,
        )


def tidy(
    rows: Rows,
    table: str,
    needed: Sequence[str],
    optional: Sequence[str],
    faults: Faults,
) -> pl.DataFrame:
    """The columns named, in the types of the contract; optional ones may be null.

    Args:
        rows: Rows of labels, inferences or frames.
        table: What they are called in errors.
        needed: Columns that must be there.
        optional: Columns that are null where they are not there.
        faults: Where columns that lack, or are of a wrong type, and rows that lack
            an id are told.
    """
    known = {**contract("frames" if table == "frames" else "labels").schema(), **_EXTRA}
    schema = rows.collect_schema()
    columns: list[pl.Expr] = []
    for name in (*needed, *optional):
        dtype = known[name]
        if name not in schema:
            columns.append(pl.lit(None, dtype).alias(name))
            if name in needed:
                told = f"{table} need a column {name}, and have {schema.names()}."
                faults.add(f"{table}.{name}", "column.missing", told, "Add it.")
        elif _fits(schema[name], dtype):
            columns.append(pl.col(name).cast(dtype))
        else:
            columns.append(pl.lit(None, dtype).alias(name))
            told = f"is {schema[name]}, not {dtype}."
            faults.add(f"{table}.{name}", "column.type", told, "Cast it.")
    # Not select(columns): nulls alone would be one row, whatever the table's height.
    tidied = rows.lazy().with_columns(columns).select(*needed, *optional).collect()
    _check_ids(tidied, table, faults)
    if "coordinate_frame" in tidied.columns:
        sensor = pl.col("coordinate_frame").fill_null(_DEFAULT_SENSOR)
        return tidied.with_columns(sensor)
    return tidied


def _check_ids(rows: pl.DataFrame, table: str, faults: Faults) -> None:
    """Every row has its ids, but for columns that are told already."""
    told = {problem.path for problem in faults.problems}
    for name in KEY:
        path = f"{table}.{name}"
        if name not in rows.columns or path in told:
            continue
        if missing := rows.get_column(name).null_count():
            message = f"{missing} rows of {table} have no {name}."
            faults.add(path, "id.missing", message, "Add the id.")


def _fits(found: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a cast loses nothing that matters."""
    if found in (wanted, pl.Null()):
        return True
    if wanted.is_numeric():
        return found.is_integer() or (found.is_float() and wanted.is_float())
    if wanted.is_nested() and found.is_nested():
        try:
            pl.Series(dtype=found).cast(wanted)
        except pl.exceptions.PolarsError:
            return False
        return True
    return wanted == pl.String() and isinstance(found, pl.Categorical | pl.Enum)


def check_keys(rows: pl.DataFrame, table: str, faults: Faults) -> None:
    """No two rows share both their ids."""
    twice = rows.filter(pl.struct(KEY).is_duplicated())
    told = "the row is there more than once."
    faults.rows(
        table,
        twice,
        "label_id",
        rule="id.duplicate",
        told=told,
        hint="Keep one of them.",
    )


def check_confidence(rows: pl.DataFrame, faults: Faults) -> None:
    """Every inference has a confidence from 0 to 1."""
    fine = pl.col("confidence").is_between(0, 1)
    bad = rows.filter(~fine.fill_null(value=False))
    told = "a confidence is a number from 0 to 1."
    faults.rows(
        "inferences",
        bad,
        "confidence",
        rule="confidence.range",
        told=told,
        hint="Set a confidence.",
    )


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
