"""Large uploads staged in the form that tables keep, so they are written once.

Rows that are added whole are images already, all but a few columns: the class
id, the hash, the upload. They are sorted, hashed and staged with those; a merge
that takes every one of them in links the staged files into the change log and
the live table, and encodes nothing again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from lakehouse.contracts import Contract, Layout
from lakehouse.delta.plan import sort_rows
from lakehouse.fingerprint import Fingerprint
from lakehouse.images import images_of
from lakehouse.merging.row_hash import Lanes, hashes_of, row_sums
from lakehouse.merging.rows import logical_columns
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import OP, Operations, all_are

__all__ = ["MADE", "Prepared", "as_sent", "content_hash", "prepare"]

PREPARED_ROWS: Final = 10_000
"""Fewer rows are cheaper to encode twice than to look at."""

MADE: Final = ("class_id", "row_hash")
"""The columns that preparing adds to what was sent."""

_NOT_CONTENT: Final = frozenset({"_row"})
_KERNEL_CHANGES: Final = frozenset({"sensors", "embedding"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """Operations, some of them with hashes, and what a merge must know of those."""

    operations: Operations
    content_hash: str
    """Equal for equal rows, whatever their order; stable across machines."""
    images: tuple[str, ...] = ()
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
        images=tuple(
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
    return rows.drop(MADE, strict=False)


def _part(
    rows: pl.DataFrame, shape: Contract, class_ids: Mapping[str, int]
) -> tuple[pl.DataFrame, str, Mapping[str, int]]:
    if not rows.height:
        return rows, _hash_of(None), {}
    if _is_image(rows, shape):
        ordered = sort_rows(rows, shape)
        images = images_of(ordered, _content(rows), OP, class_ids)
        if images is not None:
            return images.rows, images.sent.text, images.classes
    return rows, _hash_of(row_sums(rows, _content(rows))), {}


def _is_image(rows: pl.DataFrame, shape: Contract) -> bool:
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
