"""What an import did: its upload, and what the files say that has no column."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.formats import Content, told_losses
from lakehouse.model.operations import Operations
from lakehouse.upload import Upload

__all__ = ["Import", "class_names"]


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
