"""The list of uploads: the settled ones, and those that still wait."""

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import contract
from lakehouse.engines.pending import unsettled
from lakehouse.errors import NotFoundError
from lakehouse.storage import collect

__all__ = ["uploads_table"]


def uploads_table(
    collection: Collection | None, dataset: str, mode: str
) -> pl.DataFrame:
    """One row an upload, with the dataset it went to; no order is promised."""
    schema = contract("uploads").schema()
    parts = [pl.DataFrame(schema=schema)]
    if collection is not None:
        version = collection.head().version
        parts.append(collect(collection.scan("uploads", version)))
        parts.append(_waiting(collection, version, mode, schema))
    rows = pl.concat(parts, how="diagonal").select(schema.names())
    return rows.select(pl.lit(dataset).alias("dataset"), pl.all())


def _waiting(
    collection: Collection, version: int, mode: str, schema: pl.Schema
) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    for upload_id in unsettled(collection, version):
        try:
            manifest = collection.staging.manifest(upload_id)
        except NotFoundError:
            continue
        rows.append(
            {
                "upload_id": upload_id,
                "status": "PENDING",
                "mode": mode,
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
        )
    full = [{name: row.get(name) for name in schema} for row in rows]
    return pl.DataFrame(full, schema=schema)
