"""A draft: the verbs of one upload before it is submitted.

Nothing is written while a draft grows; rows that cannot be read as frames or labels
are refused at once, with all problems listed.
"""

from typing import Literal

import polars as pl

from lakehouse.intake import combine, frame_operations, label_operations
from lakehouse.model.contracts import DATASET, Layout
from lakehouse.model.operations import Operations
from lakehouse.types import FrameLike, LabelLike
from lakehouse.uploads.upload import Upload

IfExists = Literal["replace", "reject", "skip"]
"""What becomes of a frame that is added and exists already."""

Nulls = Literal["keep", "clear"]
"""Whether a null in a modification leaves the field as it is, or clears it."""


class Draft:
    """Collects operations; `dataset.open_upload()` submits them as one upload."""

    def __init__(self, layout: Layout = DATASET) -> None:
        self._layout = layout
        self._parts: list[Operations] = []
        """The operations, call by call."""
        self.upload: Upload | None = None
        """The upload, once the draft was submitted."""

    def add(
        self,
        frames: FrameLike,
        labels: LabelLike | None = None,
        *,
        if_exists: IfExists = "replace",
    ) -> None:
        """Add frames with their labels, or replace frames with all they have."""
        rows, problems = frame_operations(
            frames, op="ADD", if_exists=if_exists, layout=self._layout
        )
        self._parts.append(Operations(rows, pl.DataFrame(), problems))
        if labels is not None:
            self.upsert_labels(labels)

    def modify(
        self,
        frames: FrameLike | None = None,
        labels: LabelLike | None = None,
        *,
        nulls: Nulls = "keep",
    ) -> None:
        """Merge the given fields into frames and labels that exist."""
        if frames is not None:
            rows, problems = frame_operations(
                frames, op="MODIFY", nulls=nulls, layout=self._layout
            )
            self._parts.append(Operations(rows, pl.DataFrame(), problems))
        if labels is not None:
            rows, problems = label_operations(
                labels, op="MODIFY", nulls=nulls, layout=self._layout
            )
            self._parts.append(Operations(pl.DataFrame(), rows, problems))

    def upsert_labels(self, labels: LabelLike) -> None:
        """Create labels, or replace existing ones."""
        rows, problems = label_operations(labels, op="ADD", layout=self._layout)
        self._parts.append(Operations(pl.DataFrame(), rows, problems))

    def delete(
        self,
        frames: FrameLike | list[str] | None = None,
        labels: LabelLike | None = None,
    ) -> None:
        """Remove frames, or single labels, from the latest version."""
        if frames is not None:
            rows, problems = frame_operations(frames, op="DELETE", layout=self._layout)
            self._parts.append(Operations(rows, pl.DataFrame(), problems))
        if labels is not None:
            rows, problems = label_operations(labels, op="DELETE", layout=self._layout)
            self._parts.append(Operations(pl.DataFrame(), rows, problems))

    def operations(self) -> Operations:
        """All operations of the draft, combined.

        Raises:
            InvalidInputError: If a frame is both added and modified or deleted,
                or a frame or label is named twice.
        """
        return combine(self._parts)
