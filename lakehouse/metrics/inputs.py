"""Rows in: the columns that evaluation needs, typed and checked.

Columns have the names and types of `tables/labels.toml` and `tables/frames.toml`;
inferences add `confidence`. Other columns are not read. Every check adds to one
`Problems`, so that one error names all that is wrong.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Floats
from lakehouse.model.contracts import contract
from lakehouse.model.labels import BOX
from lakehouse.model.problems import Problems

Rows = pl.DataFrame | pl.LazyFrame
"""A table: as read, or still to be collected."""

Geometry = Literal["box", "polygon"]
"""What overlap is measured on."""

KEY: Final = ("frame_id", "label_id")

UNIT: Final = ("frame_id", "coordinate_frame")
"""Labels and inferences can match if they share these: an image of a frame."""

IGNORE: Final = "user__ignore_in_eval"
"""Where this column is true, a label is neither missed nor counted."""

SHAPES: Final = ("BBOX_2D", "POLYGON_LIST_2D")
"""The types of labels that detection compares."""

_DEFAULT_SENSOR: Final = "DEFAULT"

_COLUMNS_OF_EVALUATION: Final[dict[str, pl.DataType]] = {
    "confidence": pl.Float64(),
    IGNORE: pl.Boolean(),
}

_LISTED_ROWS: Final = 100  # of each check; the others are counted: a wrong export
# of a million rows should not become a million objects

_VERTICES_OF_A_POLYGON: Final = 3


def read_columns(
    rows: Rows,
    table: str,
    needed: Sequence[str],
    optional: Sequence[str],
    problems: Problems,
) -> pl.DataFrame:
    """The columns named, in the types of the contract.

    Args:
        rows: Rows of labels, inferences or frames.
        table: What they are called in errors.
        needed: Columns that must be there.
        optional: Columns that are null where they are not there.
        problems: Gets columns that are missing or of a wrong type, and ids that are
            missing.
    """
    known = {
        **contract("frames" if table == "frames" else "labels").schema(),
        **_COLUMNS_OF_EVALUATION,
    }
    schema = rows.collect_schema()
    columns: list[pl.Expr] = []
    unreadable: set[str] = set()
    for name in (*needed, *optional):
        dtype = known[name]
        if name in schema and _can_cast(schema[name], dtype):
            columns.append(pl.col(name).cast(dtype))
            continue
        columns.append(pl.lit(None, dtype).alias(name))
        if name in schema:
            unreadable.add(name)
            problems.add(
                f"{table}.{name}",
                rule="column.type",
                message=f"is {schema[name]}, not {dtype}.",
                hint="Cast it.",
            )
        elif name in needed:
            unreadable.add(name)
            problems.add(
                f"{table}.{name}",
                rule="column.missing",
                message=f"{table} need a column {name}, and have {schema.names()}.",
                hint="Add it.",
            )
    # Not select(columns): nulls alone would be one row, whatever the table's height.
    typed = rows.lazy().with_columns(columns).select(*needed, *optional).collect()
    for name in KEY:
        if name not in typed.columns or name in unreadable:
            continue
        if missing := typed.get_column(name).null_count():
            problems.add(
                f"{table}.{name}",
                rule="id.missing",
                message=f"{missing} rows of {table} have no {name}.",
                hint="Add the id.",
            )
    if "coordinate_frame" in typed.columns:
        sensor = pl.col("coordinate_frame").fill_null(_DEFAULT_SENSOR)
        return typed.with_columns(sensor)
    return typed


def _can_cast(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a cast loses nothing that matters."""
    if dtype in (wanted, pl.Null()):
        return True
    if wanted.is_numeric():
        return dtype.is_integer() or (dtype.is_float() and wanted.is_float())
    if wanted.is_nested() and dtype.is_nested():
        try:
            # Polars has no question for it: a cast of no rows costs nothing and
            # answers.
            pl.Series(dtype=dtype).cast(wanted)
        except pl.exceptions.PolarsError:
            return False
        return True
    return wanted == pl.String() and isinstance(dtype, pl.Categorical | pl.Enum)


# ---------------------------------- CHECKS ---------------------------------- #


