"""How a data file is asked for keys: by its index, by a search, or not at all.

an index at hand            answers
few keys of a large file    None: the caller scans; once asked often, an index
many keys, for a first time one search; the index is made after the answer
otherwise                   the index is made now
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.index_cache import IndexCache
from lakehouse.delta.key_index import KeyIndex, Lanes, Places
from lakehouse.delta.key_search import searched
from lakehouse.storage import Store, collect

__all__ = ["FileKeys"]

_FEW_KEYS: Final = 64
_SMALL_FILE_ROWS: Final = 16_384
_DENSE: Final = 8
"""Where one row in so many is wanted, a search looks at most rows closely."""

Found = tuple[Places, Places, npt.NDArray[np.int64]]


class FileKeys:
    """The keys of the data files of one table."""

    def __init__(
        self, store: Store, schema: pl.Schema, key: Sequence[str], cache: IndexCache
    ) -> None:
        self._store = store
        self._schema = schema
        self._key = key
        self._cache = cache

    def find(self, path: str, rows: int, first: Lanes, second: Lanes) -> Found | None:
        """Which of the wanted keys a file holds: which, their places, their hashes.

        Args:
            path: The file.
            rows: How many it has.
            first: The wanted keys' lanes, as `key_lanes` gives them.
            second: The same.

        Returns:
            None where it is cheaper to scan the file.
        """
        worth_a_search = (
            rows > _SMALL_FILE_ROWS and _FEW_KEYS < len(first) < rows / _DENSE
        )
        index = self._cache.get(path)
        if index is None and worth_a_search:
            made_later = partial(_made, self._store, path, self._schema, self._key)
            if self._cache.want(path, made_later):
                read = _read(self._store, path, self._schema, self._key)
                return searched(read, self._key, first, second)
        index = index or self.index(path, rows, len(first))
        if index is None:
            return None
        which, places = index.find(first, second)
        return which, places, index.row_hash[places]

    def index(self, path: str, rows: int, wanted: int) -> KeyIndex | None:
        """The file's index, made now if that pays for so many wanted keys."""
        index = self._cache.get(path)
        if index is not None:
            return index
        few = wanted <= _FEW_KEYS and rows > _SMALL_FILE_ROWS
        if few and not self._cache.is_asked_often(path):
            return None
        index = _made(self._store, path, self._schema, self._key)
        self._cache.put(path, index)
        return index


def _made(store: Store, path: str, schema: pl.Schema, key: Sequence[str]) -> KeyIndex:
    return KeyIndex.of(_read(store, path, schema, key), key)


def _read(
    store: Store, path: str, schema: pl.Schema, key: Sequence[str]
) -> pl.DataFrame:
    return collect(store.scan([path], schema).select(*key, "row_hash"))
