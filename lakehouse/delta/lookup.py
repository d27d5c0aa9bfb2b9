"""Looking keys up in a table: what is there, and in which place of which file.

Statistics and the sorted keys cut the wanted keys to each file. A file is then
asked by its key index; a large file that few keys are wanted from, and that has
no index yet, is scanned, since that costs less than making one.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.key_index import (
    IndexCache,
    KeyIndex,
    Lanes,
    Places,
    key_lanes,
    search_file,
)
from lakehouse.delta.scan import PLACE
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.model.contracts import Contract
from lakehouse.model.operations import OLD_AT, OLD_HASH
from lakehouse.storage import Store, collect, collect_all

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
                return search_file(self._read(path), self._key, first, second)
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


_FILE_SHIFT: Final = 32
_THREADS: Final = 2

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A file, and the wanted keys that its bounds allow."""

    number: int
    file: DataFile
    start: int
    length: int


class Lookup:
    """Looks keys up in one table at one version.

    A row's location (`_old_at`) is its file's number in the state, times 2^32,
    plus its place in the file.
    """

    def __init__(
        self,
        store: Store,
        table_path: str,
        state: TableState,
        contract: Contract,
        cache: IndexCache,
    ) -> None:
        self._store = store
        self._path = table_path
        self._state = state
        self._key = list(contract.key)
        self._files = FileKeys(store, state.schema, self._key, cache)

    @property
    def is_empty(self) -> bool:
        """Whether the table has no file, so that no key is there."""
        return not self._state.files

    def keys(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Those of some keys that are there: key, `_old_hash`, `_old_at`.

        Args:
            wanted: The columns of the key; each key once.
        """
        if not self._state.files or not wanted.height:
            return self._nothing()
        wanted = _sorted(wanted[self._key], self._key[0])
        lanes = key_lanes(wanted, self._key)

        def find(asked: _Asked) -> pl.DataFrame | None:
            """What a file's keys say; None if it is to be scanned."""
            mine = slice(asked.start, asked.start + asked.length)
            told = self._files.find(
                self._path_of(asked), asked.file.rows, *(lane[mine] for lane in lanes)
            )
            if told is None:
                return None
            which, places, hashes = told
            alive = _living(asked.file, places)
            rows = wanted[which[alive] + asked.start]
            return _located(rows, hashes[alive], asked, places[alive])

        asked = list(self._asked(wanted.get_column(self._key[0])))
        told = _side_by_side(find, asked)
        found = [part for part in told if part is not None and part.height]
        rest = [one for one, part in zip(asked, told, strict=True) if part is None]
        found += self._scanned(rest, wanted, self._key)
        return pl.concat(found) if found else self._nothing()

    def frames(self, frame_ids: pl.Series) -> pl.DataFrame:
        """Every row of some frames: key, `_old_hash`, `_old_at`."""
        if not self._state.files or not len(frame_ids):
            return self._nothing()
        name = self._key[0]
        wanted = _sorted(frame_ids.alias(name).to_frame(), name)
        if len(self._key) == 1:
            return self.keys(wanted)
        lane = key_lanes(wanted, [name])[0]

        def may_hold(asked: _Asked) -> bool:
            index = self._files.index(
                self._path_of(asked), asked.file.rows, asked.length
            )
            mine = lane[asked.start : asked.start + asked.length]
            return index is None or len(index.of_frames(mine)[0]) > 0

        asked = list(self._asked(wanted.get_column(name)))
        held = _side_by_side(may_hold, asked)
        holding = [one for one, holds in zip(asked, held, strict=True) if holds]
        found = self._scanned(holding, wanted, [name])
        return pl.concat(found) if found else self._nothing()

    def rows(self, located: pl.DataFrame) -> pl.DataFrame:
        """The full rows of located keys.

        Args:
            located: As `keys` and `frames` return them.
        """
        if not located.height:
            return pl.DataFrame(schema=self._state.schema)
        files = list(self._state.files.values())
        lazy: list[pl.LazyFrame] = []
        first = pl.col(self._key[0])
        for number, places, mine in _grouped(located):
            ids = mine.get_column(self._key[0])
            rows = self._store.scan(
                [f"{self._path}/{files[number].path}"],
                self._state.schema,
                row_index=PLACE,
            )
            in_range = first.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
            lazy.append(
                rows.filter(in_range, pl.col(PLACE).is_in(places.implode())).drop(PLACE)
            )
        return pl.concat(collect_all(lazy))

    def _asked(self, wanted: pl.Series) -> Iterator[_Asked]:
        """The files that may hold some of the sorted keys, and which those are."""
        height = len(wanted)
        if not height:
            return
        least, most = wanted[0], wanted[-1]
        for number, file in enumerate(self._state.files.values()):
            low, high = file.min_key, file.max_key
            if low is None or high is None:
                yield _Asked(number, file, 0, height)
            elif low <= most and least <= high:
                start = wanted.search_sorted(low, side="left") if least < low else 0
                end = wanted.search_sorted(high, side="right")
                if end > start:
                    yield _Asked(number, file, start, end - start)

    def _path_of(self, asked: _Asked) -> str:
        return f"{self._path}/{asked.file.path}"

    def _scanned(
        self, asked: list[_Asked], wanted: pl.DataFrame, on: list[str]
    ) -> list[pl.DataFrame]:
        """What files say that are read instead of looked up."""
        columns = [*self._key, "row_hash", PLACE]
        lazy: list[pl.LazyFrame] = []
        for one in asked:
            ids = wanted.get_column(self._key[0]).slice(one.start, one.length)
            rows = self._store.scan(
                [self._path_of(one)], self._state.schema, row_index=PLACE
            )
            first = pl.col(self._key[0])
            in_range = first.is_between(pl.lit(ids[0]), pl.lit(ids[-1]))
            among = first.is_in(ids.unique().implode())
            lazy.append(rows.filter(in_range, among).select(columns))
        found: list[pl.DataFrame] = []
        read = collect_all(lazy) if lazy else list[pl.DataFrame]()
        for one, mine in zip(asked, read, strict=True):
            if len(on) > 1:
                mine = mine.join(wanted, on=on, how="semi")  # noqa: PLW2901
            places = mine.get_column(PLACE).to_numpy().astype(np.int64)
            alive = _living(one.file, places)
            mine = mine[alive]  # noqa: PLW2901
            hashes = mine.get_column("row_hash").to_numpy()
            found.append(_located(mine.select(self._key), hashes, one, places[alive]))
        return found

    def _nothing(self) -> pl.DataFrame:
        schema = dict.fromkeys(self._key, pl.String) | {
            OLD_HASH: pl.Int64,
            OLD_AT: pl.Int64,
        }
        return pl.DataFrame(schema=schema)


def _side_by_side(
    work: Callable[[_Asked], _Told], asked: Sequence[_Asked]
) -> list[_Told]:
    """What work on each file comes to, on several cores where there are several."""
    if len(asked) < 2:  # noqa: PLR2004 - nothing to do side by side
        return [work(one) for one in asked]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, asked))


