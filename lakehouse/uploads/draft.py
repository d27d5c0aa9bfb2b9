"""A draft: the verbs of one upload before it is submitted.

Nothing is written while a draft grows; what cannot be read as frames or labels
is refused at once, with every fault listed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from lakehouse.formats import Content, told_losses
from lakehouse.intake import combine, frame_operations, label_operations
from lakehouse.model.contracts import DATASET, Layout
from lakehouse.model.operations import Operations
from lakehouse.types import FrameLike, LabelLike
from lakehouse.uploads.upload import Upload


class Draft:
    """Collects operations; `dataset.open_upload()` submits them as one upload."""

    def __init__(self, layout: Layout = DATASET) -> None:
        self._layout = layout
        self._parts: list[Operations] = []
        """What was drafted, call by call."""
        self.upload: Upload | None = None
        """The upload, once the draft was submitted."""

    def add(
        self,
        frames: FrameLike,
        labels: LabelLike | None = None,
        *,
        if_exists: Literal["replace", "reject", "skip"] = "replace",
    ) -> None:
        """Add frames with their labels, or replace frames wholly."""
        rows, problems = frame_operations(
            frames, op="ADD", if_exists=if_exists, layout=self._layout
        )
        self._take(Operations(rows, pl.DataFrame(), problems))
        if labels is not None:
            self.upsert_labels(labels)

    def modify(
        self,
        frames: FrameLike | None = None,
        labels: LabelLike | None = None,
        *,
        nulls: Literal["keep", "clear"] = "keep",
    ) -> None:
        """Merge the fields given into frames and labels that are there."""
        if frames is not None:
            rows, problems = frame_operations(
                frames, op="MODIFY", nulls=nulls, layout=self._layout
            )
            self._take(Operations(rows, pl.DataFrame(), problems))
        if labels is not None:
            rows, problems = label_operations(
                labels, op="MODIFY", nulls=nulls, layout=self._layout
            )
            self._take(Operations(pl.DataFrame(), rows, problems))

    def upsert_labels(self, labels: LabelLike) -> None:
        """Create labels, or replace those there wholly."""
        rows, problems = label_operations(labels, op="ADD", layout=self._layout)
        self._take(Operations(pl.DataFrame(), rows, problems))

    def delete(
        self,
        frames: FrameLike | list[str] | None = None,
        labels: LabelLike | None = None,
    ) -> None:
        """Take frames, or single labels, out of the latest version."""
        if frames is not None:
            rows, problems = frame_operations(frames, op="DELETE", layout=self._layout)
            self._take(Operations(rows, pl.DataFrame(), problems))
        if labels is not None:
            rows, problems = label_operations(labels, op="DELETE", layout=self._layout)
            self._take(Operations(pl.DataFrame(), rows, problems))

    def operations(self) -> Operations:
        """Everything drafted, as one.

        Raises:
            InvalidInputError: If a frame is both added and modified or deleted,
                or a frame or label is named twice.
        """
        return combine(self._parts)

    def _take(self, part: Operations) -> None:
        self._parts.append(part)


@dataclass(frozen=True, slots=True)
class Import:
    """What `dataset.import_from()` did."""

    format: str
    path: Path
    """What was read."""
    upload: Upload
    """The upload: its status, counts and errors, and `retry`."""
    classes_added: tuple[str, ...]
    """Classes that the project did not have before."""
    losses: pl.DataFrame
    """What has no column here: table, field, rows that lose it, and the reason."""

    @property
    def is_lossless(self) -> bool:
        """Whether every field that was read has a place; see `upload` for faults."""
        return not self.losses.height

    def to_frame(self) -> pl.DataFrame:
        """The losses, a row each."""
        return self.losses

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "format": self.format,
            "path": str(self.path),
            "upload": self.upload.id,
            "status": self.upload.status,
            "version": self.upload.version,
            "frames": self.upload.frame_count,
            "labels": self.upload.label_count,
            **self.upload.counts,
            "classes_added": list(self.classes_added),
            "losses": self.losses.to_dicts(),
        }

    def __repr__(self) -> str:
        upload = self.upload
        return (
            f"<Import {self.format}: {upload.frame_count} frames, "
            f"{upload.label_count} labels, {upload.status}; {told_losses(self.losses)}>"
        )


def class_names(operations: Operations, content: Content) -> list[str]:
    """The classes that files list, and those that their labels are of."""
    names = list(content.classes)
    if "class_name" in operations.labels.columns:
        used = operations.labels.get_column("class_name").drop_nulls().unique().sort()
        names += used.to_list()
    return list(dict.fromkeys(names))
