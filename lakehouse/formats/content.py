"""What formats are read into and written from.

    files  →  Content  →  an upload
    a snapshot  →  Source  →  files

A format knows neither datasets nor snapshots. It says in its `Form` what it has
room for; what does not fit is counted as lost before the first file is written.
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

LOSS_SCHEMA: Final = pl.Schema(
    {
        "table": pl.String(),
        "field": pl.String(),
        "rows": pl.Int64(),
        "reason": pl.String(),
    }
)
"""`table` is frames, labels or classes; `rows` counts those that lose something."""


class Losses:
    """Losses as they are found; equal ones are added up.

    >>> losses = Losses()
    >>> losses.add("labels", "area", 2, "YOLO has none.")
    >>> losses.add("labels", "area", 1, "YOLO has none.")
    >>> losses.to_frame()["rows"].to_list()
    [3]
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], int] = {}

    def add(self, table: str, field: str, rows: int, reason: str) -> None:
        """Tell that rows lose a field; none is no loss."""
        if rows:
            key = (table, field, reason)
            self._found[key] = self._found.get(key, 0) + rows

    def to_frame(self) -> pl.DataFrame:
        """A row a loss, with `LOSS_SCHEMA`."""
        rows = [
            (table, field, count, reason)
            for (table, field, reason), count in self._found.items()
        ]
        return pl.DataFrame(rows, schema=LOSS_SCHEMA, orient="row")


Row = dict[str, Any]
"""A frame or label: column to value, without nulls."""

BESIDE: Final = "lakehouse"
"""The member that holds what a format has no field for."""

_ODD: Final = re.compile(r"[^A-Za-z0-9_]")


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


def beside(row: Row, back: Row) -> Row:
    """The fields of a row that differ from what would be read back; null for none."""
    names = dict.fromkeys((*row, *back))
    return {name: row.get(name) for name in names if _differ(row, back, name)}


def _differ(row: Row, back: Row, name: str) -> bool:
    """Whether values differ; `True` is not 1."""
    mine, theirs = row.get(name), back.get(name)
    return mine != theirs or type(mine) is not type(theirs)


def completed(back: Row, extra: Mapping[str, Any] | None) -> Row:
    """A row as it was, from what a format told and what was kept beside."""
    row = back | dict(extra or {})
    return {name: value for name, value in row.items() if value is not None}


def dumped(value: object) -> str:
    """A value as JSON text on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def user_fields(row: Row) -> Row:
    """The metadata of a row, under its own names."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in row.items()
        if name.startswith(PREFIX)
    }


def metadata_of(fields: Mapping[str, Any], table: str, losses: Losses) -> Row:
    """Fields of another tool as metadata; what metadata cannot be is a loss.

    Args:
        fields: Name to value.
        table: Whose they are: frames or labels.
        losses: Where the others are told.
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
        row[PREFIX + _ODD.sub("_", name)] = value
    return row


_BATCH: Final = 2_000
"""Frames whose rows are in memory at once."""

_KEY: Final = frozenset({"frame_id", "label_id", "label_type", "class_id"})


@dataclass(frozen=True, slots=True)
class Content:
    """What was read from files."""

    frames: FrameLike
    """Rows as `dataset.add` takes them."""
    labels: LabelLike
    classes: tuple[str, ...] = ()
    """The classes that the files list, and those that labels are of."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a format has room for."""

    title: str
    """What it is called in sentences."""
    frames: frozenset[str] | None = None
    """The columns of frames that it tells; None for all."""
    labels: Mapping[str, frozenset[str] | None] | None = None
    """The label types that it tells, and which columns of each; None for all."""
    metadata: bool = True
    """Whether metadata columns go along."""
    vectors: bool = False
    """Whether embeddings go along."""
    typed: bool = False
    """Whether columns keep their types where no value tells them."""
    media: bool = False
    """Whether it is of no use without the images beside it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a snapshot, on their way into files."""

    frames: pl.LazyFrame
    labels: pl.LazyFrame
    frame_embeddings: pl.LazyFrame
    label_embeddings: pl.LazyFrame
    classes: ClassMap
    """As they are called now."""
    media: Media = field(default_factory=Media)

    def renamed(self, losses: Losses) -> "Source":
        """The same with every label under the name that its class has now."""
        now = {number: name for name, number in self.classes.ids.items()}
        names = pl.col("class_id").replace_strict(
            now, default=None, return_dtype=pl.String
        )
        named = pl.coalesce(names, "class_name")
        differs = named.ne_missing(pl.col("class_name"))
        count = collect(self.labels.select(differs.sum())).item()
        reason = "Their class has another name by now, and is called by that."
        losses.add("labels", "class_name", int(count or 0), reason)
        labels = self.labels.with_columns(named.alias("class_name"))
        return replace(self, labels=labels)

    def batches(self, progress: Progress) -> Iterator[list[tuple[Row, list[Row]]]]:
        """Frames in the order of their ids, each with its labels, some at a time."""
        ids = collect(self.frames.select("frame_id").sort("frame_id"))["frame_id"]
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            within = pl.col("frame_id").is_between(pl.lit(batch[0]), pl.lit(batch[-1]))
            frames, labels = collect_all(
                [
                    self.frames.filter(within).sort("frame_id"),
                    self.labels.filter(within).drop("class_id", strict=False)
                    .sort("frame_id", "label_id"),
                ]
            )  # fmt: skip
            its = {
                frame_id: list(group)
                for frame_id, group in groupby(_rows(labels), itemgetter("frame_id"))
            }
            yield [(row, its.get(row["frame_id"], [])) for row in _rows(frames)]
            progress("frames", start + len(batch), len(ids))


