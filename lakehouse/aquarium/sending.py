"""From the client's objects, or rows of captured files, to one upload."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from lakehouse.aquarium.frames import LabeledFrame, UpdateGTLabelSet
from lakehouse.intake import combine, frame_operations, label_operations
from lakehouse.model.metadata import MetadataType
from lakehouse.model.operations import MIXED, Operations
from lakehouse.model.problems import Problem, problems_to_frame

__all__ = ["Rows", "operations_of", "unknown_frames"]

Op = Literal["ADD", "MODIFY", "DELETE"]
OPS: Final[tuple[Op, ...]] = ("ADD", "MODIFY", "DELETE")


@dataclass(slots=True)
class Rows:
    """Native rows by operation, on their way into one upload."""

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
        """Everything, as the operations of one upload.

        Raises:
            InvalidInputError: If rows cannot be read, or contradict each other.
        """
        parts = [Operations.empty()]
        for op in OPS:
            if rows := self.frames.get(op):
                taken, problems = frame_operations(rows, op=op)
                typed = self._typed(taken, rows)
                parts.append(Operations(typed, pl.DataFrame(), problems))
            if rows := self.labels.get(op):
                taken, problems = label_operations(rows, op=op)
                parts.append(Operations(pl.DataFrame(), taken, problems))
        told = problems_to_frame(self.problems)
        parts.append(Operations(pl.DataFrame(), pl.DataFrame(), told))
        return combine(parts)

    def _typed(
        self, taken: pl.DataFrame, rows: Sequence[Mapping[str, Any]]
    ) -> pl.DataFrame:
        """Lists under their declared type, which an empty one does not show."""
        for name, kinds in self.types.items():
            kind = MetadataType.from_name(next(iter(kinds)))
            if len(kinds) == 1 and kind.is_list and f"{MIXED}{name}" in taken.columns:
                values = [row.get(name) for row in rows]
                column = pl.Series(name, values, dtype=kind.dtype)
                taken = taken.drop(f"{MIXED}{name}").with_columns(column)
        return taken


def operations_of(
    frames: Iterable[LabeledFrame] = (),
    deleted: Iterable[str] = (),
    label_sets: Iterable[UpdateGTLabelSet] = (),
    problems: Iterable[Problem] = (),
) -> Operations:
    """Frames, deletions and label sets as the operations of one upload."""
    rows = Rows(problems=list(problems))
    owners: list[LabeledFrame | UpdateGTLabelSet] = []
    for frame in frames:
        is_gone = frame.update_type == "DELETE"
        row = {"frame_id": frame.frame_id} if is_gone else frame.to_row()
        rows.add_frame(frame.update_type, row, frame.types)
        if not is_gone:
            owners.append(frame)
    for frame_id in deleted:
        rows.add_frame("DELETE", {"frame_id": frame_id})
    for owner in (*owners, *label_sets):
        for label in owner.labels.values():
            row = {name: value for name, value in label.items() if name != "_op"}
            rows.add_label(label["_op"], {"frame_id": owner.frame_id, **row})
    return rows.operations()


def unknown_frames(frame_ids: Iterable[str], dataset: str) -> list[Problem]:
    """Warnings for frames left out because the dataset does not have them."""
    return [
        Problem(
            frame_id,
            None,
            f"frames['{frame_id}']",
            "frame.unknown",
            f"The frame is not in dataset {dataset!r}; its changes were left out.",
            "Add the frame first, or correct its id.",
            "warning",
        )
        for frame_id in frame_ids
    ]
