"""Row hashes: equal for equal logical values, on every machine and in every release.

The recipe, which must never change:

* each column gives a 64-bit lane: text by XXH3-64 of its UTF-8 bytes; floats by
  the bits of the float64 (−0.0 as 0.0, one NaN); integers and truth values as
  int64 bits; times as microseconds UTC; a struct as the sum of its fields'
  lanes; a list as its length plus the sum of mixed (lane, position), where the
  lane of a null element is a constant of its own;
* a lane is XORed with a seed made of the column's name and mixed; null gives 0;
* the row's hash is the mixed sum of its lanes, modulo 2^64.

Before there was a release, null elements of lists had the lane 0, as the number 0,
the truth value false and 0.0 have. Verification accepts such hashes: NULL_AS_ZERO.

So it does not depend on the order of columns or rows, on chunks, or on columns
that are null, among them those added later. The last mixing matters: without
it, values swapped between two rows would leave a sum over rows unchanged.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh
from xxhash import xxh3_64_intdigest

Lanes = npt.NDArray[np.uint64]
"""`uint64[rows]`: 64 bits a row, added and multiplied modulo 2^64."""

FEW_TEXTS: Final = 256
"""So many texts are hashed one by one before a query is even planned."""

_T = TypeVar("_T")

# The constants of SplitMix64; the golden ratio tells positions in a list apart.
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_POSITION: Final = np.uint64(0x9E3779B97F4A7C15)
NULL_ELEMENT: Final = np.uint64(0x8B5AD4CE6F3D9E17)
"""The lane of a null element of a list: odd, and that of no number in use."""
NULL_AS_ZERO: Final = np.uint64(0)
"""What it was before: lists that differ in null and 0 only had one hash."""
_NAN_BITS: Final = np.uint64(0x7FF8000000000000)  # one pattern for all of them
_CHUNK_ROWS: Final = 131_072  # 1 MiB a lane: a few of them fit the cache of a core
_THREADS: Final = min(8, os.cpu_count() or 1)  # NumPy releases the interpreter's lock


def mix(lanes: Lanes) -> Lanes:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), element by element."""
    # In place where it can be: each new array of a chunk is memory to be cleared.
    mixed = lanes >> np.uint64(30)
    mixed ^= lanes
    mixed *= _FIRST
    shifted = mixed >> np.uint64(27)
    mixed ^= shifted
    mixed *= _SECOND
    np.right_shift(mixed, np.uint64(31), out=shifted)
    mixed ^= shifted
    return mixed


def row_hash(
    rows: pl.DataFrame, columns: Sequence[str], null: np.uint64 = NULL_ELEMENT
) -> pl.Series:
    """The hash of each row over these columns, as Int64.

    Args:
        rows: The rows.
        columns: Those that count.
        null: `NULL_AS_ZERO` for rows that were hashed before there was a release.

    >>> rows = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    >>> first = row_hash(rows, ["a", "b"])
    >>> first.equals(row_hash(rows.select("b", "a"), ["b", "a"]))
    True
    """
    return hashes_of(row_sums(rows, columns, null))


def hashes_of(sums: Lanes) -> pl.Series:
    """The row hashes of rows with these sums of lanes."""
    hashes = _filled(lambda chunk: mix(sums[chunk]), len(sums))
    return pl.Series("row_hash", hashes.view(np.int64))


def hash_few_texts(column: pl.Series, seed: int = 0) -> Lanes:
    """XXH3-64 of each text, in Python: for `FEW_TEXTS` at the most."""
    texts = [(value or "").encode() for value in column.to_list()]
    hashed = [xxh3_64_intdigest(text, seed) for text in texts]
    return np.array(hashed, dtype=np.uint64)


def row_sums(
    rows: pl.DataFrame, columns: Sequence[str], null: np.uint64 = NULL_ELEMENT
) -> Lanes:
    """The sum of each row's lanes, before the last mixing.

    Sums over disjoint sets of columns add up to the sum over all of them.
    """
    if rows.height <= _CHUNK_ROWS:
        return _sums(rows, columns, null)
    return _filled(lambda chunk: _sums(rows[chunk], columns, null), rows.height)


def _filled(work: Callable[[slice], Lanes], height: int) -> Lanes:
    """The results of work on each chunk, in one array that is never copied."""
    result = np.empty(height, dtype=np.uint64)

    def fill(chunk: slice) -> None:
        result[chunk] = work(chunk)

    by_chunks(fill, height)
    return result


def by_chunks(work: Callable[[slice], _T], height: int) -> list[_T]:
    """The results of work on chunks of rows that fit a cache, on all cores, in order."""
    chunks = [
        slice(start, min(start + _CHUNK_ROWS, height))
        for start in range(0, height, _CHUNK_ROWS)
    ]
    if len(chunks) < 2:  # noqa: PLR2004 - one piece needs no pool
        return [work(chunk) for chunk in chunks]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, chunks))


def _sums(rows: pl.DataFrame, columns: Sequence[str], null: np.uint64) -> Lanes:
    total = np.zeros(rows.height, dtype=np.uint64)
    for name in columns:
        column = rows.get_column(name)
        # A lane of nulls is 0, so a column without values, or one that came later,
        # changes no hash.
        if column.null_count() < rows.height:
            total += _column_lane(column, name, null)
    return total


@cache
def _seed(name: str) -> np.uint64:
    """A column's seed: XXH3-64 of its name."""
    return np.uint64(_text_lane(pl.Series([name]))[0])


