"""`Diff`: what differs between two versions, as users meet it.

Keys and kinds of change are known when it is made; rows are read when they are
first asked for.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.diff.boxes import MovedBoxes, moved_boxes, overlaps
from lakehouse.diff.fields import field_counts, fields_of
from lakehouse.diff.tables import TableDiff
from lakehouse.diff.telling import as_html, as_rich, as_text, title_of
from lakehouse.errors import NotFoundError
from lakehouse.snapshot import Snapshot
from lakehouse.typing import LiveTable

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import RenderableType

__all__ = ["Diff"]


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
        from lakehouse.plotting import side_by_side  # noqa: PLC0415 - needs an extra

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
