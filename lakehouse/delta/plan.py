"""The seam between changed rows and files: which files are written and removed.

Today every touched file is rewritten whole: its rows without the changed keys,
with the new images of keys it held, still sorted by key. New keys are appended
as files of their own. Nothing names a file until the ledger does.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from lakehouse.contracts import Contract
from lakehouse.delta.actions import Action, data_file_name, remove_action
from lakehouse.delta.stats import add_action
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.storage import Store, collect

__all__ = ["TARGET_ROWS", "plan_append", "plan_changes", "share_actions"]

TARGET_ROWS: Final = 131_072
"""Rows of a data file at the most: what one changed row rewrites."""


def plan_append(
    store: Store, table_path: str, rows: pl.DataFrame, contract: Contract
) -> list[Action]:
    """Write rows as new files, sorted and cut, and return the actions adding them."""
    ordered = sort_rows(rows, contract)
    return [
        _write(store, table_path, ordered.slice(start, TARGET_ROWS), contract)
        for start in range(0, ordered.height, TARGET_ROWS)
    ]


def share_actions(
    store: Store, source_path: str, table_path: str, adds: Sequence[Action]
) -> list[Action]:
    """Let another table have the same files, and return the actions adding them.

    The bytes are not written again: a hard link, or a copy inside the store.
    """
    for action in adds:
        name = action["add"]["path"]
        store.share(f"{source_path}/{name}", f"{table_path}/{name}")
    return [{"add": dict(action["add"])} for action in adds]


def plan_changes(
    store: Store,
    table_path: str,
    state: TableState,
    images: pl.DataFrame,
    deleted_keys: pl.DataFrame,
    *,
    contract: Contract,
    timestamp: datetime,
) -> list[Action]:
    """Write the files that make changed rows true, and return the actions.

    Args:
        store: Where the table lies.
        table_path: Its folder.
        state: The table that the changes are made on.
        images: New rows, at most one a key: of keys there are, or new ones.
        deleted_keys: Keys that go.
        contract: The table's contract.
        timestamp: When files are removed.
    """
    key = list(contract.key)
    changed = pl.concat([images.select(key), deleted_keys.select(key)])
    actions: list[Action] = []
    placed = changed.clear()
    for file, rows, held in _touched(store, table_path, state, changed, key):
        kept = rows.join(held, on=key, how="anti", maintain_order="left")
        new = images.join(held, on=key, how="semi")
        merged = pl.concat([new, kept], how="diagonal")
        actions.append(remove_action(file.action, timestamp=timestamp))
        if merged.height:
            actions += plan_append(store, table_path, merged, contract)
        placed = pl.concat([placed, held])
    fresh = images.join(placed, on=key, how="anti") if placed.height else images
    if fresh.height:
        actions += plan_append(store, table_path, fresh, contract)
    return actions


def sort_rows(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The rows in the table's order; as they are when they are in it already."""
    order = [name for name in contract.sort if name in rows.columns]
    first = rows.get_column(order[0])
    if rows.height < 2 or (len(order) == 1 and first.is_sorted()):  # noqa: PLR2004
        return rows
    return rows.sort(order, nulls_last=False)


def _touched(
    store: Store,
    table_path: str,
    state: TableState,
    changed: pl.DataFrame,
    key: list[str],
) -> Iterator[tuple[DataFile, pl.DataFrame, pl.DataFrame]]:
    """Files that hold changed keys, one at a time: the file, its rows, those keys."""
    for file in state.prune(changed.get_column(key[0])):
        path = f"{table_path}/{file.path}"
        keys = collect(store.scan([path], state.schema).select(key))
        held = changed.join(keys, on=key, how="semi")
        if held.height:
            yield file, collect(store.scan([path], state.schema)), held


def _write(
    store: Store, table_path: str, rows: pl.DataFrame, contract: Contract
) -> Action:
    name = data_file_name()
    size = store.write_table(f"{table_path}/{name}", rows)
    return add_action(name, size, rows, contract)
