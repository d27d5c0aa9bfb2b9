"""The actions of Delta commits, and their bytes.

Field names and meaning: the Delta transaction log protocol, section "Actions".
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lakehouse.storage import Store

Action = dict[str, Any]
"""One action: `{"add": {…}}`, `{"remove": {…}}`, `{"metaData": {…}}` …"""

ENGINE: Final = "lakehouse"
"""Who wrote the commit."""

CHECKSUM: Final = "xxh3"
"""The tag of an add action that holds the XXH3-64 of the file's bytes."""

LEDGER_ENTRY: Final = "ledgerEntry"
"""The field of a commitInfo that holds the digest of the entry it follows from."""


def data_file_name() -> str:
    """A name for a data file that no other file has."""
    return f"part-{secrets.token_hex(16)}.parquet"


def milliseconds(time: datetime) -> int:
    """A moment as Delta writes it: milliseconds since 1970, UTC."""
    return int(time.timestamp() * 1000)


def commit_info(
    *,
    timestamp: datetime,
    operation: str,
    commit_id: str,
    ledger_entry: str | None = None,
) -> Action:
    """Who made the commit, when, by which attempt, and from which ledger entry.

    Args:
        timestamp: When it was decided.
        operation: What it does.
        commit_id: Unique for the attempt.
        ledger_entry: The digest of the entry; None for tables without a ledger.
    """
    info = {
        "timestamp": milliseconds(timestamp),
        "operation": operation,
        "operationParameters": {},
        "engineInfo": ENGINE,
        "txnId": commit_id,
    }
    if ledger_entry is not None:
        info[LEDGER_ENTRY] = ledger_entry
    return {"commitInfo": info}


def remove_action(
    added: Action, *, timestamp: datetime, data_change: bool = True
) -> Action:
    """The removal of a file, from the action that added it.

    Args:
        added: That action.
        timestamp: When it is removed.
        data_change: Whether its rows go; False where other files have them.
    """
    add: Mapping[str, Any] = added["add"]
    removal: dict[str, Any] = {
        "path": add["path"],
        "deletionTimestamp": milliseconds(timestamp),
        "dataChange": data_change,
        "extendedFileMetadata": True,
        "partitionValues": {},
        "size": add["size"],
    }
    if add.get("tags"):
        removal["tags"] = add["tags"]
    if add.get("deletionVector"):
        removal["deletionVector"] = add["deletionVector"]
    return {"remove": removal}


def commit_line(actions: Iterable[Action]) -> bytes:
    """A commit as it lies in the log: one action a line."""
    lines = (json.dumps(action, ensure_ascii=False) for action in actions)
    return ("\n".join(lines) + "\n").encode()


def read_commit(data: bytes) -> list[Action]:
    """The actions of a commit."""
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def committed_at(actions: Iterable[Action]) -> datetime:
    """When a commit of this package was made, UTC."""
    infos = (action["commitInfo"] for action in actions if "commitInfo" in action)
    return datetime.fromtimestamp(next(infos)["timestamp"] / 1000, UTC)


def written_paths(actions: Iterable[Action]) -> list[str]:
    """The files that a commit brings to a table, by their paths in it.

    A file removed and added again in one commit only gets another deletion vector.
    """
    known = list(actions)
    gone = {action["remove"]["path"] for action in known if "remove" in action}
    added = (action["add"]["path"] for action in known if "add" in action)
    return [path for path in added if path not in gone]


def write_checkpoint(store: Store, table_path: str, version: int) -> None:
    """Write the checkpoint of a published version."""
    from deltalake import DeltaTable  # noqa: PLC0415 - heavy, and only used here

    table = DeltaTable(
        store.uri(table_path),
        version=version,
        storage_options=dict(store.storage_options),
    )
    table.create_checkpoint()
