"""The lists of uploads: the settled ones, and those that still wait.

An upload waits (PENDING) until the ledger entry that settles it. A merge leaves no mark
on the uploads it works on, so a crashed merge leaves none to take back.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.settled import unsettled
from lakehouse.ledger.staging import Manifest
from lakehouse.model.contracts import contract
from lakehouse.storage import collect

Status = Literal["PENDING", "DONE", "PARTIAL", "FAILED"]
"""Waiting; landed completely, in part, or not at all."""

_LEADING_COLUMNS: Final = (
    "target", "upload_id", "mode", "status", "version", "submitted_at", "settled_at",
    "author", "message", "frame_count", "label_count", "accepted", "unchanged",
    "rejected",
)  # fmt: skip
_ACCEPTED: Final = ("created", "replaced", "modified", "deleted")


def uploads_table(
    collections: Iterable[tuple[Collection, str]],
    *,
    status: Status | None = None,
    mode: str | None = None,
) -> pl.DataFrame:
    """The uploads to some collections, newest first, one a row.

    Args:
        collections: Collections, each with its mode.
        status: Only those of this status.
        mode: Only those of this mode.

    Returns:
        `target` (`project/dataset[/inference_set]`) and the columns of the table
        `uploads`; `accepted` and `label_accepted` count what was created,
        replaced, modified or deleted.

    Raises:
        InvalidInputError: If there is no such status.
    """
    if status is not None and status not in get_args(Status):
        raise InvalidInputError(
            f"status is one of {', '.join(get_args(Status))}, not {status!r}.",
            kind="upload.status",
        )
    schema = contract("uploads").schema()
    parts = [
        _rows(collection, own_mode, schema) for collection, own_mode in collections
    ]
    # A project without uploads has the columns, too.
    none = pl.DataFrame(schema={"target": pl.String, **schema})
    rows = pl.concat([none, *parts]).with_columns(
        accepted=pl.sum_horizontal(_ACCEPTED),
        label_accepted=pl.sum_horizontal(f"label_{name}" for name in _ACCEPTED),
    )
    for name, value in (("status", status), ("mode", mode)):
        rows = rows if value is None else rows.filter(pl.col(name) == value)
    newest = rows.sort("submitted_at", "upload_id", descending=True)
    return newest.select(*_LEADING_COLUMNS, pl.exclude(_LEADING_COLUMNS))


def _rows(collection: Collection, mode: str, schema: pl.Schema) -> pl.DataFrame:
    version = collection.head().version
    while True:
        waiting, missed = _waiting(collection, version)
        now = collection.head().version
        if now == version or not missed:
            break
        version = now  # some were settled and swept between the two reads
    settled = collect(collection.scan("uploads", version)).select(schema.names())
    full = [
        {name: (row | {"mode": mode}).get(name) for name in schema} for row in waiting
    ]
    rows = pl.concat([settled, pl.DataFrame(full, schema=schema)])
    return rows.select(pl.lit(collection.target).alias("target"), pl.all())


def _waiting(collection: Collection, version: int) -> tuple[list[dict[str, Any]], bool]:
    """The uploads not settled at a version; and whether one has no manifest."""
    rows: list[dict[str, Any]] = []
    missed = False
    for upload_id in unsettled(collection, version):
        try:
            rows.append(_pending_row(collection.staging.manifest(upload_id)))
        except NotFoundError:  # never acknowledged, or settled just now
            missed = True
    return rows, missed


def _pending_row(manifest: Manifest) -> dict[str, Any]:
    return {
        "upload_id": manifest.upload_id,
        "status": "PENDING",
        "kind": manifest.kind,
        "author": manifest.author,
        "message": manifest.message,
        "submitted_at": manifest.submitted_at,
        "frame_count": manifest.frame_count,
        "label_count": manifest.label_count,
        "content_hash": manifest.content_hash,
        "retry_of": manifest.retry_of,
        "on_error": manifest.on_error,
        "based_on": manifest.based_on,
    }
