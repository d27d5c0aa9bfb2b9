"""What formats are read into and written from, and what they lose.

    files  →  Content  →  an upload
    a snapshot  →  Source  →  files

A format knows neither datasets nor snapshots. Its `Form` lists what it has room for;
what does not fit is counted in `Losses` before the first file is written.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.model.class_map import ClassMap
from lakehouse.model.metadata import PREFIX
from lakehouse.storage import collect, collect_all
from lakehouse.storage.media import Media
from lakehouse.types import FrameLike, LabelLike, Progress

EXTRA: Final = "lakehouse"
"""The member that holds what a format has no field for."""

LOSS_SCHEMA: Final = pl.Schema(
    {
        "table": pl.String(),
        "field": pl.String(),
        "rows": pl.Int64(),
        "reason": pl.String(),
    }
)
"""`table` is frames, labels or classes; `rows` counts those that lose something."""

_BATCH_FRAMES: Final = 2_000
"""Frames in memory at once, with their labels; rows are dicts by then."""

# Keys are carried by every format in its own way, and a type by the shape of a label.
_KEYS: Final = frozenset({"frame_id", "label_id", "label_type", "class_id"})

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")

Row = dict[str, Any]
"""A frame or label: column to value, without nulls."""


# ---------------------------------- CONTENT --------------------------------- #


@dataclass(frozen=True, slots=True)
class Content:
    """What was read from files."""

    frames: FrameLike
    """Rows as `dataset.add` takes them."""
    labels: LabelLike
    """Rows as `dataset.add` takes them."""
    classes: tuple[str, ...] = ()
    """The classes that the files list, and those of the labels."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a format has room for."""

    title: str
    """The name of the format in sentences."""
    frames: frozenset[str] | None = None
    """The columns of frames that it has fields for; None for all."""
    labels: Mapping[str, frozenset[str] | None] | None = None
    """Each label type that it has, with the columns it has fields for; None for all."""
    metadata: bool = True
    """Whether it has fields for metadata."""
    vectors: bool = False
    """Whether it has fields for embeddings."""
    typed: bool = False
    """Whether it keeps the type of a column in which every list is empty."""
    media: bool = False
    """Whether its readers need the images beside it."""


class Losses:
    """Counts of rows that lose a field; equal losses are added up.

    >>> losses = Losses()
    >>> losses.add("labels", "area", 2, "YOLO has none.")
    >>> losses.add("labels", "area", 1, "YOLO has none.")
    >>> losses.to_frame()["rows"].to_list()
    [3]
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}

    def add(self, table: str, field: str, rows: int, reason: str) -> None:
        """Count rows that lose a field; of no rows nothing is kept."""
        if rows:
            key = (table, field, reason)
            self._counts[key] = self._counts.get(key, 0) + rows

    def to_frame(self) -> pl.DataFrame:
        """A row for each loss, with `LOSS_SCHEMA`."""
        rows = [
            (table, field, count, reason)
            for (table, field, reason), count in self._counts.items()
        ]
        return pl.DataFrame(rows, schema=LOSS_SCHEMA, orient="row")


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a snapshot, on their way into files."""

    frames: pl.LazyFrame
    labels: pl.LazyFrame
    frame_embeddings: pl.LazyFrame
    label_embeddings: pl.LazyFrame
    classes: ClassMap
    """The classes under their present names."""
    media: Media = field(default_factory=Media)

    def renamed(self, losses: Losses) -> "Source":
        """The same with every label under the present name of its class."""
        present = {number: name for name, number in self.classes.ids.items()}
        names = pl.col("class_id").replace_strict(
            present, default=None, return_dtype=pl.String
        )
        # Labels of classes that were never in the class map keep the name they have.
        named = pl.coalesce(names, "class_name")
        differs = named.ne_missing(pl.col("class_name"))
        count = collect(self.labels.select(differs.sum())).item()
        reason = "Their class was renamed since; they have its present name."
        losses.add("labels", "class_name", int(count or 0), reason)
        labels = self.labels.with_columns(named.alias("class_name"))
        return replace(self, labels=labels)

    def batches(self, progress: Progress) -> Iterator[list[tuple[Row, list[Row]]]]:
        """Frames in the order of their ids, each with its labels, some at a time."""
        ids = collect(self.frames.select("frame_id").sort("frame_id"))["frame_id"]
        for start in range(0, len(ids), _BATCH_FRAMES):
            batch = ids[start : start + _BATCH_FRAMES]
            # A range of ids, not a list: statistics rule out files and row groups.
            within = pl.col("frame_id").is_between(pl.lit(batch[0]), pl.lit(batch[-1]))
            frames, labels = collect_all(
                [
                    self.frames.filter(within).sort("frame_id"),
                    self.labels.filter(within).drop("class_id", strict=False)
                    .sort("frame_id", "label_id"),
                ]
            )  # fmt: skip
            by_frame = {
                frame_id: list(group)
                for frame_id, group in groupby(_rows(labels), itemgetter("frame_id"))
            }
            yield [(row, by_frame.get(row["frame_id"], [])) for row in _rows(frames)]
            progress("frames", start + len(batch), len(ids))


def _rows(table: pl.DataFrame) -> list[Row]:
    return [plain(row) for row in table.iter_rows(named=True)]


