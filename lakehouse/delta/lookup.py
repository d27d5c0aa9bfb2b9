"""Looking keys up in a table: which are there, and in which row of which file.

    the wanted keys, sorted by frame id
      → for each data file, the slice of them that its bounds allow
      → asked of the file, in the cheapest of four ways (`FileKeys.find`)
      → without the rows that the file's deletion vector names: they are dead
      → key, `_old_hash` and `_old_at` of each key that is there

A *place* is a row's number in its file, from 0. A row's *location* (`_old_at`) is
the number of its file in the state, times 2^32, plus its place. `_old_hash` is the
row's `row_hash`: a hash of its content. *Hashes* of keys are something else, those of
`key_index`: `of_frame` has 64 bits of each frame id, and `of_key` 64 of each whole
key, `uint64[keys]` both.
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
    Hashes,
    IndexCache,
    KeyIndex,
    Matches,
    Places,
    key_hashes,
    search_file,
)
from lakehouse.delta.scan import PLACE
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.errors import FormatError, StorageError
from lakehouse.model.contracts import Contract
from lakehouse.model.operations import OLD_AT, OLD_HASH
from lakehouse.storage import Store, collect, collect_all

# Up to so many keys of a large file are scanned for: Parquet's own statistics then
# leave few row groups to read, and an index would cost a read of all of them.
_SCAN_KEYS: Final = 64
# Smaller files are indexed whatever is wanted of them. Ten million rows take a third
# of a second, so these about half a millisecond: less than a scan takes to plan.
_SMALL_FILE_ROWS: Final = 16_384
# Where one row in eight or more is wanted, a search would let most rows through its
# first test and index those anyway, so the index of the whole file is made at once.
_DENSE: Final = 8
_FILE_SHIFT: Final = 32  # bits of a location that are the place: files have < 2^32 rows
# Polars and NumPy read and hash outside of the interpreter's lock, so that threads
# overlap; but each holds the keys of one whole file in memory, so they are few.
_THREADS: Final = 2

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A data file, and the wanted keys that it may hold by its bounds."""

    number: int
    """Of the file, in the order of the state's files."""
    file: DataFile
    start: int
    """The first of those keys, among all wanted ones, which are sorted."""
    stop: int
    """One past the last of them."""


