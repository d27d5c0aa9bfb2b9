"""The rows as they are of the frames that operations touch."""

from dataclasses import dataclass

import polars as pl

__all__ = ["Current"]


@dataclass(frozen=True, slots=True)
class Current:
    """Live rows, with provenance; every row of every touched frame."""

    frames: pl.DataFrame
    labels: pl.DataFrame
    frame_embeddings: pl.DataFrame
    label_embeddings: pl.DataFrame
