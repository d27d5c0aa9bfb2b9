"""Large uploads staged in the form that tables keep, so they are written once.

Rows that are added whole are images already, all but a few columns: the class
id, the hash, the upload. They are sorted, hashed and staged with those; a merge
that takes every one of them in links the staged files into the change log and
the live table, and encodes nothing again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.writer import sort_rows
from lakehouse.merging.rows import logical_columns
from lakehouse.model.contracts import Contract, Layout
from lakehouse.model.labels import MASK_CLASS
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import OP, Operations, all_are
from lakehouse.model.row_hash import (
    Fingerprint,
    Lanes,
    by_chunks,
    hashes_of,
    mix,
    row_sums,
)

_NO_ID = -1


class ClassCodes:
    """What labels may be of, in order: the known classes, whole masks, nothing.

    >>> classes = ClassCodes({"bike": 7, "car": 8})
    >>> codes = classes.of(pl.Series(["car", None, "car"]))
    >>> codes.tolist()
    [1, 3, 1]
    >>> classes.column(classes.ids[codes]).to_list()
    [8, None, 8]
    """

    def __init__(self, class_ids: Mapping[str, int]) -> None:
        known = [*dict.fromkeys([*class_ids, MASK_CLASS])]
        names = pl.Series("class_name", [*known, None], dtype=pl.String)
        ids = pl.Series("class_id", [*map(class_ids.get, known), None], dtype=pl.Int64)
        self._class_ids = [(name, class_ids.get(name)) for name in known]
        self._dtype = pl.Enum(known)
        self.ids = ids.fill_null(_NO_ID).to_numpy()
        """The id of the class of each code."""
        self.name_lanes = row_sums(names.to_frame(), ["class_name"])
        """What `class_name` adds to the hash of a row; by code."""
        self.id_lanes = row_sums(ids.to_frame(), ["class_id"])
        """What `class_id` adds to it."""

    def of(self, names: pl.Series) -> npt.NDArray[np.int64] | None:
        """The code of each label's class, by its name; None if one is unknown."""
        coded = names.cast(self._dtype, strict=False)
        if coded.null_count() > names.null_count():
            return None
        nothing = len(self._class_ids)
        return coded.to_physical().cast(pl.Int64).fill_null(nothing).to_numpy()

    def named(self, codes: Collection[int]) -> dict[str, int]:
        """The classes with some codes, where they have an id."""
        return {
            name: number
            for code, (name, number) in enumerate(self._class_ids)
            if code in codes and number is not None
        }

    def column(self, ids: npt.NDArray[np.int64]) -> pl.Series:
        """Ids as the column `class_id`, null where there is none."""
        made = pl.Series("class_id", ids)
        if ids.size and ids.min() == _NO_ID:
            return made.set(made == _NO_ID, None)
        return made


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows as their table has them, and what is known of them."""

    rows: pl.DataFrame
    """With `row_hash`, and `class_id` where they have a `class_name`."""
    sent: Fingerprint
    """Of the rows without what was made here, with their operation."""
    classes: Mapping[str, int]
    """The classes named, with the ids they were given."""


def encode_rows(
    rows: pl.DataFrame, content: Sequence[str], op: str, class_ids: Mapping[str, int]
) -> EncodedRows | None:
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
    return EncodedRows(
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


PREPARED_ROWS: Final = 10_000
"""Fewer rows are cheaper to encode twice than to look at."""

ADDED_COLUMNS: Final = ("class_id", "row_hash")
"""The columns that preparing adds to what was sent."""

_NOT_CONTENT: Final = frozenset({"_row"})
_KERNEL_CHANGES: Final = frozenset({"sensors", "embedding"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """Operations, some of them with hashes, and what a merge must know of those."""

    operations: Operations
    content_hash: str
    """Equal for equal rows, whatever their order; stable across machines."""
    encoded_parts: tuple[str, ...] = ()
    """The parts (frames, labels) that are in their tables' form."""
    classes: Mapping[str, int] = field(default_factory=dict[str, int])
    """The classes of the labels, with the ids that they were given."""


def prepare(
    operations: Operations, class_ids: Mapping[str, int], layout: Layout
) -> Prepared:
    """Put what is large and added whole into the form of its table.

    Args:
        operations: As the intake made them.
        class_ids: Known classes.
        layout: What the tables hold.
    """
    frames, frame_hash, _ = _part(
        operations.frames, layout.contract("frames"), class_ids
    )
    labels, label_hash, classes = _part(
        operations.labels, layout.contract("labels"), class_ids
    )
    return Prepared(
        operations=replace(operations, frames=frames, labels=labels),
        content_hash=f"{frame_hash}-{label_hash}",
        encoded_parts=tuple(
            name
            for name, part in (("frames", frames), ("labels", labels))
            if "row_hash" in part.columns
        ),
        classes=classes,
    )


def content_hash(operations: Operations) -> str:
    """The hash of the rows sent, whatever their order; stable across machines."""
    return "-".join(
        _hash_of(row_sums(part, _content(part)) if part.height else None)
        for part in (operations.frames, operations.labels)
    )


def as_sent(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without what preparing added."""
    if "row_hash" not in rows.columns:
        return rows
    return rows.drop(ADDED_COLUMNS, strict=False)


def _part(
    rows: pl.DataFrame, shape: Contract, class_ids: Mapping[str, int]
) -> tuple[pl.DataFrame, str, Mapping[str, int]]:
    if not rows.height:
        return rows, _hash_of(None), {}
    if _is_encodable(rows, shape):
        ordered = sort_rows(rows, shape)
        images = encode_rows(ordered, _content(rows), OP, class_ids)
        if images is not None:
            return images.rows, images.sent.text, images.classes
    return rows, _hash_of(row_sums(rows, _content(rows))), {}


def _is_encodable(rows: pl.DataFrame, shape: Contract) -> bool:
    """Whether the rows are images but for the columns that are made here."""
    if rows.height < PREPARED_ROWS or not all_are(rows, "ADD"):
        return False
    if not _KERNEL_CHANGES.isdisjoint(rows.columns):
        return False
    known = logical_columns(shape, {})
    return all(
        name == OP or name.startswith(PREFIX) or rows.schema[name] == known.get(name)
        for name in rows.columns
    )


def _content(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if name not in _NOT_CONTENT]


def _hash_of(sums: Lanes | None) -> str:
    if sums is None:
        return Fingerprint.zero().text
    return Fingerprint.of(hashes_of(sums)).text