class Lookup:
    """Looks keys up in one table at one version.

    Args:
        store: Where the table lies.
        table_path: Its folder.
        state: Its files at the version.
        contract: Its contract; the frame id is the first column of the key.
        cache: The key indexes that there are, and takes those made here.
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
            return self._empty()
        wanted = _sorted(wanted[self._key], self._key[0])
        # Hashed once for all files: each takes its slice of the arrays.
        of_frame, of_key = key_hashes(wanted, self._key)

        def find(candidate: _Candidate) -> tuple[pl.DataFrame, Places] | None:
            """The keys that the file has, and which; None if it is to be scanned."""
            part = slice(candidate.start, candidate.stop)
            matches = self._files.find(
                self._path_of(candidate),
                candidate.file.rows,
                of_frame[part],
                of_key[part],
            )
            if matches is None:
                return None
            live = _live(candidate.file, matches.places)
            # A match counts from the start of its slice, `wanted` from the first key.
            which = matches.wanted[live] + candidate.start
            places, hashes = matches.places[live], matches.row_hashes[live]
            return _located(wanted[which], hashes, candidate, places), which

        candidates = list(self._candidates(wanted.get_column(self._key[0])))
        located = _in_parallel(find, candidates)
        parts = [part[0] for part in located if part is not None and part[0].height]
        unanswered = [
            candidate
            for candidate, part in zip(candidates, located, strict=True)
            if part is None
        ]
        # All scans together: Polars reads their files side by side.
        parts += self._scan(unanswered, wanted, self._key)
        keys = pl.concat(parts) if parts else self._empty()
        self._require_once(keys, [part[1] for part in located if part is not None])
        return keys

    def _require_once(self, keys: pl.DataFrame, which: Sequence[Places]) -> None:
        """Refuse to go on with a table that has a key in two live rows.

        A merge would join both with what was sent, and so double it once more.

        Args:
            keys: Located ones.
            which: Numbers of those that indexes located, which are quicker compared.

        Raises:
            FormatError: If there is one.
        """
        if keys.height < 2:  # noqa: PLR2004 - one is there once
            return
        if sum(len(part) for part in which) == keys.height:
            if np.bincount(np.concatenate(which)).max() < 2:  # noqa: PLR2004 - as above
                return
        elif not keys[self._key].is_duplicated().any():
            return
        doubled = keys.filter(keys[self._key].is_duplicated())
        raise FormatError(
            f"{self._path} has {doubled.row(0)[: len(self._key)]} in two rows, which no "
            "merge can go on from. 'lakehouse run verify' names every such key; restore "
            "the newest version without them.",
            kind="table.key_doubled",
        )

    def frames(self, frame_ids: pl.Series) -> pl.DataFrame:
        """Every row of some frames: key, `_old_hash`, `_old_at`."""
        if not self._state.files or not len(frame_ids):
            return self._empty()
        frame_id = self._key[0]
        wanted = _sorted(frame_ids.alias(frame_id).to_frame(), frame_id)
        if len(self._key) == 1:
            return self.keys(wanted)
        of_frame, _ = key_hashes(wanted, [frame_id])

        def may_hold(candidate: _Candidate) -> bool:
            path, rows = self._path_of(candidate), candidate.file.rows
            count = candidate.stop - candidate.start
            index = self._files.index(path, rows, count)
            part = of_frame[candidate.start : candidate.stop]
            if index is None:
                return True  # not known without a read, so it is read
            rows_of_wanted, _ = index.of_frames(part)
            return len(rows_of_wanted) > 0

        candidates = list(self._candidates(wanted.get_column(frame_id)))
        holds = _in_parallel(may_hold, candidates)
        # Hashes lead to rows, not to their label ids, so files that hold a frame are
        # read; the index only spares the files that hold none of them.
        holding = [
            candidate
            for candidate, is_holding in zip(candidates, holds, strict=True)
            if is_holding
        ]
        parts = self._scan(holding, wanted, [frame_id])
        return pl.concat(parts) if parts else self._empty()

    def rows(self, located: pl.DataFrame) -> pl.DataFrame:
        """The full rows of located keys.

        Args:
            located: As `keys` and `frames` return them.
        """
        if not located.height:
            return pl.DataFrame(schema=self._state.schema)
        files = list(self._state.files.values())
        frame_id = pl.col(self._key[0])
        scans: list[pl.LazyFrame] = []
        expected: list[tuple[int, pl.DataFrame]] = []
        for number, places, keys in _by_file(located):
            ids = keys.get_column(self._key[0])
            # Places alone prune nothing; bounds of the sorted ids skip row groups.
            in_bounds = frame_id.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
            scan = self._store.scan(
                [f"{self._path}/{files[number].path}"],
                self._state.schema,
                row_index=PLACE,
            )
            at_places = pl.col(PLACE).is_in(places.implode())
            scans.append(scan.filter(in_bounds, at_places))
            expected.append((number, keys))
        tables = collect_all(scans)
        for (number, keys), rows in zip(expected, tables, strict=True):
            self._require_keys(files[number], keys, rows)
        return pl.concat(tables).drop(PLACE)

    def _require_keys(
        self, file: DataFile, located: pl.DataFrame, rows: pl.DataFrame
    ) -> None:
        """Hold the located keys against the rows that lie at their places.

        Keys are located by hashes, mostly out of an index that was kept. Here the
        rows are read anyway, so an index that is not of this file comes to light
        before anything is decided.

        Raises:
            StorageError: If another key lies there.
        """
        # Places ascend in what was scanned.
        wanted = located if located.height == 1 else located.sort(OLD_AT)
        if rows[self._key].equals(wanted[self._key]):
            return
        path = f"{self._path}/{file.path}"
        self._files.forget(path)
        raise StorageError(
            f"{path}: its rows are not where its key index has them. Either the index "
            "was damaged, which is removed now, so make the same call again; or the "
            "file was: then the call fails again, and 'lakehouse run verify' says how.",
            kind="table.index_mismatch",
            retryable=True,
        )

    def _candidates(self, frame_ids: pl.Series) -> Iterator[_Candidate]:
        """The files that may hold some of the wanted keys, by their sorted frame ids."""
        height = len(frame_ids)
        if not height:
            return
        first_wanted, last_wanted = frame_ids[0], frame_ids[-1]
        for number, file in enumerate(self._state.files.values()):
            file_min, file_max = file.min_key, file.max_key
            # Without bounds in its statistics a file may hold any key.
            if file_min is None or file_max is None:
                yield _Candidate(number, file, 0, height)
            # Most files of a sorted table lie wholly beside a small upload: two
            # comparisons dismiss them, without a binary search.
            elif file_min <= last_wanted and first_wanted <= file_max:
                start = (
                    frame_ids.search_sorted(file_min, side="left")
                    if first_wanted < file_min
                    else 0
                )
                stop = frame_ids.search_sorted(file_max, side="right")
                # The bounds overlap, and yet all wanted keys may lie beside the file's.
                if stop > start:
                    yield _Candidate(number, file, start, stop)

    def _path_of(self, candidate: _Candidate) -> str:
        return f"{self._path}/{candidate.file.path}"

    def _scan(
        self, candidates: list[_Candidate], wanted: pl.DataFrame, on: list[str]
    ) -> list[pl.DataFrame]:
        """The located keys of files that are read instead of looked up.

        Args:
            candidates: The files.
            wanted: Whole keys, or frame ids.
            on: The columns of `wanted`.
        """
        columns = [*self._key, "row_hash", PLACE]
        frame_id = pl.col(self._key[0])
        scans: list[pl.LazyFrame] = []
        for candidate in candidates:
            count = candidate.stop - candidate.start
            ids = wanted.get_column(self._key[0]).slice(candidate.start, count)
            # Parquet's statistics skip row groups by bounds, and not by a set.
            in_bounds = frame_id.is_between(pl.lit(ids[0]), pl.lit(ids[-1]))
            in_frames = frame_id.is_in(ids.unique().implode())
            scan = self._store.scan(
                [self._path_of(candidate)], self._state.schema, row_index=PLACE
            )
            scans.append(scan.filter(in_bounds, in_frames).select(columns))
        tables = collect_all(scans) if scans else []
        parts: list[pl.DataFrame] = []
        for candidate, table in zip(candidates, tables, strict=True):
            # Frame ids alone were filtered exactly by the scan; of whole keys it let
            # every label of a wanted frame through.
            rows = table.join(wanted, on=on, how="semi") if len(on) > 1 else table
            places = rows.get_column(PLACE).to_numpy().astype(np.int64)
            live = _live(candidate.file, places)
            rows = rows[live]
            hashes = rows.get_column("row_hash").to_numpy()
            keys = rows.select(self._key)
            parts.append(_located(keys, hashes, candidate, places[live]))
        return parts

    def _empty(self) -> pl.DataFrame:
        texts = dict.fromkeys(self._key, pl.String())
        return pl.DataFrame(schema={**texts, OLD_HASH: pl.Int64(), OLD_AT: pl.Int64()})


class FileKeys:
    """The keys of the data files of one table, file by file."""

    def __init__(
        self, store: Store, schema: pl.Schema, key: Sequence[str], cache: IndexCache
    ) -> None:
        self._store = store
        self._schema = schema
        self._key = key
        self._cache = cache

    def find(
        self, path: str, row_count: int, of_frame: Hashes, of_key: Hashes
    ) -> Matches | None:
        """Which of the wanted keys a file holds.

        The cheapest of four ways is taken: an index that there is; a scan, by the
        caller, for few keys of a large file; a search through the file's keys, for
        many keys of a large file that has no index yet, which is then made after
        the answer; else an index made now.

        Args:
            path: The file.
            row_count: How many rows it has, dead ones included.
            of_frame: The wanted keys' frame hashes; equal ones side by side.
            of_key: The wanted keys' key hashes.

        Returns:
            The matches, dead rows among them; None where it is cheaper to scan.
        """
        is_search_cheaper = (
            row_count > _SMALL_FILE_ROWS
            and _SCAN_KEYS < len(of_frame) < row_count / _DENSE
        )
        index = self._kept(path, row_count)
        if index is None and is_search_cheaper:
            # The first to ask gets a quick answer. Whoever asks again before the
            # background made the index has shown that it pays, and makes it.
            if self._cache.queue(path, partial(self._make, path)):
                return search_file(self._read(path), self._key, of_frame, of_key)
            index = self._make_and_keep(path)
        elif index is None:
            index = self._make_if_it_pays(path, row_count, len(of_frame))
        return None if index is None else index.find(of_frame, of_key)

    def forget(self, path: str) -> None:
        """Remove the index of a file, in memory and in the local cache."""
        self._cache.forget(path)

    def index(self, path: str, row_count: int, wanted: int) -> KeyIndex | None:
        """The file's index, made now if that pays for so many wanted keys."""
        index = self._kept(path, row_count)
        return index or self._make_if_it_pays(path, row_count, wanted)

    def _kept(self, path: str, row_count: int) -> KeyIndex | None:
        """The index that there is, if it is of as many rows as the file has."""
        index = self._cache.get(path)
        if index is not None and len(index.key_hashes) != row_count:
            self._cache.forget(path)
            return None
        return index

    def _make_if_it_pays(
        self, path: str, row_count: int, wanted: int
    ) -> KeyIndex | None:
        is_scan_cheaper = wanted <= _SCAN_KEYS and row_count > _SMALL_FILE_ROWS
        # Counts this lookup: after a number of scans of one file its index has paid.
        if is_scan_cheaper and not self._cache.count_miss(path):
            return None
        return self._make_and_keep(path)

    def _make_and_keep(self, path: str) -> KeyIndex:
        index = self._make(path)
        self._cache.put(path, index)
        return index

    def _make(self, path: str) -> KeyIndex:
        return KeyIndex.of(self._read(path), self._key)

    def _read(self, path: str) -> pl.DataFrame:
        rows = self._store.scan([path], self._schema)
        return collect(rows.select(*self._key, "row_hash"))


