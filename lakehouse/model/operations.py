"""Operations: rows, and what each of them does to the table.

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

OLD_HASH: Final = "_old_hash"
"""The hash of the row that a new row replaces or a deletion removes; null if none."""
OLD_AT: Final = "_old_at"
"""The location of that row in its table (see `delta.lookup`); null if none."""

OPERATIONAL: Final = frozenset({OP, CLEAR, IF_EXISTS, KEEPS_VECTOR, ROW, SENT})
"""Columns of operations that are no fields of a frame or label."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Frames and labels to add, modify or delete, and their problems."""

    frames: pl.DataFrame
    """One row a frame; may have no columns when there are none."""
    labels: pl.DataFrame
    """One row a label; may have no columns when there are none."""
    problems: pl.DataFrame
    """The problems that the intake saw, with `PROBLEM_SCHEMA`."""

    @classmethod
    def empty(cls) -> "Operations":
        """No operation at all."""
        return cls(pl.DataFrame(), pl.DataFrame(), pl.DataFrame(schema=PROBLEM_SCHEMA))
