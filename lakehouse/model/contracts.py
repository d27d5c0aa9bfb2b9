"""Table contracts: `tables/*.toml`, the only place that names a table's columns.

A contract says which columns a table has, their types, units and comments, its
key and its sort order. Schemas, validation and documentation come from it.
Tables with an `open_prefix` also hold user metadata, as columns of that prefix.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import polars as pl

from lakehouse._paths import TABLES
from lakehouse.errors import FormatError, NotFoundError

LIVE_TABLES: Final = ("frames", "labels", "frame_embeddings", "label_embeddings")
"""The tables that hold the latest state, one row a key."""

APPEND_TABLES: Final = (
    *(f"{table}_changes" for table in LIVE_TABLES),
    "versions",
    "uploads",
    "upload_errors",
    "tags",
)
"""The tables of a collection that only grow."""

COLLECTION_TABLES: Final = (*LIVE_TABLES, *APPEND_TABLES)
"""Every table under a collection's ledger."""

Kind = Literal["dataset", "inference_set"]
"""What a collection is."""

Role = Literal["key", "value", "provenance"]

_SCALARS: Final[dict[str, pl.DataType]] = {
    "string": pl.String(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "float32": pl.Float32(),
    "bool": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    dtype: pl.DataType
    comment: str
    unit: str | None = None
    nullable: bool = True
    role: Role = "value"
    """`key` and `value` are the row's logical content, `provenance` is not."""


@dataclass(frozen=True)
class Contract:
    """What a table promises. Made by `contract()`."""

    name: str
    comment: str
    scope: Literal["lake", "project", "collection"]
    key: tuple[str, ...]
    sort: tuple[str, ...]
    columns: tuple[Column, ...]
    open_prefix: str | None = None
    """Columns of this prefix may come and are user metadata."""
    append_only: bool = False
    replaces_rows: bool = False
    """Rows are replaced one by one, though they have no hash."""

    @property
    def is_live(self) -> bool:
        """Whether it holds the latest state: rows are replaced, and have a hash."""
        return "row_hash" in self.provenance and not self.append_only

    @property
    def logical(self) -> tuple[str, ...]:
        """The names of the columns that are the row's content."""
        return tuple(known.name for known in self.columns if known.role != "provenance")

    @property
    def provenance(self) -> tuple[str, ...]:
        """The names of the columns that say where a row comes from."""
        return tuple(known.name for known in self.columns if known.role == "provenance")

    def schema(self, extra: Mapping[str, pl.DataType] | None = None) -> pl.Schema:
        """The columns and their types, metadata columns before provenance.

        >>> contract("frame_embeddings").schema().names()
        ['frame_id', 'embedding', 'upload_id', 'row_hash']
        """
        types = {known.name: known.dtype for known in self.columns}
        content = {name: types[name] for name in self.logical}
        provenance = {name: types[name] for name in self.provenance}
        return pl.Schema({**content, **(extra or {}), **provenance})

    def column(self, name: str) -> Column | None:
        """The column of that name; None for metadata columns."""
        return next((known for known in self.columns if known.name == name), None)

    def extras(self, schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
        """The metadata columns of a schema."""
        if self.open_prefix is None:
            return {}
        return {
            name: dtype
            for name, dtype in schema.items()
            if name.startswith(self.open_prefix)
        }

    def validate(self, rows: pl.DataFrame) -> None:
        """Refuse rows that the table must not hold.

        Raises:
            FormatError: If columns or types differ, or a column that is never
                null has nulls. All problems are named.
        """
        expected = self.schema(self.extras(rows.schema))
        problems = [f"has no {name}" for name in expected if name not in rows.schema]
        problems += [
            f"has {name} too many" for name in rows.schema if name not in expected
        ]
        problems += [
            f"has {name} as {rows.schema[name]}, not {dtype}"
            for name, dtype in expected.items()
            if name in rows.schema and rows.schema[name] != dtype
        ]
        problems += [
            f"has nulls in {known.name}"
            for known in self.columns
            if not known.nullable
            and known.name in rows.schema
            and rows.get_column(known.name).null_count()
        ]
        if problems:
            raise FormatError(
                f"Rows for table {self.name}: {'; '.join(problems)}.",
                kind="contract.broken",
            )

    def markdown(self) -> str:
        """The contract as a section of documentation."""
        lines = [f"## {self.name}", "", self.comment, ""]
        lines += [f"Key: {', '.join(self.key)}.", ""]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{known.name}` | {known.dtype} | {known.unit or ''} | {known.comment} |"
            for known in self.columns
        ]
        if self.open_prefix:
            lines.append(f"| `{self.open_prefix}…` | as first sent | | user metadata |")
        return "\n".join(lines) + "\n"


@cache
def contract(name: str) -> Contract:
    """The contract of a table.

    Raises:
        NotFoundError: If there is no such table.
    """
    path = TABLES / f"{name}.toml"
    if not path.is_file():
        raise NotFoundError(
            f"There is no table {name!r}. There are: {', '.join(contract_names())}.",
            kind="contract.unknown",
        )
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    base = contract(document["extends"]) if "extends" in document else None
    columns = {known.name: known for known in base.columns} if base else {}
    columns |= {
        column: _column(column, fields)
        for column, fields in document["columns"].items()
    }
    return Contract(
        name=document["name"],
        comment=document["comment"],
        scope=document["scope"],
        key=tuple(document.get("key", base.key if base else ())),
        sort=tuple(document.get("sort", base.sort if base else ())),
        columns=tuple(columns.values()),
        open_prefix=document.get("open_prefix", base.open_prefix if base else None),
        append_only=document.get("append_only", False),
        replaces_rows=document.get("replaces_rows", False),
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """What the tables of a kind of collection are called.

    Code names them by the parts they play, which are called as a dataset's
    tables are: an inference set's `labels` lie in its table `inferences`.

    >>> INFERENCE_SET.folder("labels_changes")
    'inferences_changes'
    """

    kind: Kind

    def folder(self, table: str) -> str:
        """The folder of a table."""
        if self.kind == "dataset":
            return table
        return table.replace("labels", "inferences").replace("label_", "inference_")

    def contract(self, table: str) -> Contract:
        """The contract of a table."""
        if self.kind == "dataset" or table not in _WITH_ROWS:
            return contract(table)
        if table.startswith("frames"):
            return contract(f"inference_{table}")
        return contract(self.folder(table))


_WITH_ROWS: Final = (*LIVE_TABLES, *(f"{table}_changes" for table in LIVE_TABLES))

DATASET: Final = Layout("dataset")
INFERENCE_SET: Final = Layout("inference_set")


def contract_names() -> list[str]:
    """The names of all tables, sorted."""
    return sorted(path.stem for path in TABLES.glob("*.toml"))


def _column(name: str, fields: dict[str, Any]) -> Column:
    return Column(
        name=name,
        dtype=parse_type(fields["type"]),
        comment=fields["comment"],
        unit=fields.get("unit"),
        nullable=fields.get("nullable", True),
        role=fields.get("role", "value"),
    )


def parse_type(text: str) -> pl.DataType:
    """The type that a contract writes as text.

    Raises:
        FormatError: If the text is not a type.

    >>> parse_type("list<struct<x:float64,name:string>>")
    List(Struct({'x': Float64, 'name': String}))
    """
    if text in _SCALARS:
        return _SCALARS[text]
    if inner := re.fullmatch(r"list<(.*)>", text):
        return pl.List(parse_type(inner[1]))
    if inner := re.fullmatch(r"struct<(.*)>", text):
        fields = [part.split(":", 1) for part in _split(inner[1])]
        return pl.Struct({name: parse_type(kind) for name, kind in fields})
    raise FormatError(
        f"{text!r} is not a type of a table contract.", kind="contract.type"
    )


def _split(text: str) -> list[str]:
    """The parts between commas that are in no inner brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
