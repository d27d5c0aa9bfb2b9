"""`Diff`: the difference between two versions, or of one upload.

The keys that differ are known when it is made; rows are read when they are first asked
for. The change log names the keys that the versions in between touched, and only these
are looked up on both sides: the cost follows the changes, not the tables.
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
    compare_all,
    compare_by_log,
    field_counts,
    fields_of,
    moved_boxes,
    overlaps,
)
from lakehouse.versions.snapshot import Snapshot, collection_of, snapshot_at

if TYPE_CHECKING:
    from PIL.Image import Image

_SHOWN_ITEMS: Final = 6
"""Classes or fields on one line of a summary: about what a terminal line holds."""

_ALWAYS_COUNTED: Final = ("frames", "labels")
"""Tables that summaries show when nothing of them differs, too."""


class Diff:
    """The difference from one version to another, or the changes of one upload.

    Made by `dataset.diff(a, b)` and `upload.diff()`; `start` and `end` are its
    snapshots. Rows that were changed and changed back in between do not differ.

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
            table: A live table.
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
        return self._with_fields("frames")

    def labels(self) -> pl.DataFrame:
        """The labels that differ, sorted by frame and id.

        Returns:
            `frame_id`, `label_id`; `change`: added, removed or changed;
            `fields`: what differs, with the JSON of the values before and
            after; and `iou`: of the old and new box, 1.0 if it did not move,
            null if the label is not a box on both sides.
        """
        before, after = self._tables["labels"].sides
        return self._with_fields("labels").with_columns(iou=overlaps(before, after))

    def before(self, table: LiveTable = "labels") -> pl.DataFrame:
        """The rows removed or changed, with all columns, as they are at `start`.

        Args:
            table: A live table; rows are sorted by its key.
        """
        return self._tables[table].before

    def after(self, table: LiveTable = "labels") -> pl.DataFrame:
        """The rows added or changed, with all columns, as they are at `end`.

        Args:
            table: A live table; rows are sorted by its key.
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
        # If neither has the frame, the end raises the error that says so.
        return side_by_side(pictures) if pictures else self.end.plot(frame_id)

    def _with_fields(self, table: str) -> pl.DataFrame:
        differing = self._tables[table]
        fields = fields_of(*differing.sides)
        return differing.keys.with_columns(fields.alias("fields"))

    def _changed(self, table: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Both sides of the rows that are on both."""
        differing = self._tables[table]
        is_changed = differing.keys.get_column("change") == "changed"
        before, after = differing.sides
        return before.filter(is_changed), after.filter(is_changed)

    # ---------------------------------- TEXT -------------------------------- #

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON can hold it, without rows."""
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
        changes = [
            f"{table.replace('_', ' ')} "
            f"+{counts['added']:,} −{counts['removed']:,} ~{counts['changed']:,}"
            for table, counts in self.counts.items()
            if any(counts.values())
        ]
        return f"<Diff {_title(self)}: {', '.join(changes) or 'nothing differs'}>"

    def __str__(self) -> str:
        return _as_text(self)

    def __rich__(self) -> "RenderableType":
        return _as_rich(self)

    def _repr_html_(self) -> str:
        return _as_html(self)


def diff_between(start: Snapshot, end: Snapshot) -> Diff:
    """The difference between two snapshots of one collection.

    Only the keys that the versions in between touched are compared. Of filtered
    snapshots all rows are: a row that begins to meet a condition is added, whether it
    changed itself or only its frame did.

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
        tables = {table: compare_all(table, start, end) for table in LIVE_TABLES}
        return Diff(start, end, tables)
    # A diff backwards is asked for too; which uploads lie between is the same.
    after, until = sorted((start.version, end.version))
    uploads = uploads_between(first, after, until)
    return Diff(start, end, _tables(start, end, uploads))


def diff_of_upload(collection: Collection, upload_id: str, version: int) -> Diff:
    """The rows that one upload changed, before and after its version.

    Args:
        collection: The target of the upload.
        upload_id: The id of the upload.
        version: The version that settled it.
    """
    # The entry before may be a compaction: its content version is the one before.
    entry = collection.ledger.read(max(0, version - 1))
    start = snapshot_at(collection, entry.content_version)
    end = snapshot_at(collection, version)
    upload = pl.DataFrame({"upload_id": [upload_id], "version": [version]})
    return Diff(start, end, _tables(start, end, upload), upload_id=upload_id)