@dataclass(frozen=True, slots=True)
class Target:
    """Where files are written, and with what."""

    folder: Path
    losses: Losses
    progress: Progress
    media: bool
    """Whether images are written too."""
    split: str | None = None
    """The metadata field of frames that holds the part (train, val) of each."""

    def part_of(self, row: Row) -> str | None:
        """The part that a frame belongs to; None where there are no parts."""
        if self.split is None:
            return None
        return str(row.get(PREFIX + self.split) or "unassigned")


# ----------------------------------- LOSSES --------------------------------- #


def count_losses(form: Form, source: Source, losses: Losses) -> Source:
    """Count what a format has no room for.

    Returns:
        The source without labels of types that the format does not have.
    """
    frames, labels = collect_all(
        [
            source.frames.select(pl.all().count()),
            source.labels.group_by("label_type").agg(
                pl.len().alias("_all"), pl.exclude("label_type").count()
            ),
        ]
    )
    for name, count in (frames.row(0, named=True) if frames.height else {}).items():
        if name not in _KEYS and not _has(form, form.frames, name):
            losses.add("frames", name, count, f"{form.title} has no field for it.")
    for row in labels.sort("label_type").iter_rows(named=True):
        kind, count = row.pop("label_type"), row.pop("_all")
        if form.labels is not None and kind not in form.labels:
            losses.add("labels", "label_type", count, f"{form.title} has no {kind}.")
            continue
        columns = None if form.labels is None else form.labels[kind]
        for name, values in row.items():
            if name not in _KEYS and not _has(form, columns, name):
                losses.add("labels", name, values, f"{form.title} has no field for it.")
    if not form.vectors:
        _count_vectors(form, source, losses)
    if form.metadata and not form.typed:
        _count_untyped_lists(source, losses)
    if form.labels is None:
        return source
    fitting = source.labels.filter(pl.col("label_type").is_in(list(form.labels)))
    return replace(source, labels=fitting)


def _has(form: Form, columns: frozenset[str] | None, name: str) -> bool:
    if name.startswith(PREFIX):
        return form.metadata
    return columns is None or name in columns


def _count_vectors(form: Form, source: Source, losses: Losses) -> None:
    counts = collect_all(
        rows.select(pl.len())
        for rows in (source.frame_embeddings, source.label_embeddings)
    )
    for table, count in zip(("frames", "labels"), counts, strict=True):
        reason = f"{form.title} has no field for vectors."
        losses.add(table, "embedding", count.item(), reason)


def _count_untyped_lists(source: Source, losses: Losses) -> None:
    """Metadata fields whose every value is an empty list are read back as nothing."""
    for table, rows in (("frames", source.frames), ("labels", source.labels)):
        # Parquet would keep the type; JSON and CSV show `[]`, which says nothing of it.
        lists = [
            name
            for name, dtype in rows.collect_schema().items()
            if name.startswith(PREFIX) and isinstance(dtype, pl.List)
        ]
        # A column and its longest list: a space cannot be in the name of a field.
        query = rows.select(
            *(pl.col(name).count() for name in lists),
            *(pl.col(name).list.len().max().alias(f"{name} ") for name in lists),
        )
        counts = collect(query).row(0, named=True) if lists else {}
        for name in lists:
            if not counts[f"{name} "]:
                reason = "Every value is an empty list, so the type is not known."
                losses.add(table, name, counts[name], reason)


# ------------------------------------ ROWS ---------------------------------- #


def plain(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    """A value as JSON has it: moments as ISO 8601 text, no fields that are null.

    >>> plain({"a": None, "b": [1, {"c": None}]})
    {'b': [1, {}]}
    """
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def extra_fields(row: Row, back: Row) -> Row:
    """The fields of a row that differ when it is read back; None where it has none.

    Args:
        row: The row as it is.
        back: The row as it would be read from the format's own fields.

    >>> extra_fields({"a": 1, "b": True}, {"a": 1, "b": 1, "c": 0})
    {'b': True, 'c': None}
    """
    return {
        name: row.get(name)
        for name in dict.fromkeys((*row, *back))
        # In Python, True equals 1 and 1 equals 1.0; in a column they are not the same.
        if row.get(name) != back.get(name)
        or type(row.get(name)) is not type(back.get(name))
    }


def with_extra(back: Row, extra: Mapping[str, Any] | None) -> Row:
    """The row whose `extra_fields` were kept beside what is read back."""
    row = back | dict(extra or {})
    return {name: value for name, value in row.items() if value is not None}


def to_json(value: object) -> str:
    """A value as JSON text on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def user_fields(row: Row) -> Row:
    """The metadata of a row, without the prefix of their columns."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in row.items()
        if name.startswith(PREFIX)
    }


def metadata_of(fields: Mapping[str, Any], table: str, losses: Losses) -> Row:
    """Fields of another tool as metadata; values that metadata cannot have are lost.

    Args:
        fields: Name to value.
        table: The table that they are of: frames or labels.
        losses: Where lost values are counted.
    """
    row: Row = {}
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(x, list | dict) for x in value)
        ):
            losses.add(table, name, 1, "Metadata are text, numbers, or lists of them.")
            continue
        row[PREFIX + _NOT_IN_NAMES.sub("_", name)] = value
    return row
