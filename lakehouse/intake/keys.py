"""What makes rows readable at all: known columns, and usable, unrepeated keys.

Problems of this kind refuse the whole call, with every one of them listed, since
a row without a usable frame id cannot be reported, kept or retried by frame.
"""

import difflib
import json
import re
from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from lakehouse.intake.columns import shown
from lakehouse.intake.plain import as_text
from lakehouse.intake.tabular import Table
from lakehouse.model.ids import (
    ID_HINT,
    NAME_PATTERN,
    any_invalid_id,
    id_problem,
    invalid_id_expr,
)
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import MIXED, OP, Operations
from lakehouse.model.problems import Problems

IGNORED: Final = frozenset({"upload_id", "version", "row_hash", "op", "_op", "_sent"})
"""Columns that snapshots, change logs and rejected rows have; accepted, not read."""

_MOST_LISTED: Final = (
    1_000  # rows: no one reads more, and a message of all is gigabytes
)

UNREADABLE: Final = "Nothing was written: the rows cannot be read."
"""The first line of the error when a call is refused as a whole."""


def check_columns(
    table: Table, known: Collection[str], what: str, problems: Problems
) -> None:
    """Columns that neither the table's contract nor metadata names."""
    for name in table.columns:
        if name in known or name in IGNORED:
            continue
        field = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and re.fullmatch(NAME_PATTERN, field):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        if name == "confidence":
            hint = "Confidence belongs to inferences, which go to an inference set. "
        hint += f"Metadata columns are called {PREFIX}<name>, of letters, digits and underscores."
        problems.add(
            f"{what}.{name}",
            rule="column.unknown",
            message=f"{name!r} is not a column of {what}.",
            hint=hint,
        )


def frame_ids_of(table: Table) -> pl.Series:
    """The frame ids as text; null where there is none or it is no text."""
    texts = id_texts(table, "frame_id")
    # With the flag set here, no later step compares a million ids to see that they
    # are sorted: kernel, lookup and writer all ask.
    return texts.set_sorted() if texts.is_sorted() else texts


def id_texts(table: Table, name: str) -> pl.Series:
    """A column of ids as text; null where there is none or it cannot be an id."""
    values = table.columns.get(name)
    if isinstance(values, pl.Series):
        # By isinstance: instances of these types are equal to their class, and hash
        # apart from it.
        if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
            return values.cast(pl.String).alias(name)
        values = None
    if values is None:
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, table.height)
    texts = [value if id_problem(value) is None else None for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def invalid_id_message(name: str, value: object) -> str:
    """Why a value that was sent as an id is none."""
    if value is None:
        return f"The row has no {name}."
    return as_text(f"{name} {shown(value)} {id_problem(value)}.")


def check_frame_ids(
    table: Table, frame_ids: pl.Series, what: str, problems: Problems
) -> None:
    """Frame ids that are missing, no text, or have characters they may not have."""
    if not any_invalid_id(frame_ids):
        return
    invalid = frame_ids.to_frame().select(invalid_id_expr("frame_id")).to_series()
    sent = table.columns.get("frame_id")
    places = invalid.arg_true()
    for place in places.head(_MOST_LISTED):
        value = None if sent is None else sent[place]
        problems.add(
            f"{what}[{place}].frame_id",
            rule="id.invalid",
            message=invalid_id_message("frame_id", value),
            hint=ID_HINT,
            frame_id=frame_ids[place],
        )
    problems.count_more(len(places) - _MOST_LISTED)


def combine(parts: Sequence[Operations]) -> Operations:
    """All parts as one set of operations.

    Raises:
        InvalidInputError: If a frame is given twice, or both added and modified
            or deleted, or a label is given twice. All such problems are listed.
    """
    frames = _concat([part.frames for part in parts if part.frames.height])
    labels = _concat([part.labels for part in parts if part.labels.height])
    repeated = Problems()
    _check_repeated(frames, ["frame_id"], repeated)
    _check_repeated(labels, ["frame_id", "label_id"], repeated)
    repeated.raise_if_any(UNREADABLE)
    problems = Problems()
    for part in parts:
        problems.extend(part.problems)
    return Operations(frames, labels, problems.table())


def _concat(parts: list[pl.DataFrame]) -> pl.DataFrame:
    if not parts:
        return pl.DataFrame()
    if len(parts) == 1:
        return parts[0]
    # Field to the columns that carry it: `_mixed__user__x` or `user__x`, and a type.
    # A field with more than one of them cannot be concatenated as a typed column.
    columns: dict[str, set[str]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            field = name.removeprefix(MIXED)
            if field.startswith(PREFIX):
                columns.setdefault(field, set()).add(f"{name} {dtype}")
    mixed = [field for field, kinds in columns.items() if len(kinds) > 1]
    return pl.concat([_to_json_texts(part, mixed) for part in parts], how="diagonal")


def _to_json_texts(rows: pl.DataFrame, fields: list[str]) -> pl.DataFrame:
    """Metadata fields as JSON texts: they have another type in another part."""
    for field in fields:
        if field in rows.columns:
            values = rows.get_column(field).to_list()
            texts = [None if value is None else json.dumps(value) for value in values]
            column = pl.Series(MIXED + field, texts, dtype=pl.String)
            rows = rows.drop(field).with_columns(column)
    return rows


def _check_repeated(rows: pl.DataFrame, key: list[str], problems: Problems) -> None:
    """Keys that are given more than once."""
    if rows.height < 2 or _is_strictly_sorted(rows, key):  # noqa: PLR2004
        return
    # Grouping costs several times what the question does; most calls repeat nothing.
    if not rows.select(pl.struct(key).is_duplicated().any()).item():
        return
    repeated = (
        rows.filter(pl.struct(key).is_duplicated() & pl.col(key[-1]).is_not_null())
        .group_by(key, maintain_order=True)
        .agg(pl.len().alias("times"), pl.col(OP).unique(maintain_order=True))
    )
    what = "label" if len(key) > 1 else "frame"
    for row in repeated.head(_MOST_LISTED).iter_rows(named=True):
        place = f" of frame {row['frame_id']!r}" if what == "label" else ""
        problems.add(
            f"{what}s['{row[key[-1]]}']",
            rule=f"{what}.repeated",
            message=f"The {what}{place} is given {row['times']} times in one upload "
            f"({', '.join(row[OP])}).",
            hint="Combine the rows into one, or send two uploads.",
            frame_id=row["frame_id"],
            label_id=row.get("label_id"),
        )
    problems.count_more(repeated.height - _MOST_LISTED)


def _is_strictly_sorted(rows: pl.DataFrame, key: list[str]) -> bool:
    """Whether each key is above the one before it, so that none is given twice."""
    first, last = rows.get_column(key[0]), rows.get_column(key[-1])
    if first.null_count() or last.null_count() or not first.is_sorted():
        return False
    same = first == first.shift(1)
    return not (same & (last <= last.shift(1))).any()
