"""Large uploads prepared in the form that tables keep, so they are encoded once.

Rows that are added complete are table rows already, all but a few columns: the
class id, the hash, the upload id. They are sorted, hashed and staged with those; a
merge that takes every one of them in links the staged files into the change log
and the live table, and encodes nothing again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.writer import sort_rows
from lakehouse.merging.rows import all_are, logical_columns
from lakehouse.model.contracts import Contract, Layout
from lakehouse.model.labels import MASK_CLASS
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import OP, Operations
from lakehouse.model.row_hash import (
    Fingerprint,
    Lanes,
    by_chunks,
    hashes_of,
    mix,
    row_sums,
)

PREPARED_ROWS: Final = 10_000
"""Fewer rows are cheaper to encode twice than to check and hash in advance."""

ADDED_COLUMNS: Final = ("class_id", "row_hash")
"""The columns that preparing adds to what was sent."""

_NO_ID: Final = -1
"""In arrays of class ids, which have no nulls: the label has no class with an id."""

_NOT_CONTENT: Final = frozenset({"_row"})
"""Columns that say where a row came from, and nothing of what it is."""

_KERNEL_CHANGES: Final = frozenset({"sensors", "embedding"})
"""Columns that the kernel turns into others: rows with them cannot be used as they are."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Operations as they are to be staged, and what is known of them."""

    operations: Operations
    content_hash: str
    """Equal for equal rows, whatever their order; stable across machines."""
    encoded_parts: tuple[str, ...] = ()
    """The parts (frames, labels) that are in the form of their table."""
    classes: Mapping[str, int] = field(default_factory=dict[str, int])
    """The classes of the labels, with the ids that they were given."""


def prepare(
    operations: Operations, class_ids: Mapping[str, int], layout: Layout
) -> Prepared:
    """Put large parts whose rows are added complete into the form of their table.

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
        # Sorted already here, since the files are taken as they are: bounds of their
        # keys let lookups skip them.
        ordered = sort_rows(rows, shape)
        encoded = encode_rows(ordered, _content(rows), OP, class_ids)
        if encoded is not None:
            return encoded.rows, encoded.sent.text, encoded.classes
    return rows, _hash_of(row_sums(rows, _content(rows))), {}


def _is_encodable(rows: pl.DataFrame, shape: Contract) -> bool:
    """Whether the rows are table rows but for the columns that are added here."""
    if rows.height < PREPARED_ROWS or not all_are(rows, "ADD"):
        return False
    if not _KERNEL_CHANGES.isdisjoint(rows.columns):
        return False
    # Metadata are not compared: their types are the collection's, and the merge checks
    # them.
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


# ------------------------ HASHES AND CLASS IDS OF ROWS ------------------------ #


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows in the form of their table, and what is known of them."""

    rows: pl.DataFrame
    """With `row_hash`, and `class_id` where they have a `class_name`."""
    sent: Fingerprint
    """Fingerprint of the rows as they were sent: their content and operation."""
    classes: Mapping[str, int]
    """The classes of the rows, with the ids that they were given."""


def encode_rows(
    rows: pl.DataFrame, content: Sequence[str], op: str, class_ids: Mapping[str, int]
) -> EncodedRows | None:
    """Rows with their hash and class id; None if one names an unknown class.

    The kernel has to reject that row, so encoding the others is of no use.

    Args:
        rows: In their table's order.
        content: The columns that were sent.
        op: The column of the operation; it is the same in every row.
        class_ids: Known classes.
    """
    hashing = _Hashing(rows, content, op, class_ids)
    parts = by_chunks(hashing.work, rows.height)
    complete = [part for part in parts if part is not None]
    if len(complete) < len(parts):
        return None
    added = [pl.Series("row_hash", hashing.hashes)]
    if hashing.codes:
        added.append(hashing.codes.column(hashing.ids))
    return EncodedRows(
        rows.with_columns(added), sum(complete, Fingerprint.zero()), hashing.classes()
    )


class _Hashing:
    """The columns to be added, filled chunk by chunk, in threads.

    A hash is a sum of one number a column, mixed at the end. So the sum over the
    columns that both hashes share is computed once: the hash of the row as sent adds
    the operation and the class name, the hash of the table row adds the class id.
    """

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
        # Every row has the same operation, so one row shows what it adds to each sum.
        self._operation = row_sums(rows.head(1), [op])
        self._used: set[int] = set()
        self.hashes = np.empty(rows.height, dtype=np.int64)
        self.ids = np.empty(rows.height if self.codes else 0, dtype=np.int64)

    def work(self, chunk: slice) -> Fingerprint | None:
        """Fill a chunk; None if it has an unknown class."""
        sums, table_sums = row_sums(self._rows[chunk], self._plain), None
        if self.codes:
            names = self._rows.get_column("class_name")[chunk]
            codes = self.codes.of(names)
            if codes is None:
                return None
            self._used.update(np.flatnonzero(np.bincount(codes)).tolist())
            self.ids[chunk] = self.codes.ids[codes]
            # Added in place: the class name is content in both hashes.
            sums += self.codes.name_lanes[codes]
            table_sums = sums + self.codes.id_lanes[codes]
        sent = mix(sums + self._operation)
        self.hashes[chunk] = _bits(mix(sums if table_sums is None else table_sums))
        return Fingerprint.of_array(_bits(sent))

    def classes(self) -> dict[str, int]:
        """The classes of the rows, with their ids."""
        return self.codes.named(self._used) if self.codes else {}


def _bits(lanes: Lanes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return lanes.view(np.int64)


class ClassCodes:
    """Codes for the class of each label: the known classes, whole masks, then no class.

    A label's class is hashed by looking its code up in arrays of a few entries,
    instead of hashing the same few names once a row.

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
        """Shape (codes,): the class id of each code."""
        self.name_lanes = row_sums(names.to_frame(), ["class_name"])
        """Shape (codes,): what `class_name` adds to the hash of a row."""
        self.id_lanes = row_sums(ids.to_frame(), ["class_id"])
        """Shape (codes,): what `class_id` adds to it."""

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
        column = pl.Series("class_id", ids)
        if ids.size and ids.min() == _NO_ID:
            return column.set(column == _NO_ID, None)
        return column
