"""Operations: rows with what is to be done with them.

Both tables hold a subset of their contract's columns, metadata as `user__…`
and maybe `embedding`, and the operational columns named below. A metadata
field whose values are of several kinds is carried as JSON text in
`_mixed__user__…` until its type is known.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.model.problems import PROBLEM_SCHEMA

OP: Final = "_op"
"""ADD, MODIFY or DELETE."""
CLEAR: Final = "_clear"
"""Fields that a MODIFY sets to null."""
IF_EXISTS: Final = "_if_exists"
"""replace, reject or skip: what an ADD does to a frame that is there."""
KEEPS_VECTOR: Final = "_keeps_vector"
"""Whether a frame or label added anew without a vector keeps the one stored."""
ROW: Final = "_row"
"""The row's place in what was sent, from 0."""
SENT: Final = "_sent"
"""The row as sent, JSON, where it could not be read whole."""
MIXED: Final = "_mixed__"
"""Prefix of metadata fields carried as JSON text."""

OPERATIONAL: Final = frozenset({OP, CLEAR, IF_EXISTS, KEEPS_VECTOR, ROW, SENT})
"""Columns that are no fields of a frame or label."""

_FEW: Final = 1_000


def all_are(rows: pl.DataFrame, op: str, column: str = OP) -> bool:
    """Whether every row has that operation.

    A long column made of one value is not unfolded for it; for a few rows no
    query is planned.

    >>> all_are(pl.DataFrame({"_op": ["ADD", "MODIFY"]}), "ADD")
    False
    """
    if rows.height < _FEW:
        return bool((rows.get_column(column) == op).all())
    return bool(rows.select((pl.col(column) == op).all()).item())


@dataclass(frozen=True, slots=True)
class Operations:
    """Frames and labels to add, modify or delete, and what is wrong with them."""

    frames: pl.DataFrame
    """One row a frame; may have no columns when there are none."""
    labels: pl.DataFrame
    """One row a label; may have no columns when there are none."""
    problems: pl.DataFrame
    """What the intake found, with `PROBLEM_SCHEMA`."""

    @classmethod
    def empty(cls) -> "Operations":
        """No operation at all."""
        return cls(pl.DataFrame(), pl.DataFrame(), pl.DataFrame(schema=PROBLEM_SCHEMA))


OLD_AT: Final = "_old_at"
"""Where that row lies; opaque here, null if there is none."""


OLD_HASH: Final = "_old_hash"
"""The hash of the row that an image replaces or a deletion removes; null if none."""
