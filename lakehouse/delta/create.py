"""New tables, and new columns of tables: protocol and metaData actions.

Every table carries a writer feature of our own, `lakehouseLedger`: engines that
do not know it refuse to write, so only the ledger changes a table. Tables
whose rows are replaced also carry the deletion-vector reader feature, the only one that Polars,
deltalake, DuckDB and Spark all read.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from lakehouse.delta.log import Action
from lakehouse.delta.schema import ColumnMetadata, schema_string
from lakehouse.delta.table_state import CHECKPOINT_INTERVAL, TableState
from lakehouse.model.contracts import Contract

LEDGER_FEATURE: Final = "lakehouseLedger"
"""The private writer feature: only who knows the ledger may write."""

_WRITER_FEATURES: Final = ("appendOnly", "invariants", LEDGER_FEATURE)
# Of the tables' ids, which follow from their paths: two creators agree on them.
_NAMESPACE: Final = uuid.UUID("6f1d3f5e-5d0b-4c53-9a53-6c616b65686f")


def creation_actions(
    path: str,
    contract: Contract,
    *,
    extra_columns: Mapping[str, pl.DataType] | None = None,
    column_metadata: ColumnMetadata | None = None,
    has_vectors: bool = False,
) -> list[Action]:
    """The first commit of a table; it follows from the arguments alone.

    Args:
        path: The table's path in the lake; its id follows from it.
        contract: Its columns.
        extra_columns: Metadata columns it has from the first day.
        column_metadata: Facts stored with columns.
        has_vectors: Whether it has deletion vectors, though its rows are not replaced.
    """
    schema = contract.schema(extra_columns)
    metadata: dict[str, Any] = {
        "id": str(uuid.uuid5(_NAMESPACE, path)),
        "name": contract.name,
        "description": contract.comment,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema_string(schema, contract, column_metadata or {}),
        "partitionColumns": [],
        "configuration": _configuration(contract),
        # Not the clock: whoever creates the table again writes the same bytes.
        "createdTime": 0,
    }
    return [_protocol(contract, has_vectors=has_vectors), {"metaData": metadata}]


def _protocol(contract: Contract, *, has_vectors: bool) -> Action:
    if contract.is_live or contract.replaces_rows or has_vectors:
        return {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors", *_WRITER_FEATURES],
            }
        }
    return {
        "protocol": {
            "minReaderVersion": 1,
            "minWriterVersion": 7,
            "writerFeatures": list(_WRITER_FEATURES),
        }
    }


def _configuration(contract: Contract) -> dict[str, str]:
    settings = {
        "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
        # Old versions stay readable: nothing but this package may remove log or files.
        "delta.enableExpiredLogCleanup": "false",
        "delta.logRetentionDuration": "interval 36500 days",
        "delta.deletedFileRetentionDuration": "interval 1 hours",
        "delta.dataSkippingStatsColumns": ",".join(contract.key),
    }
    if contract.append_only:
        settings["delta.appendOnly"] = "true"
    return settings


def metadata_action(
    state: TableState,
    contract: Contract,
    new_columns: Mapping[str, pl.DataType],
    notes: ColumnMetadata,
) -> Action:
    """The table's metadata with more metadata columns, or more facts about columns.

    Args:
        state: The table as it is.
        contract: Its contract.
        new_columns: Nullable columns to add.
        notes: Facts to store with columns, over those stored already.
    """
    extras = contract.extras(state.schema) | dict(new_columns)
    facts = {
        name: dict(state.column_metadata.get(name, {})) | dict(notes.get(name, {}))
        for name in {*state.column_metadata, *notes}
    }
    text = schema_string(contract.schema(extras), contract, facts)
    return {"metaData": {**state.metadata, "schemaString": text}}
