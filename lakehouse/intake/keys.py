"""What makes rows readable at all: known columns, and usable, unrepeated keys.

Faults of this kind refuse the whole call, with every one of them listed, since
a row without a usable frame id cannot be reported, kept or retried by frame.
"""

import difflib
from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from lakehouse.intake.tabular import Table
from lakehouse.model import refusing
from lakehouse.model.ids import (
    NAME_PATTERN,
    any_invalid_id,
    id_problem,
    invalid_id_expr,
)
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problem

__all__ = ["IGNORED", "columns_faults", "frame_ids_of", "ids_faults", "refuse"]

IGNORED: Final = frozenset({"upload_id", "version", "row_hash", "op", "_op", "_sent"})
"""Columns that snapshots, change logs and rejected rows have; accepted, not read."""


def columns_faults(table: Table, known: Collection[str], what: str) -> list[Problem]:
    """Columns that neither the table's contract nor metadata names."""
    faults: list[Problem] = []
    for name in table.columns:
        if name in known or name in IGNORED:
            continue
        field = name.removeprefix(PREFIX)
        if (
            name.startswith(PREFIX)
            and pl.Series([field]).str.contains(NAME_PATTERN).item()
        ):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        if name == "confidence":
            hint = "Confidence belongs to inferences, which go to an inference set. "
        hint += f"Metadata columns are called {PREFIX}<name>, of letters, digits and underscores."
        faults.append(
            Problem(
                None,
                None,
                f"{what}.{name}",
                "column.unknown",
                f"{name!r} is no column of {what}.",
                hint,
            )
        )
    return faults


def frame_ids_of(table: Table) -> pl.Series:
    """The frame ids as text; null where there is none or it is no text."""
    values = table.columns.get("frame_id")
    if values is None:
        return pl.Series("frame_id", [None] * table.height, dtype=pl.String)
    if isinstance(values, pl.Series):
        is_text = values.dtype in {pl.String, pl.Categorical, pl.Enum}
        texts = (
            values.cast(pl.String)
            if is_text
            else pl.Series([None] * len(values), dtype=pl.String)
        )
        # Known once, the order is not looked for again all the way to the files.
        texts = texts.alias("frame_id")
        return texts.set_sorted() if texts.is_sorted() else texts
    known = [value if isinstance(value, str) else None for value in values]
    return pl.Series("frame_id", known, dtype=pl.String)


def ids_faults(table: Table, frame_ids: pl.Series, what: str) -> list[Problem]:
    """Frame ids that are missing, no text, or have characters they may not have."""
    if not any_invalid_id(frame_ids):
        return []
    bad = frame_ids.to_frame().select(invalid_id_expr("frame_id")).to_series()
    sent = table.columns.get("frame_id")
    return [
        Problem(
            frame_ids[place],
            None,
            f"{what}[{place}].frame_id",
            "id.invalid",
            _told(None if sent is None else sent[place]),
            "A frame id is non-empty text without # [ ] ? * , / or control characters.",
        )
        for place in bad.arg_true().to_list()
    ]


def _told(value: object) -> str:
    if value is None:
        return "The row has no frame_id."
    return f"frame_id {value!r} {id_problem(value)}."


def refuse(faults: Sequence[Problem]) -> None:
    """Refuse the whole call if there are faults, listing them.

    Raises:
        InvalidInputError: If there are any.
    """
    refusing.refuse(faults, "Nothing was written: the rows cannot be read.")
