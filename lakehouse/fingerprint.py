"""Fingerprints: one number for a set of rows, kept up to date by the changes.

Two 64-bit lanes: the sum of the row hashes, and the sum of the row hashes mixed
once more, both modulo 2^64. Order does not matter; rows that go are subtracted.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.merging.row_hash import Lanes, by_chunks, mix

__all__ = ["Fingerprint", "both_lanes"]

_MODULUS = 1 << 64
_SECOND_LANE = np.uint64(0xD6E8FEB86659FD93)


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
        """The same of an array, at once: for pieces that fit a cache."""
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
