"""The same upload to a dataset as to the model."""

from itertools import groupby
from typing import Any

from lakehouse.draft import Draft
from lakehouse.model.operations import Operations
from lakehouse.testing.model import Sent

__all__ = ["operations_of"]


def operations_of(frames: list[Sent], labels: list[Sent]) -> Operations:
    """The operations that an upload of the model's rows comes to, in their order.

    Raises:
        InvalidInputError: If a frame or label is named twice.
    """
    draft = Draft()
    for sent, rows in _runs(frames):
        if sent.op == "ADD":
            draft.add(rows, if_exists=sent.if_exists)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        elif sent.op == "MODIFY":
            draft.modify(rows, nulls="clear" if sent.clear else "keep")
        else:
            draft.delete([row["frame_id"] for row in rows])
    for sent, rows in _runs(labels):
        if sent.op == "ADD":
            draft.upsert_labels(rows)
        elif sent.op == "MODIFY":
            draft.modify(labels=rows)
        else:
            draft.delete(labels=rows)
    return draft.operations()


def _runs(sent: list[Sent]) -> list[tuple[Sent, list[dict[str, Any]]]]:
    """Neighbours that one call can send."""
    runs: list[tuple[Sent, list[dict[str, Any]]]] = []
    for _, group in groupby(
        sent,
        key=lambda one: (
            one.op,
            one.if_exists,
            one.clear,
            one.clear and tuple(sorted(one.row)),
        ),
    ):
        members = list(group)
        runs.append((members[0], [one.row for one in members]))
    return runs
