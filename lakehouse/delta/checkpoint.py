"""Checkpoints of a table's log, by deltalake.

A checkpoint changes nothing: it only makes opening the table cheap.
"""

from lakehouse.storage import Store

__all__ = ["write_checkpoint"]


def write_checkpoint(store: Store, table_path: str, version: int) -> None:
    """Write the checkpoint of a published version."""
    from deltalake import DeltaTable  # noqa: PLC0415 - heavy, and only used here

    table = DeltaTable(
        store.uri(table_path),
        version=version,
        storage_options=dict(store.storage_options),
    )
    table.create_checkpoint()
