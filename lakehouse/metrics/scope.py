"""Which frames count: those of the pinned version that the model saw.

A frame that was seen and has no inferences counts: its labels are missed. A
frame of the version that was not seen says nothing about the model; it is left
out and counted. A frame that is not in the version has no ground truth; its
inferences are left out and listed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from lakehouse.metrics.tables import Faults, Rows

__all__ = ["Over", "Scope"]

Over = Literal["seen", "all"]
"""`seen`: the frames that the model saw. `all`: every frame of the version."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The frames that are evaluated, and what was left out."""

    frames: pl.DataFrame
    """One row a frame, by id, in the columns given and `seen` (bool)."""
    unseen: int
    """Frames of the version that were not seen; with `over="all"` they count."""
    no_ground_truth: pl.DataFrame
    """`frame_id`, `inferences`: what lies on frames that the version has not."""

    @classmethod
    def of(
        cls,
        frames: Rows,
        inferences: Rows,
        seen: Iterable[str] | None,
        over: Over,
        faults: Faults,
    ) -> "Scope":
        """Settle which frames count.

        Args:
            frames: The frames of the version: `frame_id` and any other columns.
            inferences: With `frame_id`.
            seen: Ids of the frames that the model saw; those that inferences are
                on are added.
            over: Which frames count.
            faults: Where frames without an id, or with one twice, are told.
        """
        table = frames.lazy().collect()
        if "frame_id" not in table.columns:
            lacks = f"frames need a column frame_id, and have {table.columns}."
            faults.add("frames.frame_id", "column.missing", lacks, "Add it.")
            table = pl.DataFrame(schema={"frame_id": pl.String})
        ids = table.get_column("frame_id")
        wrong = table.filter(ids.is_duplicated() | ids.is_null())
        for frame_id in wrong.get_column("frame_id").unique().sort().to_list():
            twice = f"frame {frame_id!r} is there more than once, or has no id."
            faults.add(
                "frames.frame_id", "id.duplicate", twice, "Keep one row a frame."
            )
        on = inferences.lazy().group_by("frame_id").len("inferences").collect()
        told = pl.Series("frame_id", [] if seen is None else list(seen), pl.String)
        known = pl.concat([told.to_frame(), on.select("frame_id")]).unique()
        marked = table.with_columns(
            seen=ids.is_in(known.get_column("frame_id").implode())
        ).sort("frame_id")
        return cls(
            frames=marked if over == "all" else marked.filter("seen"),
            unseen=int((~marked["seen"]).sum()),
            no_ground_truth=known.join(table, on="frame_id", how="anti")
            .join(on, on="frame_id", how="left")
            .with_columns(pl.col("inferences").fill_null(0).cast(pl.Int64))
            .sort("frame_id"),
        )

    def only(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are on frames that count."""
        return rows.join(self.frames.select("frame_id"), on="frame_id", how="semi")
