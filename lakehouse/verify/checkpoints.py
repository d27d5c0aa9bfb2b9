"""Checkpoints of the tables' logs: they must say what the log says.

They only make opening a table cheap, but engines believe them.
"""

from collections.abc import Mapping

import polars as pl

from lakehouse.delta.table_state import CHECKPOINT_INTERVAL, TableState, load_checkpoint
from lakehouse.ledger.collection import Collection
from lakehouse.verify.report import Report


def check_checkpoints(
    collection: Collection,
    report: Report,
    version: int,
    states: Mapping[str, TableState],
) -> None:
    """Compare the checkpoints of a version, where there are any, with the tables."""
    if not version or version % CHECKPOINT_INTERVAL:
        return
    for table, state in states.items():
        folder = collection.table_path(table)
        file = f"{folder}/_delta_log/{version:020d}.checkpoint.parquet"
        # A checkpoint is best effort: none is no problem.
        if not collection.store.exists(file):
            continue
        difference = _difference(collection, folder, version, state)
        if difference:
            report.add(
                "checkpoint.wrong",
                f"The checkpoint {difference}.",
                "Delete it: the log says all that it should. Then write it anew: "
                "lakehouse.delta.log.write_checkpoint(store, table, version).",
                version=version,
                table=table,
                file=file,
            )


def _difference(
    collection: Collection, folder: str, version: int, state: TableState
) -> str:
    try:
        checkpoint = load_checkpoint(collection.store, folder, version)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001
        return f"cannot be read: {type(error).__name__}: {error}"
    if checkpoint is None:
        return "cannot be read"
    if checkpoint.metadata.get("schemaString") != state.metadata.get("schemaString"):
        return "has other columns than the log"
    # By content, not bytes: deltalake writes checkpoints, and other writers may order
    # files and columns otherwise.
    same = _files(checkpoint) == _files(state)
    return "" if same else "names other files than the log"


def _files(state: TableState) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        file.identity: (file.size, file.rows, file.dead_rows)
        for file in state.files.values()
    }
