"""Key indexes kept at hand: in memory, and large ones in a local folder.

Nothing depends on it: an index that is not there is made again from its data
file. The folder is `lakehouse.local_cache`'s.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from lakehouse.delta.key_index import KeyIndex
from lakehouse.local_cache import cached, keep

__all__ = ["IndexCache"]

MEMORY_BYTES: Final = 512 * 1024**2
"""How much of the indexes is kept in memory, at the most."""

_SAVED_ROWS: Final = 200_000
_SCANS_BEFORE_INDEX: Final = 16


def _name(path: str) -> str:
    """A data file's own name: tables that share a file share its index."""
    return path.rsplit("/", 1)[-1]


class IndexCache:
    """The key indexes of data files, by the files' names, which are never used twice."""

    def __init__(self) -> None:
        self._at_hand: OrderedDict[str, KeyIndex] = OrderedDict()
        self._bytes = 0
        self._misses: dict[str, int] = {}
        self._wanted: dict[str, Callable[[], KeyIndex]] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> KeyIndex | None:
        """The index of a data file, if it is at hand."""
        name = _name(path)
        with self._lock:
            if name in self._at_hand:
                self._at_hand.move_to_end(name)
                return self._at_hand[name]
        found = cached(f"{name}.keys", KeyIndex.load)
        if found is not None:
            self._keep(name, found)
        return found

    def put(self, path: str, index: KeyIndex) -> None:
        """Keep the index of a data file."""
        self._keep(_name(path), index)
        if len(index.second) >= _SAVED_ROWS:
            keep(f"{_name(path)}.keys", index.save)

    def want(self, path: str, make: Callable[[], KeyIndex]) -> bool:
        """Ask for an index to be made later, by `make_wanted`.

        Returns:
            False if it was asked for before: whoever asks again makes it now.
        """
        with self._lock:
            if self._wanted.pop(path, None) is not None:
                return False
            self._wanted[path] = make
            return True

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to make."""
        return bool(self._wanted)

    def make_wanted(self) -> None:
        """Make what was asked for; what `make` raises ends it, the rest stays."""
        while True:
            with self._lock:
                if not self._wanted:
                    return
                path, make = self._wanted.popitem()
            if self.get(path) is None:
                self.put(path, make())

    def is_asked_often(self, path: str) -> bool:
        """Count that a file without an index is asked; whether it pays to make one."""
        self._misses[path] = self._misses.get(path, 0) + 1
        return self._misses[path] > _SCANS_BEFORE_INDEX

    def _keep(self, name: str, index: KeyIndex) -> None:
        with self._lock:
            if name in self._at_hand:
                return
            self._at_hand[name] = index
            self._bytes += index.size
            while self._bytes > MEMORY_BYTES and len(self._at_hand) > 1:
                _, old = self._at_hand.popitem(last=False)
                self._bytes -= old.size
