"""Where a data file holds which key: a lookup in place of a read.

Data files never change, so neither does an index of one. It holds 128 bits of
hash for each key and each row's `row_hash`, in the file's own order, and finds
100,000 keys among millions in milliseconds. Two keys that agree in all 128 bits
would be taken for one; for a billion rows the odds are one in 10^20.

    frame hash   64 bits of the key's first column alone, the frame id
    key hash     64 bits of the whole key
    run          the rows of one frame, which lie together in a sorted file

    runs   (frame hash, start, count), sorted by the first bits of the hash
    rows   (key hash, row hash), by place in the file

A key is found by its frame hash first: the bucket of runs that its first bits
name, the run with that hash in it, the rows of the run, the row with its key hash.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

from lakehouse.model.row_hash import FEW_TEXTS, hash_few_texts
from lakehouse.storage.cache import Content, cached, keep, remove

Hashes = npt.NDArray[np.uint64]
"""`uint64[n]`: one hash a key."""

Places = npt.NDArray[np.int64]
"""`int64[n]`: places of rows in a file, or of keys among the wanted ones, from 0."""

MEMORY_BYTES: Final = 512 * 1024**2
"""How much of the indexes one cache keeps in memory, at the most."""

_MAGIC: Final = np.uint64(0x6C616B656B657932)  # "lakekey2": the format's name
_HEAD_BYTES: Final = 24  # the magic number, the number of runs, the number of rows
# Of the first column in the key hash: without a seed, the key hash of a key of one
# column would repeat its frame hash, and the two would be 64 bits and not 128.
_KEY_SEED: Final = 0x9E3779B9
_MOST_BUCKET_BITS: Final = 24  # 16 million buckets: their table is 128 MiB at most
# Ten million rows are indexed in a third of a second: fewer than these in a few
# milliseconds, which is not worth a file in the cache folder.
_SAVED_ROWS: Final = 200_000
_SCANS_BEFORE_INDEX: Final = 16  # of one file by one process; then its index pays
_SEARCH_BITS_A_KEY: Final = 5  # 32 entries a key: at most 1 row in 32 is taken in vain
_SEARCH_LEAST_BITS: Final = 12
_NO_PLACES: Final = np.array([], dtype=np.int64)


class Matches(NamedTuple):
    """Wanted keys that a file holds, one element each in all three arrays."""

    wanted: Places
    """Which of the wanted keys it is."""
    places: Places
    """In which row of the file it is."""
    row_hashes: npt.NDArray[np.int64]
    """The `row_hash` of that row."""


def key_hashes(keys: pl.DataFrame, key: Sequence[str]) -> tuple[Hashes, Hashes]:
    """The frame hash and the key hash of each key.

    Args:
        keys: The columns of the key, all text; maybe others.
        key: Their names, the frame id first.
    """
    if keys.height <= FEW_TEXTS:
        # Planning a query costs more than hashing so few in Python.
        columns = [keys.get_column(name) for name in key]
        of_key = hash_few_texts(columns[0], _KEY_SEED)
        for column in columns[1:]:
            of_key = of_key ^ hash_few_texts(column)
        return hash_few_texts(columns[0]), of_key
    hashes = [
        plh.col(key[0]).nchash.xxh3_64().alias("_frame"),
        plh.col(key[0]).nchash.xxh3_64(seed=_KEY_SEED).alias("_key"),
        *(plh.col(name).nchash.xxh3_64().alias(name) for name in key[1:]),
    ]
    hashed = keys.lazy().select(hashes).collect()
    of_key = _to_uint64(hashed.get_column("_key"))
    for name in key[1:]:
        of_key = of_key ^ _to_uint64(hashed.get_column(name))
    return _to_uint64(hashed.get_column("_frame")), of_key


def _frame_hashes(column: pl.Series) -> Hashes:
    """The first of `key_hashes`, without the cost of the second."""
    if len(column) <= FEW_TEXTS:
        return hash_few_texts(column)
    hashed = column.to_frame().select(plh.col(column.name).nchash.xxh3_64())
    return _to_uint64(hashed.to_series())


def _to_uint64(column: pl.Series) -> Hashes:
    values: npt.NDArray[Any] = column.to_numpy()
    return values.astype(np.uint64, copy=False)


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """The keys of one data file."""

    run_hashes: Hashes
    """The frame hash of each run, by bucket."""
    run_starts: npt.NDArray[np.uint32]
    """The place in the file of each run's first row."""
    run_counts: npt.NDArray[np.uint32]
    """How many rows each run has."""
    key_hashes: Hashes
    """The key hash of each row of the file, by place."""
    row_hashes: npt.NDArray[np.int64]
    """The `row_hash` of each row of the file, by place."""
    shift: np.uint64
    """How far a frame hash is shifted right to give its bucket."""
    bucket_starts: npt.NDArray[np.int64]
    """Where in `run_hashes` each bucket starts, and where the last ends.

    Hashes spread evenly and there are as many buckets as runs, so a bucket has
    about one run: a lookup is two reads, where a binary search would be twenty.
    """

    @classmethod
    def of(cls, rows: pl.DataFrame, key: Sequence[str]) -> "KeyIndex":
        """The index of a file with these rows in this order: key and `row_hash`."""
        of_frame, of_key = key_hashes(rows, key)
        height = len(of_frame)
        # A file that is not sorted has more runs than frames, and the index is
        # as right: a frame is then found in several runs.
        is_start = np.ones(height, dtype=bool)
        is_start[1:] = of_frame[1:] != of_frame[:-1]
        starts = np.flatnonzero(is_start)
        counts = np.diff(np.append(starts, height))
        order = _order_by_first_bits(of_frame[starts])
        run_hashes = of_frame[starts][order]
        return cls(
            run_hashes,
            starts[order].astype(np.uint32),
            counts[order].astype(np.uint32),
            of_key,
            rows.get_column("row_hash").to_numpy(),
            *_buckets(run_hashes),
        )

    @property
    def size(self) -> int:
        """Bytes."""
        return 16 * len(self.run_hashes) + 16 * len(self.key_hashes)

    def find(self, of_frame: Hashes, of_key: Hashes) -> Matches:
        """Which of the wanted keys are in the file, and where.

        Args:
            of_frame: The wanted keys' frame hashes; equal ones side by side.
            of_key: The wanted keys' key hashes.
        """
        if not len(of_frame):
            return Matches(_NO_PLACES, _NO_PLACES, self.row_hashes[:0])
        # Labels of one frame come side by side, so each frame is searched for once.
        starts = np.flatnonzero(np.append(True, of_frame[1:] != of_frame[:-1]))
        counts = np.diff(np.append(starts, len(of_frame)))
        # Every row of a wanted frame is held against every key wanted of it.
        group, row = self.of_frames(of_frame[starts])
        pair, wanted = _expand_ranges(starts[group], counts[group])
        places = row[pair]
        same = self.key_hashes[places] == of_key[wanted]
        wanted, places = wanted[same], places[same]
        return Matches(wanted, places, self.row_hashes[places])

    def of_frames(self, of_frame: Hashes) -> tuple[Places, Places]:
        """The rows of whole frames.

        Args:
            of_frame: The wanted frames' hashes.

        Returns:
            For each row, which wanted frame it is of, and its place in the file.
        """
        if not len(self.run_hashes):
            return _NO_PLACES, _NO_PLACES
        bucket = (of_frame >> self.shift).astype(np.int64)
        low, high = self.bucket_starts[bucket], self.bucket_starts[bucket + 1]
        wanted, run = _expand_ranges(low, high - low)
        # A bucket is named by the first bits alone; the others are compared here.
        same = self.run_hashes[run] == of_frame[wanted]
        wanted, run = wanted[same], run[same]
        held, places = _expand_ranges(
            self.run_starts[run].astype(np.int64), self.run_counts[run]
        )
        return wanted[held], places

    def parts(self) -> list[npt.NDArray[Any]]:
        """The arrays of a file that `from_content` reads back."""
        sizes = [_MAGIC, len(self.run_hashes), len(self.key_hashes)]
        head = np.array(sizes, dtype=np.uint64)
        # Arrays of 8 bytes first: a mapped file keeps each of them aligned.
        long = [head, self.run_hashes, self.key_hashes, self.row_hashes]
        return [*long, self.run_starts, self.run_counts]

    @classmethod
    def from_content(cls, data: Content) -> "KeyIndex":
        """The index in a file of the cache.

        Raises:
            ValueError: If it is of another format.
        """
        if len(data) < _HEAD_BYTES:
            raise ValueError("no key index: it is too short")
        magic, runs, rows = (int(part) for part in data[:_HEAD_BYTES].view(np.uint64))
        if magic != _MAGIC or len(data) != _HEAD_BYTES + 16 * runs + 16 * rows:
            raise ValueError("no key index of this format")
        parts: list[Content] = []
        at = _HEAD_BYTES
        for width in (8 * runs, 8 * rows, 8 * rows, 4 * runs, 4 * runs):
            parts.append(data[at : at + width])
            at += width
        run_hashes = parts[0].view(np.uint64)
        return cls(
            run_hashes,
            parts[3].view(np.uint32),
            parts[4].view(np.uint32),
            parts[1].view(np.uint64),
            parts[2].view(np.int64),
            *_buckets(run_hashes),
        )


