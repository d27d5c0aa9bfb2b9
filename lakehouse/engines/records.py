"""The rows that tell of a merge: in `uploads`, `upload_errors` and `versions`."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

from lakehouse.contracts import contract
from lakehouse.engines.pending import Pending
from lakehouse.ledger import Entry
from lakehouse.merging.outcome import Outcome

__all__ = ["COUNTS", "error_rows", "shared", "totals", "upload_rows", "version_row"]

COUNTS: Final = ("created", "replaced", "modified", "deleted", "unchanged", "rejected")
"""What can become of a frame of an upload."""

_ALL_COUNTS: Final = (*COUNTS, *(f"label_{name}" for name in COUNTS))


def upload_rows(
    group: Sequence[Pending], outcome: Outcome, version: int, at: datetime
) -> pl.DataFrame:
    """One row an upload: how it ended, in which version, with which counts."""
    counted = {
        str(row["upload_id"]): row for row in outcome.counts.iter_rows(named=True)
    }
    shape = contract("uploads").schema()
    rows = [
        _upload_row(pending, counted.get(pending.manifest.upload_id, {}), version, at)
        for pending in group
    ]
    return pl.DataFrame(rows, schema=shape)


def _upload_row(
    pending: Pending, counts: dict[str, Any], version: int, at: datetime
) -> dict[str, Any]:
    manifest = pending.manifest
    return {
        "upload_id": manifest.upload_id,
        "status": "FAILED" if pending.damage else _status(counts),
        "version": version,
        "mode": manifest.mode,
        "kind": manifest.kind,
        "author": manifest.author,
        "message": manifest.message,
        "metadata": json.dumps(manifest.metadata) if manifest.metadata else None,
        "submitted_at": manifest.submitted_at,
        "settled_at": at,
        "frame_count": manifest.frame_count,
        "label_count": manifest.label_count,
        **{name: int(counts.get(name) or 0) for name in _ALL_COUNTS},
        "content_hash": manifest.content_hash,
        "retry_of": manifest.retry_of,
        "on_error": manifest.on_error,
        "based_on": manifest.based_on,
        "error": pending.damage,
    }


def _status(counts: dict[str, Any]) -> str:
    if not counts.get("rejected"):
        return "DONE"
    landed = any(counts.get(name) for name in COUNTS if name != "rejected")
    return "PARTIAL" if landed else "FAILED"


def error_rows(outcome: Outcome) -> pl.DataFrame:
    """The problems of a merge, errors and warnings, one a row."""
    return outcome.problems.select(contract("upload_errors").schema().names())


def totals(uploads: pl.DataFrame) -> dict[str, int]:
    """The counts of several uploads added up."""
    return {name: int(uploads.get_column(name).sum()) for name in _ALL_COUNTS}


def version_row(entry: Entry) -> pl.DataFrame:
    """The header of an entry as a row, for people and SQL."""
    row = {
        "version": entry.version,
        "kind": entry.kind,
        "time": entry.time,
        "author": entry.author,
        "message": entry.message,
        "uploads": list(entry.uploads),
        "commit_id": entry.commit_id,
        "content_version": entry.content_version,
        "fingerprint": json.dumps(dict(entry.fingerprint)),
        **{f"{table}_rows": count for table, count in entry.rows.items()},
        **entry.counts,
    }
    shape = contract("versions").schema()
    return pl.DataFrame([{name: row.get(name) for name in shape}], schema=shape)


def shared(values: Sequence[str | None]) -> str | None:
    """The value if all agree, else those there are, joined."""
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    return ", ".join(distinct) if distinct else None