def places_by_file(at: pl.Series) -> dict[int, npt.NDArray[np.uint32]]:
    """Locations as places, ascending, by the number of the file."""
    numbers = np.sort(at.to_numpy())
    files = numbers >> _FILE_SHIFT
    places = (numbers & ((1 << _FILE_SHIFT) - 1)).astype(np.uint32)
    edges = np.flatnonzero(np.diff(files)) + 1
    parts = np.split(places, edges)
    firsts = files[np.concatenate(([0], edges))] if len(files) else files
    return {int(number): part for number, part in zip(firsts, parts, strict=False)}


def file_number() -> pl.Expr:
    """The number of the file that a location is in."""
    return pl.col(OLD_AT) // (1 << _FILE_SHIFT)


def _grouped(
    located: pl.DataFrame,
) -> Iterator[tuple[int, pl.Series, pl.DataFrame]]:
    numbered = located.with_columns(
        _file=file_number(),
        _place=(pl.col(OLD_AT) % (1 << _FILE_SHIFT)).cast(pl.get_index_type()),
    )
    for (number,), rows in numbered.group_by("_file", maintain_order=True):
        yield int(str(number)), rows.get_column("_place"), rows


def _sorted(wanted: pl.DataFrame, first: str) -> pl.DataFrame:
    return wanted if wanted.get_column(first).is_sorted() else wanted.sort(first)


def _living(file: DataFile, places: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Which of some places of a file have rows that are not dead."""
    if not file.dead_rows or not len(places):
        return np.arange(len(places))
    dead = file.dead
    near = np.searchsorted(dead, places).clip(max=len(dead) - 1)
    return np.flatnonzero(dead[near] != places)


def _located(
    keys: pl.DataFrame,
    hashes: npt.NDArray[np.int64],
    asked: _Asked,
    places: npt.NDArray[Any],
) -> pl.DataFrame:
    at = places.astype(np.int64) + (asked.number << _FILE_SHIFT)
    return keys.with_columns(
        pl.Series(OLD_HASH, np.array(hashes)), pl.Series(OLD_AT, at)
    )