def add_row_problems(
    problems: Problems,
    table: str,
    bad: pl.DataFrame,
    column: str,
    *,
    rule: str,
    requirement: str,
    hint: str,
) -> None:
    """A problem for each of these rows; the first hundred are named.

    Args:
        problems: Gets them.
        table: `labels` or `inferences`.
        bad: The bad rows, with their keys and the column.
        column: The column with the bad value.
        rule: The code of the rule.
        requirement: What the rule is; it follows "is 7: ".
        hint: What to do.
    """
    if not bad.height:
        return
    # Values are written as Python writes them, which Polars has no expression for; so
    # texts are made for the rows that are listed alone.
    listed = bad.head(_LISTED_ROWS)
    keys = listed.select(KEY).iter_rows()
    paths = [f"{table}[{frame!r}, {label!r}].{column}" for frame, label in keys]
    messages = [f"is {value!r}: {requirement}" for value in listed[column]]
    not_listed = bad.height - listed.height
    problems.add_rows(
        bad.select(
            KEY,
            _path=pl.Series(paths).extend_constant(None, not_listed),
            _message=pl.Series(messages).extend_constant(None, not_listed),
        ),
        rule=rule,
        message=pl.col("_message"),
        hint=hint,
        path=pl.col("_path"),
        limit=_LISTED_ROWS,
    )


def check_keys(rows: pl.DataFrame, table: str, problems: Problems) -> None:
    """No two rows share both their ids."""
    add_row_problems(
        problems,
        table,
        rows.filter(pl.struct(KEY).is_duplicated()),
        "label_id",
        rule="id.duplicate",
        requirement="the row is there more than once.",
        hint="Keep one of them.",
    )


def check_confidence(rows: pl.DataFrame, problems: Problems) -> None:
    """Every inference has a confidence from 0 to 1."""
    valid = pl.col("confidence").is_between(0, 1)
    add_row_problems(
        problems,
        "inferences",
        rows.filter(~valid.fill_null(value=False)),
        "confidence",
        rule="confidence.range",
        requirement="a confidence is a number from 0 to 1.",
        hint="Set a confidence.",
    )


def check_shapes(rows: pl.DataFrame, table: str, problems: Problems) -> None:
    """Boxes have finite edges and sides of 0 or more; polygons have three vertices."""
    with_box, with_polygons = (rows.filter(label_type=name) for name in SHAPES)
    for name in BOX:
        valid = pl.col(name).is_finite()
        if name in {"width", "height"}:
            valid &= pl.col(name) >= 0
        add_row_problems(
            problems,
            table,
            with_box.filter(~valid.fill_null(value=False)),
            name,
            rule="box.invalid",
            requirement="a box has finite edges, and sides of 0 or more.",
            hint="Correct it.",
        )
    fewest_vertices = pl.element().list.len().min()
    all_finite = pl.element().explode().explode().is_finite().all()
    polygons = pl.col("polygons").list
    valid = (
        polygons.eval(fewest_vertices).list.first() >= _VERTICES_OF_A_POLYGON
    ) & polygons.eval(all_finite).list.first()
    add_row_problems(
        problems,
        table,
        with_polygons.filter(~valid.fill_null(value=False)),
        "polygons",
        rule="polygon.invalid",
        requirement="a polygon list has polygons, of three finite vertices or more each.",
        hint="Correct it.",
    )


# ---------------------------------- SHAPES ---------------------------------- #


def with_shapes(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are boxes or polygon lists.

    A row without a type is a polygon list if it has polygons, else a box.
    """
    inferred = (
        pl.when(pl.col("polygons").is_not_null())
        .then(pl.lit(SHAPES[1]))
        .otherwise(pl.lit(SHAPES[0]))
    )
    typed = rows.with_columns(pl.col("label_type").fill_null(inferred))
    return typed.filter(pl.col("label_type").is_in(SHAPES))


def boxes(rows: pl.DataFrame) -> Floats:
    """`float64[rows, 4]`: left, top, width, height in pixels.

    The box of a polygon list is the one around its vertices.
    """
    array = rows.select("left", "top", "width", "height").to_numpy().astype(np.float64)
    vertices = (
        rows.select("label_type", "polygons")
        .with_row_index("row")
        .filter(label_type=SHAPES[1])
        .explode("polygons")
        .explode("polygons")
    )
    # Two explodes later a row is one vertex: [x, y].
    x, y = (pl.col("polygons").list.get(axis) for axis in (0, 1))
    around = vertices.group_by("row").agg(
        left=x.min(), top=y.min(), width=x.max() - x.min(), height=y.max() - y.min()
    )
    array[around["row"].to_numpy()] = around.drop("row").to_numpy()
    return array
