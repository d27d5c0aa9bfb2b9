"""Operations on a dataset, from the rows that the model is sent."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import polars as pl

from lakehouse.model.operations import Operations
from lakehouse.testing.rows import exact
from lakehouse.testing.state import Sent
from lakehouse.uploads.draft import Draft

Rows = list[dict[str, Any]]


def operations_of(
    frames: Sequence[Sent], labels: Sequence[Sent], *, as_tables: bool = False
) -> Operations:
    """The operations of an upload of the model's rows, in their order.

    Args:
        frames: The rows of frames.
        labels: The rows of labels.
        as_tables: Send DataFrames where these hold the same values, dicts otherwise.

    Raises:
        InvalidInputError: If a frame or label is named twice, or a row cannot
            be read.
    """
    draft = Draft()
    for sent, rows in _runs(frames):
        data = _table(rows) if as_tables else rows
        if sent.op == "ADD":
            draft.add(data, if_exists=sent.if_exists)
        elif sent.op == "MODIFY":
            draft.modify(data, nulls="clear" if sent.clear else "keep")
        else:
            draft.delete(data)
    for sent, rows in _runs(labels):
        data = _table(rows) if as_tables else rows
        if sent.op == "ADD":
            draft.upsert_labels(data)
        elif sent.op == "MODIFY":
            draft.modify(labels=data, nulls="clear" if sent.clear else "keep")
        else:
            draft.delete(labels=data)
    return draft.operations()


def _runs(sent: Sequence[Sent]) -> list[tuple[Sent, Rows]]:
    """Consecutive rows that one call can send."""
    runs: list[tuple[Sent, Rows]] = []
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


def _table(rows: Rows) -> Rows | pl.DataFrame:
    """The rows as a DataFrame, where its values are the same."""
    names = dict.fromkeys(name for row in rows for name in row)
    full = [{name: row.get(name) for name in names} for row in rows]
    try:
        made = pl.DataFrame(full, strict=True, infer_schema_length=None)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        return rows
    flat = [name for name, dtype in made.schema.items() if not dtype.is_nested()]
    back = made.select(flat).to_dicts()
    same = [{name: row[name] for name in flat} for row in full]
    lists = [name for name in names if name.startswith("user__") and name not in flat]
    return rows if lists or exact(back) != exact(same) else made
