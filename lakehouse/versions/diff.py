"""`Diff`: what differs between two versions, as users meet it.

Keys and kinds of change are known when it is made; rows are read when they are
first asked for.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.change_log import uploads_between
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.types import LiveTable
from lakehouse.versions.diff_tables import (
    CHANGES,
    MovedBoxes,
    TableDiff,
    compared_by_log,
    compared_wholly,
    field_counts,
    fields_of,
    moved_boxes,
    overlaps,
)
from lakehouse.versions.snapshot import Snapshot, collection_of, snapshot_at

if TYPE_CHECKING:
    from PIL.Image import Image

_SHOWN: Final = 6
_ALWAYS: Final = ("frames", "labels")


def title_of(diff: "Diff") -> str:
    """Which versions, or which upload, it is about."""
    if diff.upload_id is not None:
        return f"upload {diff.upload_id}, version {diff.end.version}"
    return f"version {diff.start.version} → {diff.end.version}"


def as_text(diff: "Diff") -> str:
    """The summary as lines of text."""
    if diff.is_empty:
        return f"{title_of(diff)}: nothing differs"
    counts = dict(_counts(diff))
    width = max(map(len, counts))
    rows = [
        f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells)
        for name, cells in {"": CHANGES, **counts}.items()
    ]
    facts = [f"{name}: {told}" for name, told in _facts(diff)]
    return "\n".join([title_of(diff), *rows, *facts])


def as_rich(diff: "Diff") -> RenderableType:
    """The summary for a terminal."""
    if diff.is_empty:
        return Text(as_text(diff))
    table = Table("")
    for change, colour in zip(CHANGES, ("green", "red", "yellow"), strict=True):
        table.add_column(change, justify="right", style=colour)
    for name, cells in _counts(diff):
        table.add_row(name, *cells)
    facts = [
        Text.assemble((name, "bold"), "  ", told, overflow="fold")
        for name, told in _facts(diff)
    ]
    return Group(Text(title_of(diff), style="bold"), table, *facts)


def as_html(diff: "Diff") -> str:
    """The summary for a notebook."""
    if diff.is_empty:
        return f"<p>{escape(as_text(diff))}</p>"
    head = "".join(f"<th>{change}</th>" for change in ("", *CHANGES))
    rows = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(f"<td>{count}</td>" for count in cells)
        + "</tr>"
        for name, cells in _counts(diff)
    )
    facts = "".join(
        f"<p><b>{escape(name)}</b> {escape(told)}</p>" for name, told in _facts(diff)
    )
    return (
        f"<p><b>{escape(title_of(diff))}</b></p>"
        f"<table><tr>{head}</tr>{rows}</table>{facts}"
    )


def _counts(diff: "Diff") -> Iterator[tuple[str, list[str]]]:
    """Tables by their names in prose; those of vectors only if they differ."""
    for table, counts in diff.counts.items():
        if table in _ALWAYS or any(counts.values()):
            yield table.replace("_", " "), [f"{counts[name]:,}" for name in CHANGES]


def _facts(diff: "Diff") -> Iterator[tuple[str, str]]:
    """What else is worth a line."""
    moves = sorted(diff.classes().iter_rows(), key=lambda row: None in row[:2])
    classes = [_class_move(row) for row in moves]
    if classes:
        yield "classes", _list(classes)
    for table in _ALWAYS:
        fields = diff.fields(table)
        if fields:
            told = [
                f"{name} {count:,}"
                for name, count in fields.items()
                if name != "class_id" or "class_name" not in fields
            ]
            yield f"{table} changed in", _list(told)
    moved = diff.moved_boxes()
    if moved.count:
        median, least = f"{moved.median:.2f}", f"{moved.least:.2f}"
        far = f"{moved.under_half:,} under 0.5"
        yield (
            "moved boxes",
            f"{moved.count:,}, IoU median {median}, least {least}, {far}",
        )


def _class_move(row: tuple[str | None, str | None, int]) -> str:
    before, after, count = row
    if before is None:
        return f"+{after} {count:,}"
    return f"−{before} {count:,}" if after is None else f"{before} → {after} {count:,}"


def _list(parts: list[str]) -> str:
    more = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" … and {more} more" if more > 0 else "")


class Diff:
    """What differs from one version to another, or what one upload changed.

    Made by `dataset.diff(a, b)` and `upload.diff()`; `start` and `end` are its
    snapshots. Rows changed and changed back in between are no difference.

        diff = dataset.diff(1, "latest")
        print(diff)                    counts, classes, fields, moved boxes
        diff.labels()                  a row a label, with its fields before and after
        diff.after("labels")           the same labels as they are now
    """

    def __init__(
        self,
        start: Snapshot,
        end: Snapshot,
        tables: Mapping[str, TableDiff],
        upload_id: str | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self.upload_id = upload_id
        self._tables = tables

    # --------------------------------- COUNTS ------------------------------- #

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs, vectors included."""
        return not any(one.keys.height for one in self._tables.values())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Table to how many of its rows were added, removed and changed."""
        return {table: dict(one.counts) for table, one in self._tables.items()}

    def summary(self) -> pl.DataFrame:
        """A row a table: `table`, `added`, `removed`, `changed`."""
        rows = [{"table": table} | counts for table, counts in self.counts.items()]
        return pl.DataFrame(rows)

    def classes(self) -> pl.DataFrame:
        """How labels went from class to class, the most frequent first.

        Returns:
            `before` and `after`, class names, and `count`, labels. Labels added
            have a null `before`, labels removed a null `after`; labels that
            keep their class are not counted.
        """
        before, after = self._tables["labels"].sides
        moves = pl.DataFrame(
            [
                before.get_column("class_name").alias("before"),
                after.get_column("class_name").alias("after"),
            ]
        )
        return (
            moves.filter(pl.col("before").ne_missing(pl.col("after")))
            .group_by("before", "after")
            .agg(pl.len().cast(pl.Int64).alias("count"))
            .sort("count", "before", "after", descending=[True, False, False])
        )

    def fields(self, table: LiveTable = "labels") -> dict[str, int]:
        """In how many of the changed rows each field differs, the most frequent first.

        Args:
            table: Whose rows.
        """
        return field_counts(*self._changed(table))

    def moved_boxes(self) -> MovedBoxes:
        """How far boxes moved: count, median and least IoU, how many under 0.5."""
        return moved_boxes(*self._changed("labels"))

    # ---------------------------------- ROWS -------------------------------- #

    def frames(self) -> pl.DataFrame:
        """The frames that differ, sorted by id.

        Returns:
            `frame_id`; `change`: added, removed or changed; and `fields`: what
            differs, with the JSON of the values before and after.
        """
        return self._told("frames")

    def labels(self) -> pl.DataFrame:
        """The labels that differ, sorted by frame and id.

        Returns:
            `frame_id`, `label_id`; `change`: added, removed or changed;
            `fields`: what differs, with the JSON of the values before and
            after; and `iou`: of the old and new box, 1.0 if it did not move,
            null if the label is not a box on both sides.
        """
        before, after = self._tables["labels"].sides
        return self._told("labels").with_columns(iou=overlaps(before, after))

    def before(self, table: LiveTable = "labels") -> pl.DataFrame:
        """The rows removed or changed, whole, as they are at `start`.

        Args:
            table: Whose rows; sorted by its key.
        """
        return self._tables[table].before

    def after(self, table: LiveTable = "labels") -> pl.DataFrame:
        """The rows added or changed, whole, as they are at `end`.

        Args:
            table: Whose rows; sorted by its key.
        """
        return self._tables[table].after

    def plot(self, frame_id: str) -> "Image":
        """A picture of a frame with its labels at `start`, beside one at `end`.

        Raises:
            NotFoundError: If the frame is in neither.
        """
        from lakehouse.drawing.frames import side_by_side  # noqa: PLC0415 - needs an extra

        pictures: list[Image] = []
        for side in (self.start, self.end):
            with suppress(NotFoundError):
                pictures.append(side.plot(frame_id))
        # Where neither has the frame, this tells so.
        return side_by_side(pictures) if pictures else self.end.plot(frame_id)

    def _told(self, table: str) -> pl.DataFrame:
        one = self._tables[table]
        return one.keys.with_columns(fields_of(*one.sides).alias("fields"))

    def _changed(self, table: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Both sides of the rows that are on both."""
        one = self._tables[table]
        is_changed = one.keys.get_column("change") == "changed"
        before, after = one.sides
        return before.filter(is_changed), after.filter(is_changed)

    # ---------------------------------- TEXT -------------------------------- #

    def to_dict(self) -> dict[str, Any]:
        """What a summary says, as JSON can hold it; rows are left out."""
        return {
            "from": self.start.version,
            "to": self.end.version,
            "upload": self.upload_id,
            "counts": self.counts,
            "classes": self.classes().to_dicts(),
            "fields": {table: self.fields(table) for table in ("frames", "labels")},
            "moved_boxes": asdict(self.moved_boxes()),
        }

    def __repr__(self) -> str:
        told = [
            f"{table.replace('_', ' ')} "
            f"+{counts['added']:,} −{counts['removed']:,} ~{counts['changed']:,}"
            for table, counts in self.counts.items()
            if any(counts.values())
        ]
        return f"<Diff {title_of(self)}: {', '.join(told) or 'nothing differs'}>"

    def __str__(self) -> str:
        return as_text(self)

    def __rich__(self) -> "RenderableType":
        return as_rich(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def diff_between(start: Snapshot, end: Snapshot) -> Diff:
    """What differs between two snapshots of one collection.

    Only the keys that the versions in between touched are looked at. Filtered
    snapshots are compared wholly: a row that comes to meet a condition is added,
    whether it changed itself or not.

    Raises:
        InvalidInputError: If the snapshots are of different collections.
    """
    first, second = collection_of(start), collection_of(end)
    if first.path != second.path or first.store.root != second.store.root:
        raise InvalidInputError(
            f"The snapshots are of different datasets: {first.path} and "
            f"{second.path}. Compare two versions of one.",
            kind="diff.datasets",
        )
    if start.is_filtered or end.is_filtered:
        wholly = {table: compared_wholly(table, start, end) for table in LIVE_TABLES}
        return Diff(start, end, wholly)
    after, until = sorted((start.version, end.version))
    uploads = uploads_between(first, after, until)
    return Diff(start, end, _tables(start, end, uploads))


def diff_of_upload(collection: Collection, upload_id: str, version: int) -> Diff:
    """What one upload changed: its own rows, before and after its version.

    Args:
        collection: Where it went.
        upload_id: The upload.
        version: The version that settled it.
    """
    entry = collection.ledger.read(max(0, version - 1))
    start = snapshot_at(collection, entry.content_version)
    end = snapshot_at(collection, version)
    mine = pl.DataFrame({"upload_id": [upload_id], "version": [version]})
    return Diff(start, end, _tables(start, end, mine), upload_id=upload_id)


def _tables(
    start: Snapshot, end: Snapshot, uploads: pl.DataFrame
) -> dict[str, TableDiff]:
    """Each table's difference; equal fingerprints tell that there is none."""
    ledger = collection_of(start).ledger
    before = ledger.read(start.version).fingerprint
    after = ledger.read(end.version).fingerprint
    return {
        table: compared_by_log(
            table,
            start,
            end,
            uploads.clear() if before[table] == after[table] else uploads,
        )
        for table in LIVE_TABLES
    }
