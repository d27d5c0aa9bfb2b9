"""Where a data file holds which key: a lookup in place of a read.

Data files never change, so neither does an index of one. It holds 128 bits of
hash for each key and each row's `row_hash`, in the file's own order, and finds
100,000 keys among millions in milliseconds. Two keys that agree in all 128 bits
would be taken for one; for a billion rows the odds are one in 10^20.

    runs   (first lane, start, count), by the lane's first bits: rows of one frame
    rows   (second lane, row hash), by place in the file
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

from lakehouse.model.row_hash import FEW_TEXTS, hash_few_texts
from lakehouse.storage.cache import cached, keep

Lanes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_MAGIC: Final = np.uint64(0x6C616B656B657932)  # "lakekey2": the format's name
_SEED: Final = 0x9E3779B9
"""Of the hash that tells keys of one first lane apart."""
_MAPPED_BYTES: Final = 1 << 20
_NOTHING: Final = np.array([], dtype=np.int64)


def key_lanes(keys: pl.DataFrame, key: Sequence[str]) -> tuple[Lanes, Lanes]:
    """128 bits of hash of each key, the first 64 from its first column alone."""
    head = key[0]
    if keys.height <= FEW_TEXTS:
        texts = [keys.get_column(name) for name in key]
        mixed = hash_few_texts(texts[0], _SEED)
        for column in texts[1:]:
            mixed = mixed ^ hash_few_texts(column)
        return hash_few_texts(texts[0]), mixed
    second = plh.col(head).nchash.xxh3_64(seed=_SEED).alias("_second")
    lanes = [plh.col(head).nchash.xxh3_64().alias("_first"), second]
    lanes += [plh.col(name).nchash.xxh3_64().alias(name) for name in key[1:]]
    hashed = keys.lazy().select(lanes).collect()
    mixed = _lane(hashed, "_second")
    for name in key[1:]:
        mixed = mixed ^ _lane(hashed, name)
    return _lane(hashed, "_first"), mixed


def frame_lane(column: pl.Series) -> Lanes:
    """The first 64 of them, from the first column of each key."""
    if len(column) <= FEW_TEXTS:
        return hash_few_texts(column)
    hashed = column.to_frame().select(plh.col(column.name).nchash.xxh3_64())
    return _lane(hashed, column.name)


def _lane(hashed: pl.DataFrame, name: str) -> Lanes:
    lane: npt.NDArray[Any] = hashed.get_column(name).to_numpy()
    return lane.astype(np.uint64, copy=False)


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """The keys of one data file."""

    runs: Lanes
    """First lanes, by bucket; rows of one frame lie together in a sorted file."""
    starts: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint32]
    second: Lanes
    row_hash: npt.NDArray[np.int64]
    shift: np.uint64
    """How far a lane is shifted to give its bucket."""
    buckets: npt.NDArray[np.int64]
    """Where in `runs` each bucket starts: hashes spread evenly, about one a bucket."""

    @classmethod
    def of(cls, rows: pl.DataFrame, key: Sequence[str]) -> "KeyIndex":
        """The index of a file with these rows in this order: key and `row_hash`."""
        first, second = key_lanes(rows, key)
        height = len(first)
        is_start = np.ones(height, dtype=bool)
        is_start[1:] = first[1:] != first[:-1]
        starts = np.flatnonzero(is_start)
        counts = np.diff(np.append(starts, height))
        order = _by_first_bits(first[starts])
        runs = first[starts][order]
        return cls(
            runs,
            starts[order].astype(np.uint32),
            counts[order].astype(np.uint32),
            second,
            rows.get_column("row_hash").to_numpy(),
            *_buckets(runs),
        )

    @property
    def size(self) -> int:
        """Bytes."""
        return 16 * len(self.runs) + 16 * len(self.second)

    def find(self, first: Lanes, second: Lanes) -> tuple[Places, Places]:
        """Which of the wanted keys are in the file, and in which places."""
        if not len(first):
            return _NOTHING, _NOTHING
        # Labels of one frame come together, so each frame is searched for once.
        starts = np.flatnonzero(np.append(True, first[1:] != first[:-1]))
        counts = np.diff(np.append(starts, len(first)))
        group, held = self.of_frames(first[starts])
        candidate, wanted = _spread(starts[group], counts[group])
        places = held[candidate]
        same = self.second[places] == second[wanted]
        return wanted[same], places[same]

    def of_frames(self, first: Lanes) -> tuple[Places, Places]:
        """The rows of whole frames: which wanted frame each is of, and its place."""
        if not len(self.runs):
            return _NOTHING, _NOTHING
        bucket = (first >> self.shift).astype(np.int64)
        low, high = self.buckets[bucket], self.buckets[bucket + 1]
        wanted, run = _spread(low, high - low)
        same = self.runs[run] == first[wanted]
        wanted, run = wanted[same], run[same]
        held, places = _spread(self.starts[run].astype(np.int64), self.counts[run])
        return wanted[held], places

    def save(self, path: Path) -> None:
        """Write the index to a file of its own."""
        head = np.array([_MAGIC, len(self.runs), len(self.second)], dtype=np.uint64)
        with path.open("wb") as file:
            for long in (head, self.runs, self.second, self.row_hash):
                file.write(long.tobytes())
            for short in (self.starts, self.counts):
                file.write(short.tobytes())

    @classmethod
    def load(cls, path: Path) -> "KeyIndex | None":
        """Read `save`'s file back, large ones mapped; None if it is damaged."""
        size = path.stat().st_size
        if size > _MAPPED_BYTES:
            data: npt.NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        else:
            data = np.fromfile(path, dtype=np.uint8)
        if size < 24:  # noqa: PLR2004 - three numbers of eight bytes
            return None
        magic, runs, rows = (int(part) for part in data[:24].view(np.uint64))
        if magic != _MAGIC or size != 24 + 16 * runs + 16 * rows:
            return None
        parts: list[npt.NDArray[np.uint8]] = []
        at = 24
        for width in (8 * runs, 8 * rows, 8 * rows, 4 * runs, 4 * runs):
            parts.append(data[at : at + width])
            at += width
        return cls(
            parts[0].view(np.uint64),
            parts[3].view(np.uint32),
            parts[4].view(np.uint32),
            parts[1].view(np.uint64),
            parts[2].view(np.int64),
            *_buckets(parts[0].view(np.uint64)),
        )