def _in_parallel(
    work: Callable[[_Candidate], _T], candidates: Sequence[_Candidate]
) -> list[_T]:
    """The results of work on each file, in the order of the files."""
    if len(candidates) < 2:  # noqa: PLR2004 - a pool would only cost its start
        return [work(candidate) for candidate in candidates]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, candidates))


def _live(file: DataFile, places: npt.NDArray[Any]) -> Places:
    """Indices into `places` of those whose rows are not deleted, ascending."""
    if not file.dead_rows or not len(places):
        return np.arange(len(places))
    dead = file.dead
    # `dead` is sorted: a place is dead where the first dead one not below it equals
    # it. Beyond the last one the index is clipped, and the comparison fails.
    nearest = np.searchsorted(dead, places).clip(max=len(dead) - 1)
    return np.flatnonzero(dead[nearest] != places)


def _located(
    keys: pl.DataFrame,
    row_hashes: npt.NDArray[np.int64],
    candidate: _Candidate,
    places: npt.NDArray[Any],
) -> pl.DataFrame:
    """Keys with the hashes and locations of their rows."""
    old_at = places.astype(np.int64) + (candidate.number << _FILE_SHIFT)
    # A mapped index gives arrays of memmap; `np.array` makes plain ones of them.
    return keys.with_columns(
        pl.Series(OLD_HASH, np.array(row_hashes)), pl.Series(OLD_AT, old_at)
    )