@dataclass(frozen=True, slots=True)
class Target:
    """Where files are written, and what is told of them."""

    folder: Path
    losses: Losses
    progress: Progress
    media: bool
    """Whether images are written too."""
    split: str | None = None
    """The metadata field of frames that names the part (train, val) of each."""

    def part_of(self, row: Row) -> str | None:
        """The part that a frame belongs to; None where there are no parts."""
        if self.split is None:
            return None
        return str(row.get(PREFIX + self.split) or "unassigned")


def losses_of(form: Form, source: Source, losses: Losses) -> Source:
    """Count what the format has no room for; the source without labels of such types."""
    told, labels = collect_all(
        [
            source.frames.select(pl.all().count()),
            source.labels.group_by("label_type").agg(
                pl.len().alias("_all"), pl.exclude("label_type").count()
            ),
        ]
    )
    for name, count in (told.row(0, named=True) if told.height else {}).items():
        if name not in _KEY and not _has(form, form.frames, name):
            losses.add("frames", name, count, f"{form.title} has no field for it.")
    for row in labels.sort("label_type").iter_rows(named=True):
        kind, count = row.pop("label_type"), row.pop("_all")
        if form.labels is not None and kind not in form.labels:
            losses.add("labels", "label_type", count, f"{form.title} has no {kind}.")
            continue
        columns = None if form.labels is None else form.labels[kind]
        for name, filled in row.items():
            if name not in _KEY and not _has(form, columns, name):
                losses.add("labels", name, filled, f"{form.title} has no field for it.")
    if not form.vectors:
        _lost_vectors(form, source, losses)
    if form.metadata and not form.typed:
        _lost_types(source, losses)
    if form.labels is None:
        return source
    fitting = source.labels.filter(pl.col("label_type").is_in(list(form.labels)))
    return replace(source, labels=fitting)


def _has(form: Form, columns: frozenset[str] | None, name: str) -> bool:
    if name.startswith(PREFIX):
        return form.metadata
    return columns is None or name in columns


def _lost_vectors(form: Form, source: Source, losses: Losses) -> None:
    counts = collect_all(
        rows.select(pl.len())
        for rows in (source.frame_embeddings, source.label_embeddings)
    )
    for table, count in zip(("frames", "labels"), counts, strict=True):
        reason = f"{form.title} has no field for vectors."
        losses.add(table, "embedding", count.item(), reason)


def _lost_types(source: Source, losses: Losses) -> None:
    """Metadata of which every value is an empty list come back as nothing."""
    for table, rows in (("frames", source.frames), ("labels", source.labels)):
        lists = [
            name
            for name, dtype in rows.collect_schema().items()
            if name.startswith(PREFIX) and isinstance(dtype, pl.List)
        ]
        told = rows.select(
            *(pl.col(name).count() for name in lists),
            *(pl.col(name).list.len().max().alias(f"{name} ") for name in lists),
        )
        facts = collect(told).row(0, named=True) if lists else {}
        for name in lists:
            if not facts[f"{name} "]:
                reason = "Every value is an empty list, which tells no type."
                losses.add(table, name, facts[name], reason)


def _rows(table: pl.DataFrame) -> list[Row]:
    return [plain(row) for row in table.iter_rows(named=True)]
