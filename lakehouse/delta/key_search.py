"""Finding keys in a data file that has no index: once, that is cheaper than making one.

All rows are hashed by the first column of their key alone. The few that may be
wanted are told by a table of bits, and only those are looked at closely.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.key_index import KeyIndex, Lanes, Places, first_lane

__all__ = ["searched"]

_BITS_A_KEY: Final = 5
"""Two to the power of this is how many places the table has for each key."""
_LEAST_BITS: Final = 12


def searched(
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
    lanes = first_lane(rows.get_column(key[0]))
    near = np.flatnonzero(is_wanted[lanes >> shift])
    index = KeyIndex.of(rows[near], key)
    which, places = index.find(first, second)
    return which, near[places], index.row_hash[places]
