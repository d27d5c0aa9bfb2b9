"""Rows added whole become images: class ids, hashes and fingerprint in one pass.

A piece of the rows that fits a processor's cache gets all of it before the next
piece is looked at; the pieces are worked on by all cores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.fingerprint import Fingerprint
from lakehouse.merging.coded import ClassCodes
from lakehouse.merging.row_hash import Lanes, by_chunks, mix, row_sums

__all__ = ["Images", "images_of"]


@dataclass(frozen=True, slots=True)
class Images:
    """Rows as their table has them, and what is known of them."""

    rows: pl.DataFrame
    """With `row_hash`, and `class_id` where they have a `class_name`."""
    sent: Fingerprint
    """Of the rows without what was made here, with their operation."""
    classes: Mapping[str, int]
    """The classes named, with the ids they were given."""


def images_of(
    rows: pl.DataFrame, content: Sequence[str], op: str, class_ids: Mapping[str, int]
) -> Images | None:
    """The images that rows come to; None if one names an unknown class.

    Args:
        rows: In their table's order.
        content: The columns that were sent.
        op: The column of the operation; it is the same in every row.
        class_ids: Known classes.
    """
    hashing = _Hashing(rows, content, op, class_ids)
    parts = by_chunks(hashing.work, rows.height)
    said = [part for part in parts if part is not None]
    if len(said) < len(parts):
        return None
    made = [pl.Series("row_hash", hashing.hashes)]
    if hashing.codes:
        made.append(hashing.codes.column(hashing.ids))
    return Images(
        rows.with_columns(made), sum(said, Fingerprint.zero()), hashing.classes()
    )


class _Hashing:
    """The columns to be made, filled piece by piece."""

    def __init__(
        self,
        rows: pl.DataFrame,
        content: Sequence[str],
        op: str,
        class_ids: Mapping[str, int],
    ) -> None:
        self._rows = rows
        self.codes = ClassCodes(class_ids) if "class_name" in content else None
        apart = {op, "class_name"} if self.codes else {op}
        self._plain = [name for name in content if name not in apart]
        # Every operation is the same, so one row tells what it adds.
        self._operation = row_sums(rows.head(1), [op])
        self._used: set[int] = set()
        self.hashes = np.empty(rows.height, dtype=np.int64)
        self.ids = np.empty(rows.height if self.codes else 0, dtype=np.int64)

    def work(self, chunk: slice) -> Fingerprint | None:
        """Fill a piece; None if it has an unknown class."""
        sums, made = row_sums(self._rows[chunk], self._plain), None
        if self.codes:
            names = self._rows.get_column("class_name")[chunk]
            codes = self.codes.of(names)
            if codes is None:
                return None
            self._used.update(np.flatnonzero(np.bincount(codes)).tolist())
            self.ids[chunk] = self.codes.ids[codes]
            sums += self.codes.name_lanes[codes]
            made = self.codes.id_lanes[codes]
        said = mix(sums + self._operation)
        self.hashes[chunk] = _bits(mix(sums if made is None else sums + made))
        return Fingerprint.of_array(_bits(said))

    def classes(self) -> dict[str, int]:
        """The classes that rows name, with their ids."""
        return self.codes.named(self._used) if self.codes else {}


def _bits(lanes: Lanes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return lanes.view(np.int64)
