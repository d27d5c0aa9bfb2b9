"""The rows as they are, as far as operations need to know them."""

from dataclasses import dataclass

import polars as pl

__all__ = ["Current", "Held"]


@dataclass(frozen=True, slots=True)
class Held:
    """What one live table holds of the touched keys."""

    keys: pl.DataFrame
    """Key, `_old_hash` and `_old_at` of every touched row that is there."""
    rows: pl.DataFrame
    """Full rows, with provenance, of those whose old values matter: a MODIFY's."""


@dataclass(frozen=True, slots=True)
class Current:
    """What the live tables hold.

    Touched are the frames named; the labels named, and all labels of frames that
    are added or deleted; and the vectors of either.
    """

    frames: Held
    labels: Held
    frame_embeddings: Held
    label_embeddings: Held