def _column_lane(column: pl.Series, name: str, null: np.uint64) -> Lanes:
    """A named column's contribution: seeded, mixed, 0 where null."""
    lanes = mix(_lane(column, null) ^ _seed(name))
    if column.null_count():
        lanes[column.is_null().to_numpy()] = 0
    return lanes


def _lane(column: pl.Series, null: np.uint64) -> Lanes:
    """The 64 bits of each value; what null gives is overwritten by the caller."""
    dtype = column.dtype
    if dtype == pl.String:
        return _text_lane(column)
    if isinstance(dtype, pl.List):
        return _list_lane(column, null)
    if isinstance(dtype, pl.Struct):
        return _struct_lane(column, null)
    if dtype.is_float():
        return _float_lane(column)
    if isinstance(dtype, pl.Datetime):
        micros = column.cast(pl.Datetime("us", dtype.time_zone))
        return _bits(micros.to_physical())
    return _bits(column.cast(pl.Int64))


def _bits(column: pl.Series) -> Lanes:
    filled = column.fill_null(0) if column.null_count() else column
    values: npt.NDArray[Any] = filled.to_numpy()
    return values.astype(np.int64).view(np.uint64)


def _text_lane(column: pl.Series) -> Lanes:
    if len(column) <= FEW_TEXTS:
        return hash_few_texts(column)
    # Class names and upload ids are mostly one value, hashed once.
    if _is_constant(column):
        return np.full(len(column), hash_few_texts(column[:1])[0])
    named = column.alias("text").to_frame()
    hashed = named.select(plh.col("text").nchash.xxh3_64()).to_series()
    return hashed.fill_null(0).to_numpy().astype(np.uint64)


def _is_constant(column: pl.Series) -> bool:
    """Whether every value is the first; nearly free where the last is not."""
    first = column[0]
    if first is None or first != column[-1]:
        return False
    return bool((column == first).all(ignore_nulls=False))


def _float_lane(column: pl.Series) -> Lanes:
    column = column.cast(pl.Float64)
    filled = column.fill_null(0.0) if column.null_count() else column
    # Adding 0.0 makes -0.0 the same as 0.0.
    values = filled.to_numpy() + 0.0
    bits: Lanes = values.view(np.uint64).copy()
    bits[np.isnan(values)] = _NAN_BITS
    return bits


def _struct_lane(column: pl.Series, null: np.uint64) -> Lanes:
    total = np.zeros(len(column), dtype=np.uint64)
    for field in column.struct.fields:
        inner = column.struct.field(field)
        if inner.null_count() < len(inner):
            total += _column_lane(inner, field, null)
    return total


def _list_lane(column: pl.Series, null: np.uint64) -> Lanes:
    # int64[rows], numbers of elements; `total` starts from them, so that lists of nulls
    # differ by their lengths.
    lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    total = lengths.astype(np.uint64)
    filled = column.filter(column.list.len().fill_null(0) > 0)
    if not len(filled):
        return total
    # All elements of all lists, one after the other; places count from 0 in each list.
    elements = filled.explode()
    lanes = _lane(elements, null)
    if elements.null_count():
        lanes[elements.is_null().to_numpy()] = null
    present = lengths[lengths > 0]
    starts = np.concatenate(([0], np.cumsum(present)[:-1]))
    places = np.arange(len(lanes), dtype=np.int64) - np.repeat(starts, present)
    mixed = mix(lanes + (places.astype(np.uint64) + np.uint64(1)) * _POSITION)
    # Empty lists were left out, since `reduceat` gives an empty range its first element.
    total[lengths > 0] += np.add.reduceat(mixed, starts)
    return total


_MODULUS: Final = 1 << 64
# Sets the two lanes of a fingerprint apart: rows whose hashes agree in sum must agree in
# the sum of their mixed hashes too.
_SECOND_LANE: Final = np.uint64(0xD6E8FEB86659FD93)


def both_lanes(hashes: npt.NDArray[np.int64]) -> tuple[Lanes, Lanes]:
    """What each row hash adds to the two lanes of a fingerprint."""
    first = hashes.view(np.uint64)
    return first, mix(first ^ _SECOND_LANE)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of some rows.

    >>> rows = pl.Series([11, -7, 5])
    >>> parts = Fingerprint.of(rows[:1]) + Fingerprint.of(rows[1:])
    >>> parts == Fingerprint.of(rows)
    True
    >>> (parts - Fingerprint.of(rows)).text
    '00000000000000000000000000000000'
    """

    first: int
    second: int

    @classmethod
    def zero(cls) -> "Fingerprint":
        """The fingerprint of no rows."""
        return cls(0, 0)

    @classmethod
    def of(cls, hashes: pl.Series) -> "Fingerprint":
        """The fingerprint of rows with these hashes."""
        numbers = hashes.cast(pl.Int64).to_numpy()
        parts = by_chunks(lambda chunk: cls.of_array(numbers[chunk]), len(numbers))
        return sum(parts, cls.zero())

    @classmethod
    def of_array(cls, hashes: npt.NDArray[np.int64]) -> "Fingerprint":
        """The same of an array, in one pass: for chunks that fit a cache."""
        first, second = (np.add.reduce(lane) for lane in both_lanes(hashes))
        return cls(int(first), int(second))

    @classmethod
    def parse(cls, text: str) -> "Fingerprint":
        """Read `text` back."""
        return cls(int(text[:16], 16), int(text[16:], 16))

    @property
    def text(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.first:016x}{self.second:016x}"

    def __add__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(
            (self.first + other.first) % _MODULUS,
            (self.second + other.second) % _MODULUS,
        )

    def __sub__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(
            (self.first - other.first) % _MODULUS,
            (self.second - other.second) % _MODULUS,
        )
