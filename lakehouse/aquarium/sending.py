"""The client's objects, or rows of captured files, become the operations of one upload."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from lakehouse.aquarium.base_frame import BaseFrame
from lakehouse.aquarium.labels import LabelAdder
from lakehouse.errors import Problem
from lakehouse.intake import combine, frame_operations, label_operations
from lakehouse.model.contracts import DATASET, Layout
from lakehouse.model.metadata import MetadataType
from lakehouse.model.operations import KEEPS_VECTOR, MIXED, Operations
from lakehouse.model.problems import Problems

Op = Literal["ADD", "MODIFY", "DELETE"]
OPS: Final[tuple[Op, ...]] = ("ADD", "MODIFY", "DELETE")


@dataclass(slots=True)
class Rows:
    """Native rows by operation, on their way into one upload.

    A row that is to keep its stored vector has `_keeps_vector`.
    """

    layout: Layout = DATASET
    """The layout of the target: a dataset's or an inference set's."""
    frames: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )
    labels: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )
    types: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Metadata column to the types that frames declared for it."""
    problems: list[Problem] = field(default_factory=list[Problem])

    def add_frame(
        self, op: str, row: dict[str, Any], types: Mapping[str, str] | None = None
    ) -> None:
        """Add a frame, and the types of its metadata."""
        self.frames.setdefault(op, []).append(row)
        for name, kind in (types or {}).items():
            self.types.setdefault(name, set()).add(kind)

    def add_label(self, op: str, row: dict[str, Any]) -> None:
        """Add a label."""
        self.labels.setdefault(op, []).append(row)

    def operations(self) -> Operations:
        """All rows as the operations of one upload.

        Raises:
            InvalidInputError: If rows cannot be read, or contradict each other.
        """
        parts = [Operations.empty()]
        for op in OPS:
            if rows := self.frames.get(op):
                taken, problems = frame_operations(
                    _plain(rows), op=op, layout=self.layout
                )
                typed = self._typed(_keeping(taken, rows), rows)
                parts.append(Operations(typed, pl.DataFrame(), problems))
            if rows := self.labels.get(op):
                taken, problems = label_operations(
                    _plain(rows), op=op, layout=self.layout
                )
                kept = _keeping(taken, rows)
                parts.append(Operations(pl.DataFrame(), kept, problems))
        collected = Problems(self.problems).table()
        parts.append(Operations(pl.DataFrame(), pl.DataFrame(), collected))
        return combine(parts)

    def _typed(
        self, taken: pl.DataFrame, rows: Sequence[Mapping[str, Any]]
    ) -> pl.DataFrame:
        """Lists as columns of their declared type.

        An empty list has no type to infer, so intake marks its column as mixed.
        """
        for name, kinds in self.types.items():
            kind = MetadataType.from_name(next(iter(kinds)))
            # Frames that declare different types are left to intake, which reports them.
            if len(kinds) == 1 and kind.is_list and f"{MIXED}{name}" in taken.columns:
                values = [row.get(name) for row in rows]
                column = pl.Series(name, values, dtype=kind.dtype)
                taken = taken.drop(f"{MIXED}{name}").with_columns(column)
        return taken


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the mark for stored vectors, which intake does not know."""
    if not any(KEEPS_VECTOR in row for row in rows):
        return rows
    return [
        {name: value for name, value in row.items() if name != KEEPS_VECTOR}
        for row in rows
    ]


def _keeping(taken: pl.DataFrame, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The operations with the mark for rows that keep their stored vector."""
    # Intake keeps the order of rows, so the marks are put beside them.
    keeps = [bool(row.get(KEEPS_VECTOR)) for row in rows]
    return taken.with_columns(pl.Series(KEEPS_VECTOR, keeps)) if any(keeps) else taken


def operations_of(
    frames: Iterable[BaseFrame] = (),
    deleted: Iterable[str] = (),
    label_sets: Iterable[LabelAdder] = (),
    problems: Iterable[Problem] = (),
    layout: Layout = DATASET,
) -> Operations:
    """Frames, deletions and label sets as the operations of one upload."""
    # Warnings of the caller travel with the upload, and are listed by its errors().
    rows = Rows(layout, problems=list(problems))
    for frame in frames:
        if frame.update_type == "DELETE":
            rows.add_frame("DELETE", {"frame_id": frame.frame_id})
            continue
        # A MODIFY keeps what it does not set, the vector too; only an ADD must ask.
        keeps = frame.update_type == "ADD" and frame.reuse_latest_embedding
        kept = {KEEPS_VECTOR: True} if keeps else {}
        rows.add_frame(frame.update_type, frame.to_row() | kept, frame.types)
        _add_labels(rows, frame, kept)
    for frame_id in deleted:
        rows.add_frame("DELETE", {"frame_id": frame_id})
    for label_set in label_sets:
        # A frame row without fields is needed only where no label names the frame.
        if label_set.fields or not label_set.labels:
            rows.add_frame("MODIFY", label_set.to_row(), label_set.types)
        _add_labels(rows, label_set, {})
    return rows.operations()


def _add_labels(rows: Rows, owner: LabelAdder, kept: Mapping[str, Any]) -> None:
    for label in owner.labels.values():
        row = {name: value for name, value in label.items() if name != "_op"}
        rows.add_label(label["_op"], {"frame_id": owner.frame_id, **row, **kept})


def unknown_frames(frame_ids: Iterable[str], target: str) -> list[Problem]:
    """Warnings for frames left out because the dataset or set does not have them."""
    return [
        Problem(
            frame_id,
            None,
            f"frames['{frame_id}']",
            "frame.unknown",
            f"The frame is not in {target!r}; its changes were left out.",
            "Add the frame first, or correct its id.",
            "warning",
        )
        for frame_id in frame_ids
    ]