def _order_by_first_bits(hashes: Hashes) -> Places:
    """The order of hashes by their first bits, as many as buckets can have.

    Their places ride in the last bits, so numbers are sorted and not pointers to
    them: a quarter of the time.
    """
    bits = np.uint64(len(hashes).bit_length())
    place_mask = (np.uint64(1) << bits) - np.uint64(1)
    packed = (hashes & ~place_mask) | np.arange(len(hashes), dtype=np.uint64)
    return (np.sort(packed) & place_mask).astype(np.int64)


def _buckets(run_hashes: Hashes) -> tuple[np.uint64, npt.NDArray[np.int64]]:
    """`KeyIndex.shift` and `bucket_starts` for runs sorted by their first bits."""
    bits = max(1, min(_MOST_BUCKET_BITS, len(run_hashes).bit_length()))
    shift = np.uint64(64 - bits)
    sizes = np.bincount((run_hashes >> shift).astype(np.int64), minlength=1 << bits)
    return shift, np.concatenate(([0], np.cumsum(sizes)))


def _expand_ranges(
    starts: npt.NDArray[Any], counts: npt.NDArray[Any]
) -> tuple[Places, Places]:
    """Which range each number is of, and every number of each range, in order.

    Starts [7, 3] with counts [2, 3] give [0, 0, 1, 1, 1] and [7, 8, 3, 4, 5].
    """
    which = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    before = np.cumsum(counts, dtype=np.int64) - counts
    return which, np.arange(len(which), dtype=np.int64) + (starts - before)[which]


