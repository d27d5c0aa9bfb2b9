"""Key indexes kept at hand: in memory, and large ones in a local folder.

Nothing depends on it: an index that is not there is made again from its data
file, and a cache that cannot be written is done without. The folder is
`$LAKEHOUSE_CACHE`, else `lakehouse` in the user's cache folder; what was used
least recently goes when it grows over its bound.
"""

import os
import secrets
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Final

from lakehouse.delta.key_index import KeyIndex

__all__ = ["IndexCache"]

MEMORY_BYTES: Final = 512 * 1024**2
"""How much of the indexes is kept in memory, at the most."""

FOLDER_BYTES: Final = 4 * 1024**3
"""How large the folder may grow."""

_SAVED_ROWS: Final = 200_000
_SCANS_BEFORE_INDEX: Final = 16


def _name(path: str) -> str:
    """A data file's own name: tables that share a file share its index."""
    return path.rsplit("/", 1)[-1]


def _folder() -> Path:
    named = os.environ.get("LAKEHOUSE_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "lakehouse"


class IndexCache:
    """The key indexes of data files, by the files' names, which are never used twice."""

    def __init__(self) -> None:
        self._at_hand: OrderedDict[str, KeyIndex] = OrderedDict()
        self._bytes = 0
        self._misses: dict[str, int] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> KeyIndex | None:
        """The index of a data file, if it is at hand."""
        name = _name(path)
        with self._lock:
            if name in self._at_hand:
                self._at_hand.move_to_end(name)
                return self._at_hand[name]
        found = self._load(name)
        if found is not None:
            self._keep(name, found)
        return found

    def put(self, path: str, index: KeyIndex) -> None:
        """Keep the index of a data file."""
        self._keep(_name(path), index)
        if len(index.second) >= _SAVED_ROWS:
            self._save(_name(path), index)

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

    def _load(self, name: str) -> KeyIndex | None:
        file = _folder() / f"{name}.keys"
        try:
            found = KeyIndex.load(file)
            os.utime(file)
        except (OSError, ValueError):
            return None
        return found

    def _save(self, name: str, index: KeyIndex) -> None:
        folder = _folder()
        temporary = folder / f".{name}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            index.save(temporary)
            temporary.replace(folder / f"{name}.keys")
            _trim(folder)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _trim(folder: Path) -> None:
    """Remove what was used least recently while the folder is over its bound."""
    files = [(file.stat(), file) for file in folder.glob("*.keys")]
    total = sum(told.st_size for told, _ in files)
    for told, file in sorted(files, key=lambda item: item[0].st_mtime):
        if total <= FOLDER_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= told.st_size
