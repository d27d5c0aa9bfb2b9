"""Rows as JSON has them, and what of a row a format's own fields do not tell.

Formats with room for it carry the rest of a row beside their own fields, in a
member called `lakehouse` that other tools skip: `beside` finds it, by reading back
what was written; `completed` puts it in again.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from lakehouse.formats.losses import Losses
from lakehouse.model.metadata import PREFIX

__all__ = [
    "BESIDE",
    "Row",
    "beside",
    "completed",
    "dumped",
    "metadata_of",
    "plain",
    "user_fields",
]

Row = dict[str, Any]
"""A frame or label: column to value, without nulls."""

BESIDE: Final = "lakehouse"
"""The member that holds what a format has no field for."""

_ODD: Final = re.compile(r"[^A-Za-z0-9_]")


def plain(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    """A value as JSON has it: moments as ISO 8601 text, no fields that are null.

    >>> plain({"a": None, "b": [1, {"c": None}]})
    {'b': [1, {}]}
    """
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def beside(row: Row, back: Row) -> Row:
    """The fields of a row that differ from what would be read back; null for none."""
    names = dict.fromkeys((*row, *back))
    return {name: row.get(name) for name in names if _differ(row, back, name)}


def _differ(row: Row, back: Row, name: str) -> bool:
    """Whether values differ; `True` is not 1."""
    mine, theirs = row.get(name), back.get(name)
    return mine != theirs or type(mine) is not type(theirs)


def completed(back: Row, extra: Mapping[str, Any] | None) -> Row:
    """A row as it was, from what a format told and what was kept beside."""
    row = back | dict(extra or {})
    return {name: value for name, value in row.items() if value is not None}


def dumped(value: object) -> str:
    """A value as JSON text on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def user_fields(row: Row) -> Row:
    """The metadata of a row, under its own names."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in row.items()
        if name.startswith(PREFIX)
    }


def metadata_of(fields: Mapping[str, Any], table: str, losses: Losses) -> Row:
    """Fields of another tool as metadata; what metadata cannot be is a loss.

    Args:
        fields: Name to value.
        table: Whose they are: frames or labels.
        losses: Where the others are told.
    """
    row: Row = {}
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(x, list | dict) for x in value)
        ):
            losses.add(table, name, 1, "Metadata are text, numbers, or lists of them.")
            continue
        row[PREFIX + _ODD.sub("_", name)] = value
    return row
