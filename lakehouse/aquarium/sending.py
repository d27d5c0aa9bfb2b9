"""From the client's objects to one upload."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import polars as pl

from lakehouse.aquarium.frames import LabeledFrame, UpdateGTLabelSet
from lakehouse.intake import combine, frame_operations, label_operations
from lakehouse.model.operations import Operations

__all__ = ["operations_of"]


def operations_of(
    frames: Iterable[LabeledFrame] = (),
    deleted: Sequence[str] = (),
    label_sets: Iterable[UpdateGTLabelSet] = (),
) -> Operations:
    """Frames, deletions and label sets as the operations of one upload."""
    listed = list(frames)
    parts: list[Operations] = []
    for op in ("ADD", "MODIFY"):
        rows = [frame.to_row() for frame in listed if frame.update_type == op]
        if rows:
            parts.append(_frames(rows, op))
    gone = [*deleted, *(f.frame_id for f in listed if f.update_type == "DELETE")]
    if gone:
        parts.append(_frames([{"frame_id": frame_id} for frame_id in gone], "DELETE"))
    owners: list[LabeledFrame | UpdateGTLabelSet] = [
        frame for frame in listed if frame.update_type != "DELETE"
    ]
    owners += label_sets
    labels = [
        {"frame_id": owner.frame_id, **label}
        for owner in owners
        for label in owner.labels.values()
    ]
    labels.sort(key=lambda label: str(label["_op"]))
    for op, group in groupby(labels, key=lambda label: str(label["_op"])):
        parts.append(_labels(list(group), op))
    return combine(parts)


def _frames(rows: list[dict[str, Any]], op: Any) -> Operations:
    taken, problems = frame_operations(rows, op=op)
    return Operations(taken, pl.DataFrame(), problems)


def _labels(rows: list[dict[str, Any]], op: Any) -> Operations:
    bare = [
        {name: value for name, value in row.items() if name != "_op"} for row in rows
    ]
    taken, problems = label_operations(bare, op=op)
    return Operations(pl.DataFrame(), taken, problems)
