"""History: every change to a frame and its labels, read from the change log.

The change log holds the full row after each change, so a change is the difference
between one logged row and the one before it.
"""

import json
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from lakehouse.errors import NotFoundError
from lakehouse.ledger.change_log import upload_versions
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES, contract
from lakehouse.storage import collect, collect_all
from lakehouse.types import LiveTable

_TEXT: Final = pl.String()

HISTORY_SCHEMA: Final = pl.Schema(
    [
        ("version", pl.Int64()),
        ("time", pl.Datetime("us", "UTC")),
        ("author", _TEXT),
        ("message", _TEXT),
        ("upload_id", _TEXT),
        ("table", _TEXT),
        ("frame_id", _TEXT),
        ("label_id", _TEXT),
        ("op", _TEXT),
        (
            "changed",
            pl.List(pl.Struct({"field": _TEXT, "before": _TEXT, "after": _TEXT})),
        ),
    ]
)
"""The columns of a history; `before` and `after` are JSON, null for no value."""

_NOT_A_FIELD: Final = frozenset({"upload_id", "row_hash", "op"})


def frame_history(
    collection: Collection, frame_id: str, label_id: str | None = None
) -> pl.DataFrame:
    """Every change to a frame and its labels, oldest first.

    Raises:
        NotFoundError: If the frame, or the label, never was there.
    """
    head = collection.head().version
    # Labels are found by their frame, too: files are sorted by it.
    keys = pl.Series("frame_id", [frame_id], dtype=pl.String)
    lazy = [
        collection.scan(f"{table}_changes", head, keys=keys) for table in LIVE_TABLES
    ]
    logged = dict(zip(LIVE_TABLES, collect_all(lazy), strict=True))
    ids = pl.concat([rows.get_column("upload_id") for rows in logged.values()]).unique()
    uploads = {
        row["upload_id"]: row
        for row in collect(collection.scan("uploads", head, keys=ids)).iter_rows(
            named=True
        )
    }
    changes = [
        change
        for table, rows in logged.items()
        for change in _changes_of(table, rows, uploads)
        if label_id is None or change["label_id"] == label_id
    ]
    if not changes:
        what = f"Frame {frame_id!r}" if label_id is None else f"Label {label_id!r}"
        raise NotFoundError(
            f"{what} never was in this dataset. Ids are matched exactly.",
            kind="frame.unknown" if label_id is None else "label.unknown",
        )
    order = {table: place for place, table in enumerate(LIVE_TABLES)}
    changes.sort(
        key=lambda row: (row["version"], order[row["table"]], row["label_id"] or "")
    )
    return pl.DataFrame(changes, schema=HISTORY_SCHEMA)


def changes_after(
    collection: Collection, version: int, table: LiveTable
) -> pl.LazyFrame:
    """The change log of a table: the rows that later versions wrote, with `version`."""
    head = collection.head().version
    return (
        collection.scan(f"{table}_changes", head)
        .join(upload_versions(collection), on="upload_id", how="inner")
        .filter(pl.col("version") > version)
        .drop("row_hash")
    )


def _changes_of(
    table: str, rows: pl.DataFrame, uploads: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """The logged rows of one table as changes, each against the one before it."""
    key = contract(table).key
    fields = [
        name for name in rows.columns if name not in _NOT_A_FIELD and name not in key
    ]
    before: dict[tuple[Any, ...], dict[str, Any]] = {}
    changes: list[dict[str, Any]] = []
    # Rows come in the order of files and keys; a history follows the versions.
    by_version = sorted(
        rows.to_dicts(), key=lambda row: uploads[row["upload_id"]]["version"]
    )
    for row in by_version:
        upload = uploads[row["upload_id"]]
        row_key = tuple(row[name] for name in key)
        after = {} if row["op"] == "DELETE" else row
        changes.append(
            {
                "version": upload["version"],
                "time": upload["settled_at"],
                "author": upload["author"],
                "message": upload["message"],
                "upload_id": row["upload_id"],
                "table": table,
                "frame_id": row["frame_id"],
                "label_id": row.get("label_id"),
                # The rows that a clone began with count as added by its version 0.
                "op": row["op"] if upload["version"] else "ADD",
                "changed": _difference(before.get(row_key, {}), after, fields),
            }
        )
        before[row_key] = after
    return changes


def _difference(
    before: dict[str, Any], after: dict[str, Any], fields: list[str]
) -> list[dict[str, str | None]]:
    return [
        {"field": name, "before": _json(old), "after": _json(new)}
        for name in fields
        if (old := before.get(name)) != (new := after.get(name))
    ]


def _json(value: Any) -> str | None:  # noqa: ANN401 - a cell of any type
    return None if value is None else as_json(value)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


_encoder: Final = json.JSONEncoder(ensure_ascii=False, default=_plain)


def as_json(value: Any) -> str:  # noqa: ANN401 - a cell of any type
    """A value as JSON, as histories and diffs show it.

    >>> as_json("é"), as_json(date(2026, 1, 31))
    ('"é"', '"2026-01-31"')
    """
    return _encoder.encode(value)
