"""What an export did, and what of the rows did not go along."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

__all__ = ["Export", "told_losses"]


@dataclass(frozen=True, slots=True)
class Export:
    """What `snapshot.export()` wrote."""

    format: str
    path: Path
    """The folder, or the one file."""
    frames: int
    """Frames of the snapshot."""
    labels: int
    """Labels of the snapshot."""
    files: int
    """Files written, images included."""
    bytes: int
    """Their size in all."""
    losses: pl.DataFrame
    """What did not go along: table, field, rows that lose it, and the reason."""

    @property
    def is_lossless(self) -> bool:
        """Whether importing it again gives the same rows."""
        return not self.losses.height

    def to_frame(self) -> pl.DataFrame:
        """The losses, a row each."""
        return self.losses

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "format": self.format,
            "path": str(self.path),
            "frames": self.frames,
            "labels": self.labels,
            "files": self.files,
            "bytes": self.bytes,
            "losses": self.losses.to_dicts(),
        }

    def __repr__(self) -> str:
        return (
            f"<Export {self.format}: {self.frames} frames, {self.labels} labels; "
            f"{told_losses(self.losses)}>"
        )


def told_losses(losses: pl.DataFrame) -> str:
    """Losses in a few words.

    >>> told_losses(pl.DataFrame())
    'nothing lost'
    """
    if not losses.height:
        return "nothing lost"
    names = dict.fromkeys(
        f"{table}.{field}" for table, field in losses.select("table", "field").rows()
    )
    return f"lost: {', '.join(names)}"
