"""CSV: `frames.csv` and `labels.csv`, and a `datapackage.json` with the types.

The description is a Data Package (<https://datapackage.org>). Lists are JSON in
their cells; an empty cell is null, and an empty text is `""`. Without a description
types are guessed from the cells.
"""

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.formats.content import Content, Form, Losses, Row, Source, Target, plain
from lakehouse.formats.files import Origin, read_json
from lakehouse.formats.parquet import tables_of, with_embeddings
from lakehouse.storage import collect
from lakehouse.types import FrameLike

FORM: Final = Form("CSV", vectors=True)

_DESCRIPTION: Final = "datapackage.json"
_SCALARS: Final = {"integer": pl.Int64(), "number": pl.Float64()}


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a folder with `frames.csv`, `labels.csv`, or both.

    Raises:
        InvalidInputError: If neither is there.
    """
    del origin, losses
    files = tables_of(path, "csv")
    described = path / _DESCRIPTION
    if not described.is_file():
        return Content(files[0] or [], files[1] or [])
    package: Any = read_json(described)
    # Named by path, as two resources of a package may have fields of the same name.
    types = {
        resource["path"]: {
            field["name"]: field["type"] for field in resource["schema"]["fields"]
        }
        for resource in package["resources"]
    }
    frames, labels = (
        [] if file is None else _read_table(file, types.get(file.name, {}))
        for file in files
    )
    return Content(frames, labels, tuple(package.get("classes", ())))


def _read_table(file: Path, types: dict[str, str]) -> FrameLike:
    """The rows of a file, each column of the type that it was written with."""
    # All as text first: a guess would turn the id "007" into a number.
    rows = pl.read_csv(file, infer_schema=False)
    rows = rows.with_columns(
        pl.col(name).cast(_SCALARS[kind])
        for name, kind in types.items()
        if kind in _SCALARS
    ).with_columns(
        # Polars writes true and false so; null == "true" stays null.
        pl.col(name) == "true"
        for name, kind in types.items()
        if kind == "boolean"
    )
    nested = [name for name, kind in types.items() if kind == "array"]
    if not nested:
        return rows
    # As dicts: the description says "array" and not of what, which the intake finds
    # out.
    parsed: list[Row] = rows.to_dicts()
    for row in parsed:
        for name in nested:
            row[name] = None if row[name] is None else json.loads(row[name])
    return parsed


def write(source: Source, target: Target) -> None:
    """Write both tables and their description."""
    tables = with_embeddings(source)
    resources: list[Row] = []
    for done, (name, lazy) in enumerate(tables.items()):
        rows = collect(lazy)
        fields = [{"name": column.name, "type": _kind(column.dtype)} for column in rows]
        path = f"{name}.csv"
        rows.select(_cells(column) for column in rows).write_csv(target.folder / path)
        schema = {"fields": fields}
        resources.append({"name": name, "path": path, "schema": schema})
        target.progress("tables", done + 1, len(tables))
    package = {"resources": resources, "classes": list(source.classes.ids)}
    text = json.dumps(package, ensure_ascii=False, indent=1)
    (target.folder / _DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_nested():
        return "array"
    if isinstance(dtype, pl.Datetime):
        return "datetime"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "integer"
    return "number" if dtype.is_float() else "string"


def _cells(column: pl.Series) -> pl.Series:
    """A column as cells hold it: lists as JSON, moments as ISO 8601."""
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.to_string("iso:strict")
    if not column.dtype.is_nested():
        return column
    texts = [
        None if value is None else json.dumps(plain(value), ensure_ascii=False)
        for value in column.to_list()
    ]
    return pl.Series(column.name, texts, dtype=pl.String)
