"""How a data file is asked for keys: by its index, by a search, or not at all.

an index at hand             answers
few keys of a large file     None: the caller scans; once asked often, an index
many keys, for a first time  one search; the index is made after the answer
otherwise                    the index is made now
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
            if self._cache.want(path, partial(self._made, path)):
                return searched(self._read(path), self._key, first, second)
            index = self._made_now(path)
        elif index is None:
            index = self._made_if_it_pays(path, rows, len(first))
        if index is None:
            return None
        which, places = index.find(first, second)
        return which, places, index.row_hash[places]

    def index(self, path: str, rows: int, wanted: int) -> KeyIndex | None:
        """The file's index, made now if that pays for so many wanted keys."""
        index = self._cache.get(path)
        return index or self._made_if_it_pays(path, rows, wanted)

    def _made_if_it_pays(self, path: str, rows: int, wanted: int) -> KeyIndex | None:
        few = wanted <= _FEW_KEYS and rows > _SMALL_FILE_ROWS
        if few and not self._cache.is_asked_often(path):
            return None
        return self._made_now(path)

    def _made_now(self, path: str) -> KeyIndex:
        index = self._made(path)
        self._cache.put(path, index)
        return index

    def _made(self, path: str) -> KeyIndex:
        return KeyIndex.of(self._read(path), self._key)

    def _read(self, path: str) -> pl.DataFrame:
        rows = self._store.scan([path], self._schema)
        return collect(rows.select(*self._key, "row_hash"))
