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

from lakehouse.metrics.tables import Faults, Rows, tidy

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
        given = frames.lazy().collect()
        ids = tidy(given, "frames", ["frame_id"], [], faults)["frame_id"]
        known = ids.drop_nulls()
        for frame_id in known.filter(known.is_duplicated()).unique().sort().to_list():
            told = f"frame {frame_id!r} is there more than once."
            faults.add("frames.frame_id", "id.duplicate", told, "Keep one row a frame.")
        table = given.with_columns(ids)
        # What is wrong with inferences is told where they are read.
        rows = tidy(inferences, "inferences", ["frame_id"], [], Faults())
        on = rows.drop_nulls().group_by("frame_id").len("inferences")
        listed = pl.Series("frame_id", [] if seen is None else list(seen), pl.String)
        met = pl.concat([listed.to_frame(), on.select("frame_id")]).unique()
        marked = table.with_columns(
            seen=ids.is_in(met.get_column("frame_id").implode())
        ).sort("frame_id")
        return cls(
            frames=marked if over == "all" else marked.filter("seen"),
            unseen=int((~marked["seen"]).sum()),
            no_ground_truth=met.join(table, on="frame_id", how="anti")
            .join(on, on="frame_id", how="left")
            .with_columns(pl.col("inferences").fill_null(0).cast(pl.Int64))
            .sort("frame_id"),
        )

    def only(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are on frames that count."""
        return rows.join(self.frames.select("frame_id"), on="frame_id", how="semi")
