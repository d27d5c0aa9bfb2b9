"""When each data file was named: from which entry on, and up to which.

The ledger says so, entry by entry. Garbage collection asks which files any of
the entries that are to stay names, and which entries a file's end would harm.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from lakehouse.contracts import LIVE_TABLES
from lakehouse.delta.actions import written_paths
from lakehouse.ledger import Entry, Ledger

__all__ = ["Lifetimes"]

_FOR_EVER: Final = 1 << 62

File = tuple[str, str]
"""Table, and the file's path in it."""


class Lifetimes:
    """The files of a collection's tables, and the entries that name them."""

    def __init__(self) -> None:
        self._span: dict[File, tuple[int, int]] = {}
        self._times: list[datetime] = []
        self._contents: list[int] = []

    def read_on(self, ledger: Ledger, head: int) -> None:
        """Read the entries up to `head` that were not read yet."""
        for version in range(len(self._times), head + 1):
            self._take(ledger.read(version))

    @property
    def places(self) -> dict[int, int]:
        """Every version, and the newest entry with its content: where it is read."""
        return {content: entry for entry, content in enumerate(self._contents)}

    def latest_since(self, time: datetime) -> set[int]:
        """The versions that were the latest one at that time or after it."""
        versions = sorted(set(self._contents))
        ended = (self._times[version] for version in versions[1:])
        old = {v for v, end in zip(versions, ended, strict=False) if end < time}
        return set(versions) - old

    def newest_since(self, time: datetime) -> set[int]:
        """The entries that were the newest one at that time or after it."""
        ended = enumerate(self._times[1:])
        return {entry for entry, end in ended if end >= time} | {len(self._times) - 1}

    def named(self, entries: Sequence[int]) -> set[File]:
        """The files that any of some entries names.

        Args:
            entries: Their numbers, ascending.
        """
        return {
            file
            for file, (first, end) in self._span.items()
            if (at := bisect_left(entries, first)) < len(entries) and entries[at] < end
        }

    def harmed(self, files: Iterable[File]) -> set[int]:
        """The versions whose rows go with files of live tables."""
        changes = np.zeros(len(self._times) + 1, dtype=np.int64)
        for file in files:
            if file in self._span and file[0] in LIVE_TABLES:
                first, end = self._span[file]
                changes[first] += 1
                changes[min(end, len(self._times))] -= 1
        depth = np.cumsum(changes)
        return {version for version, entry in self.places.items() if depth[entry]}

    def _take(self, entry: Entry) -> None:
        self._times.append(entry.time)
        self._contents.append(entry.content_version)
        for table, actions in entry.actions.items():
            came = set(written_paths(actions))
            there = {_path(action, "add") for action in actions}
            for path in {_path(action, "remove") for action in actions} - there:
                first, _ = self._span.get((table, path), (0, _FOR_EVER))
                self._span[table, path] = (first, entry.version)
            for path in came:
                self._span[table, path] = (entry.version, _FOR_EVER)


def _path(action: Mapping[str, Any], kind: str) -> str:
    """The path that an action of that kind names; of others, nothing's path."""
    return str(action[kind]["path"]) if kind in action else ""
