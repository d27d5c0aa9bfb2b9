"""Rows and fingerprints of many versions at once, from what changed at each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.fingerprint import Fingerprint, both_lanes

__all__ = ["Tally"]

Places = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """What comes and goes at each of some places, and what that adds up to.

    >>> tally = Tally.empty(3)
    >>> tally.come(np.array([0, 1]), np.array([7, -2]))
    >>> tally.go(np.array([2]), np.array([7]))
    >>> [rows for rows, _ in tally.totals()]
    [1, 2, 1]
    """

    rows: npt.NDArray[np.int64]
    lanes: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]

    @classmethod
    def empty(cls, places: int) -> "Tally":
        """Nothing, at so many places."""
        lanes = (np.zeros(places, np.uint64), np.zeros(places, np.uint64))
        return cls(np.zeros(places, np.int64), lanes)

    def come(self, at: Places, hashes: npt.NDArray[np.int64]) -> None:
        """Rows with these hashes come at these places."""
        np.add.at(self.rows, at, 1)
        for lane, added in zip(self.lanes, both_lanes(hashes), strict=True):
            np.add.at(lane, at, added)

    def go(self, at: Places, hashes: npt.NDArray[np.int64]) -> None:
        """Rows with these hashes go at these places."""
        np.subtract.at(self.rows, at, 1)
        for lane, taken in zip(self.lanes, both_lanes(hashes), strict=True):
            np.subtract.at(lane, at, taken)

    def totals(self) -> list[tuple[int, Fingerprint]]:
        """The rows and the fingerprint at each place."""
        rows = np.cumsum(self.rows)
        first, second = (np.cumsum(lane, dtype=np.uint64) for lane in self.lanes)
        return [
            (int(count), Fingerprint(int(one), int(two)))
            for count, one, two in zip(rows, first, second, strict=True)
        ]