def _tables(
    start: Snapshot, end: Snapshot, uploads: pl.DataFrame
) -> dict[str, TableDiff]:
    """The difference of each table; none where fingerprints are equal."""
    ledger = collection_of(start).ledger
    before = ledger.read(start.version).fingerprint
    after = ledger.read(end.version).fingerprint
    return {
        table: compare_by_log(
            table,
            start,
            end,
            # Equal fingerprints mean equal rows, so the change log need not be read.
            uploads.clear() if before[table] == after[table] else uploads,
        )
        for table in LIVE_TABLES
    }


# ----------------------------------- TEXT ----------------------------------- #


def _title(diff: "Diff") -> str:
    """The two versions, or the upload and its version."""
    if diff.upload_id is not None:
        return f"upload {diff.upload_id}, version {diff.end.version}"
    return f"version {diff.start.version} → {diff.end.version}"


def _as_text(diff: "Diff") -> str:
    """The summary as lines of text."""
    if diff.is_empty:
        return f"{_title(diff)}: nothing differs"
    counts = dict(_counts(diff))
    width = max(map(len, counts))
    rows = [
        f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells)
        for name, cells in {"": CHANGES, **counts}.items()
    ]
    facts = [f"{name}: {text}" for name, text in _facts(diff)]
    return "\n".join([_title(diff), *rows, *facts])


def _as_rich(diff: "Diff") -> RenderableType:
    """The summary for a terminal."""
    if diff.is_empty:
        return Text(_as_text(diff))
    table = Table("")
    for change, colour in zip(CHANGES, ("green", "red", "yellow"), strict=True):
        table.add_column(change, justify="right", style=colour)
    for name, cells in _counts(diff):
        table.add_row(name, *cells)
    facts = [
        Text.assemble((name, "bold"), "  ", text, overflow="fold")
        for name, text in _facts(diff)
    ]
    return Group(Text(_title(diff), style="bold"), table, *facts)


def _as_html(diff: "Diff") -> str:
    """The summary for a notebook."""
    if diff.is_empty:
        return f"<p>{escape(_as_text(diff))}</p>"
    head = "".join(f"<th>{change}</th>" for change in ("", *CHANGES))
    rows = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(f"<td>{count}</td>" for count in cells)
        + "</tr>"
        for name, cells in _counts(diff)
    )
    facts = "".join(
        f"<p><b>{escape(name)}</b> {escape(text)}</p>" for name, text in _facts(diff)
    )
    return (
        f"<p><b>{escape(_title(diff))}</b></p>"
        f"<table><tr>{head}</tr>{rows}</table>{facts}"
    )


def _counts(diff: "Diff") -> Iterator[tuple[str, list[str]]]:
    """The counts of each table as text; tables of vectors only if they differ."""
    for table, counts in diff.counts.items():
        if table in _ALWAYS_COUNTED or any(counts.values()):
            yield table.replace("_", " "), [f"{counts[name]:,}" for name in CHANGES]


def _facts(diff: "Diff") -> Iterator[tuple[str, str]]:
    """The other lines of a summary: classes, fields and moved boxes, if there are any."""
    # Labels that were added or removed come behind those that changed their class.
    moves = sorted(diff.classes().iter_rows(), key=lambda row: None in row[:2])
    classes = [_class_move(row) for row in moves]
    if classes:
        yield "classes", _list(classes)
    for table in _ALWAYS_COUNTED:
        fields = diff.fields(table)
        if fields:
            # The id of a class changes with its name, so it is not counted twice.
            counts = [
                f"{name} {count:,}"
                for name, count in fields.items()
                if name != "class_id" or "class_name" not in fields
            ]
            yield f"{table} changed in", _list(counts)
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
    more = len(parts) - _SHOWN_ITEMS
    return ", ".join(parts[:_SHOWN_ITEMS]) + (f" … and {more} more" if more > 0 else "")