def search_file(
    rows: pl.DataFrame, key: Sequence[str], of_frame: Hashes, of_key: Hashes
) -> Matches:
    """Which of the wanted keys are among rows, without an index of all of them.

    Args:
        rows: Those of a file, in its order: key and `row_hash`.
        key: The columns of the key.
        of_frame: The wanted keys' frame hashes; equal ones side by side.
        of_key: The wanted keys' key hashes.
    """
    # A table of truth values, indexed by the first bits of a frame hash: most rows are
    # dismissed by one read from it, and the few that are left get an index.
    bits = max(_SEARCH_LEAST_BITS, len(of_frame).bit_length() + _SEARCH_BITS_A_KEY)
    shift = np.uint64(64 - bits)
    is_wanted = np.zeros(1 << bits, dtype=bool)
    is_wanted[of_frame >> shift] = True
    near = np.flatnonzero(is_wanted[_frame_hashes(rows.get_column(key[0])) >> shift])
    matches = KeyIndex.of(rows[near], key).find(of_frame, of_key)
    return matches._replace(places=near[matches.places])


class IndexCache:
    """The key indexes of data files, in memory and in the local cache folder.

    They are kept by the files' names, which are never used twice, without their
    folders: tables that share a file share its index.
    """

    def __init__(self) -> None:
        # Least recently used first.
        self._indexes: OrderedDict[str, KeyIndex] = OrderedDict()
        self._bytes = 0
        self._misses: dict[str, int] = {}
        self._queue: dict[str, Callable[[], KeyIndex]] = {}
        # Lookups of several files, and the background thread, come here at once.
        self._lock = threading.Lock()

    def get(self, path: str) -> KeyIndex | None:
        """The index of a data file, if it was made before and kept."""
        name = _file_name(path)
        with self._lock:
            if name in self._indexes:
                self._indexes.move_to_end(name)
                return self._indexes[name]
        # Read outside of the lock: two threads may both do it, and one result stays.
        index = cached(f"{name}.keys", KeyIndex.from_content)
        if index is not None:
            self._keep(name, index)
        return index

    def put(self, path: str, index: KeyIndex) -> None:
        """Keep the index of a data file."""
        self._keep(_file_name(path), index)
        if len(index.key_hashes) >= _SAVED_ROWS:
            keep(f"{_file_name(path)}.keys", index.parts())

    def forget(self, path: str) -> None:
        """Remove the index of a data file that turned out not to be of its rows."""
        name = _file_name(path)
        with self._lock:
            index = self._indexes.pop(name, None)
            self._bytes -= 0 if index is None else index.size
        remove(f"{name}.keys")

    def queue(self, path: str, make: Callable[[], KeyIndex]) -> bool:
        """Ask for an index to be made later, by `make_queued`.

        Returns:
            False if it was queued before; it is taken out then, and made by whoever
            asked again.
        """
        with self._lock:
            if self._queue.pop(path, None) is not None:
                return False
            self._queue[path] = make
            return True

    @property
    def has_queued(self) -> bool:
        """Whether there is anything to make."""
        return bool(self._queue)

    def make_queued(self) -> None:
        """Make the queued indexes; an error of one ends it, the others stay queued."""
        while True:
            with self._lock:
                if not self._queue:
                    return
                path, make = self._queue.popitem()
            # A writer, or another lookup, may have made it meanwhile.
            if self.get(path) is None:
                self.put(path, make())

    def count_miss(self, path: str) -> bool:
        """Count a lookup in a file without an index; whether it pays to make one now."""
        self._misses[path] = self._misses.get(path, 0) + 1
        return self._misses[path] > _SCANS_BEFORE_INDEX

    def _keep(self, name: str, index: KeyIndex) -> None:
        with self._lock:
            if name in self._indexes:
                return
            self._indexes[name] = index
            self._bytes += index.size
            # The newest stays even if it is over the bound alone: it is in use.
            while self._bytes > MEMORY_BYTES and len(self._indexes) > 1:
                _, oldest = self._indexes.popitem(last=False)
                self._bytes -= oldest.size


def _file_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
