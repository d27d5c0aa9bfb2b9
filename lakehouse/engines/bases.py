"""What an inference set's dataset says of the frames that are sent to the set.

A frame that the dataset never had cannot be meant: it is rejected. One that is
not in the pinned version is taken in, with a warning: it has no ground truth.
"""

from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.engines.pending import distinct
from lakehouse.merging.findings import found, together
from lakehouse.model.operations import OP, Operations
from lakehouse.replay import content
from lakehouse.storage import collect
from lakehouse.tags import pin_row

__all__ = ["base_findings"]

_UNKNOWN: Final = "The dataset never had a frame of that id."
_UNPINNED: Final = (
    "The frame is not in the dataset's version that the set is pinned to, so it has no "
    "ground truth there and metrics leave it out."
)


def base_findings(collection: Collection, operations: Operations) -> pl.DataFrame:
    """Problems of frames that the dataset of an inference set does not have.

    Args:
        collection: An inference set's, or a dataset's, which has no base.
        operations: With `upload_id` in every row.
    """
    base = collection.base
    if base is None:
        return together([])
    named = [
        part.filter(pl.col(OP) != "DELETE").select("frame_id", "upload_id")
        for part in (operations.frames, operations.labels)
        if part.height
    ]
    if not named:
        return together([])
    sent = pl.concat(named).unique()
    ids = distinct(sent.get_column("frame_id"))
    head = base.head().version
    ever = base.scan("frames_changes", head, keys=ids, columns=["frame_id"])
    unknown = sent.join(collect(ever.unique()), on="frame_id", how="anti")
    parts = [
        found(
            unknown,
            rule="frame.not_in_dataset",
            message=_UNKNOWN,
            hint="Add the frame to the dataset first, or correct its id.",
        )
    ]
    pin = pin_row(base, collection.path.rpartition("/")[2])
    if pin is not None:
        version = int(pin["version"])
        there = content(base, "frames", version, keys=ids, columns=["frame_id"])
        known = sent.join(unknown, on="frame_id", how="anti")
        parts.append(
            found(
                known.join(collect(there), on="frame_id", how="anti"),
                rule="frame.not_pinned",
                message=_UNPINNED,
                hint="Create another inference set, or repin this one, to measure it.",
                severity="warning",
            )
        )
    return together(parts)