def _sorted(wanted: pl.DataFrame, frame_id: str) -> pl.DataFrame:
    # Bounds cut sorted keys to slices, and equal frame ids must lie side by side.
    return wanted if wanted.get_column(frame_id).is_sorted() else wanted.sort(frame_id)


def _by_file(
    located: pl.DataFrame,
) -> Iterator[tuple[int, pl.Series, pl.DataFrame]]:
    """For each file its number, and the places and keys of the rows located in it."""
    numbered = located.with_columns(
        _file=file_number(),
        _place=(pl.col(OLD_AT) % (1 << _FILE_SHIFT)).cast(pl.get_index_type()),
    )
    for (number,), rows in numbered.group_by("_file", maintain_order=True):
        yield int(str(number)), rows.get_column("_place"), rows


def places_by_file(old_at: pl.Series) -> dict[int, npt.NDArray[np.uint32]]:
    """Locations, in any order, as the number of each file to places in it, ascending."""
    # Sorted, the locations of one file lie side by side, and its places ascend.
    locations = np.sort(old_at.to_numpy())
    files = locations >> _FILE_SHIFT
    places = (locations & ((1 << _FILE_SHIFT) - 1)).astype(np.uint32)
    edges = np.flatnonzero(np.diff(files)) + 1
    parts = np.split(places, edges)
    firsts = files[np.concatenate(([0], edges))] if len(files) else files
    # Not strict: without any location, `split` still gives one empty part.
    return {int(number): part for number, part in zip(firsts, parts, strict=False)}


def file_number() -> pl.Expr:
    """The number of the file that a location is in."""
    return pl.col(OLD_AT) // (1 << _FILE_SHIFT)
