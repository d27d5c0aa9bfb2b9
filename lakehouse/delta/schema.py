"""Schemas: a contract's columns as Delta's schema string, and back."""

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from polars._typing import PolarsDataType

from lakehouse.errors import FormatError
from lakehouse.model.contracts import Contract

ColumnMetadata = Mapping[str, Mapping[str, object]]
"""Column name to facts about it that are stored with the schema."""

_TO_DELTA: Final[dict[pl.DataType, str]] = {
    pl.String(): "string",
    pl.Int64(): "long",
    pl.Float64(): "double",
    pl.Float32(): "float",
    pl.Boolean(): "boolean",
    pl.Datetime("us", "UTC"): "timestamp",
}
_FROM_DELTA: Final = {name: dtype for dtype, name in _TO_DELTA.items()}


def schema_string(
    schema: Mapping[str, pl.DataType], contract: Contract, notes: ColumnMetadata
) -> str:
    """The schema as Delta stores it, with NOT NULL, comments and notes.

    Args:
        schema: Column to type, in order.
        contract: Whose comments and nullability.
        notes: Further facts, column by column.
    """
    fields: list[dict[str, Any]] = []
    for name, dtype in schema.items():
        column = contract.column(name)
        facts: dict[str, object] = {}
        # Metadata columns are in no contract, and have the facts stored with them alone.
        if column is not None:
            facts["comment"] = column.comment + (
                f" [{column.unit}]" if column.unit else ""
            )
        fields.append(
            {
                "name": name,
                "type": _delta_type(dtype),
                "nullable": column is None or column.nullable,
                "metadata": facts | dict(notes.get(name, {})),
            }
        )
    return json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False)


def parse_schema(text: str) -> tuple[pl.Schema, dict[str, dict[str, object]]]:
    """The columns of a Delta schema string, and the facts stored with each."""
    fields: list[dict[str, Any]] = json.loads(text)["fields"]
    schema = pl.Schema({field["name"]: _polars_type(field["type"]) for field in fields})
    return schema, {field["name"]: dict(field["metadata"]) for field in fields}


def _delta_type(dtype: pl.DataType) -> str | dict[str, Any]:
    if isinstance(dtype, pl.List):
        element = _delta_type(_instance(dtype.inner))
        return {"type": "array", "elementType": element, "containsNull": True}
    if isinstance(dtype, pl.Struct):
        fields = [
            {
                "name": field.name,
                "type": _delta_type(_instance(field.dtype)),
                "nullable": True,
                "metadata": {},
            }
            for field in dtype.fields
        ]
        return {"type": "struct", "fields": fields}
    if dtype not in _TO_DELTA:
        raise FormatError(
            f"No table may have a column of type {dtype}.", kind="schema.type"
        )
    return _TO_DELTA[dtype]


def _polars_type(delta: str | dict[str, Any]) -> pl.DataType:
    if isinstance(delta, str):
        if delta not in _FROM_DELTA:
            raise FormatError(
                f"A table has a column of type {delta!r}, which this release does not "
                "write. Upgrade the package.",
                kind="schema.type",
            )
        return _FROM_DELTA[delta]
    if delta["type"] == "array":
        return pl.List(_polars_type(delta["elementType"]))
    return pl.Struct(
        {field["name"]: _polars_type(field["type"]) for field in delta["fields"]}
    )


def _instance(dtype: PolarsDataType) -> pl.DataType:
    # Polars hands out inner types as classes where they have no parameters.
    return dtype if isinstance(dtype, pl.DataType) else dtype()
