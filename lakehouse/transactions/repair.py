"""Repair: what follows from the ledger is made again, and what is lost is named.

Only commits in the Delta logs are written, from the entries that they are copies
of. No entry, data file, row or fingerprint is changed.
"""

import re
from dataclasses import dataclass
from typing import Final

from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import entry_name
from lakehouse.model.contracts import COLLECTION_TABLES

_NUMBERED: Final = re.compile(r"(\d{20})\.json")


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did, and what it could not mend."""

    done: tuple[str, ...]
    """What was written again: one text each."""
    lost: tuple[str, ...]
    """What is missing and can only come from a backup: one text each."""


def repair(collection: Collection) -> Repair:
    """Publish every entry again that a log lacks, and find entries that are missing.

    Args:
        collection: Whose ledger and logs.

    Raises:
        FormatError: If an entry is damaged.
        StorageError: If the store failed.
    """
    entries = _numbers(collection, f"{collection.path}/ledger")
    logs = {
        table: _numbers(collection, f"{collection.table_path(table)}/_delta_log")
        for table in COLLECTION_TABLES
    }
    ledger = collection.twin().ledger
    done = [
        f"entry {version} was published again"
        for version in sorted(entries)
        if ledger.complete_logs(version, version)
    ]
    newest = max(entries.union(*logs.values()), default=-1)
    lost: list[str] = []
    for version in range(newest + 1):
        if version not in entries:
            holding = sum(version in numbers for numbers in logs.values())
            lost.append(
                f"entry {version} is missing: {holding} of {len(logs)} tables still "
                "have the files that it named in their logs. Restore "
                f"{collection.path}/ledger/{entry_name(version)} from a backup"
            )
    return Repair(tuple(done), tuple(lost))


def _numbers(collection: Collection, folder: str) -> set[int]:
    matches = (_NUMBERED.fullmatch(name) for name in collection.store.names(folder))
    return {int(match[1]) for match in matches if match}