def _by_first_bits(lanes: Lanes) -> Places:
    """The order of lanes by their first bits, as many as buckets can have.

    The places ride in the last bits, so numbers are sorted and not pointers to
    them: a quarter of the time.
    """
    bits = np.uint64(len(lanes).bit_length())
    last = (np.uint64(1) << bits) - np.uint64(1)
    packed = (lanes & ~last) | np.arange(len(lanes), dtype=np.uint64)
    return (np.sort(packed) & last).astype(np.int64)


def _buckets(runs: Lanes) -> tuple[np.uint64, npt.NDArray[np.int64]]:
    bits = max(1, min(24, len(runs).bit_length()))
    shift = np.uint64(64 - bits)
    held = np.bincount((runs >> shift).astype(np.int64), minlength=1 << bits)
    return shift, np.concatenate(([0], np.cumsum(held)))


def _spread(
    starts: npt.NDArray[Any], counts: npt.NDArray[Any]
) -> tuple[Places, Places]:
    """Every number of each range, and which range it is of."""
    which = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    before = np.cumsum(counts, dtype=np.int64) - counts
    return which, np.arange(len(which), dtype=np.int64) + (starts - before)[which]


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


_BITS_A_KEY: Final = 5
"""Two to the power of this is how many places the table has for each key."""
_LEAST_BITS: Final = 12


def search_file(
    rows: pl.DataFrame, key: Sequence[str], first: Lanes, second: Lanes
) -> tuple[Places, Places, npt.NDArray[np.int64]]:
    """Which of the wanted keys are among rows, in which places, with which hash.

    Args:
        rows: Those of a file, in its order: key and `row_hash`.
        key: The columns of the key.
        first: The wanted keys' lanes, as `key_lanes` gives them; those of one
            first column lie together.
        second: The same.
    """
    bits = max(_LEAST_BITS, len(first).bit_length() + _BITS_A_KEY)
    shift = np.uint64(64 - bits)
    is_wanted = np.zeros(1 << bits, dtype=bool)
    is_wanted[first >> shift] = True
    lanes = frame_lane(rows.get_column(key[0]))
    near = np.flatnonzero(is_wanted[lanes >> shift])
    index = KeyIndex.of(rows[near], key)
    which, places = index.find(first, second)
    return which, near[places], index.row_hash[places]
