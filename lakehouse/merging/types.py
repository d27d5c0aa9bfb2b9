"""What goes into the merge kernel, and what comes out of it.

`MergeInputs` is all that a merge reads: uploads, the rows that they touch, and the
rules of the collection. `Outcome` is all that it decides: changes of each table,
problems, counts, and the rules that hold afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from lakehouse.model.contracts import Layout
from lakehouse.model.operations import Operations


@dataclass(frozen=True, slots=True)
class TableChange:
    """The changes of one live table; a key is in one of the two at most."""

    new_rows: pl.DataFrame
    """Full rows with provenance, `op`, and the old hash and place."""
    deletions: pl.DataFrame
    """Keys with `upload_id`, `op`, and the old hash and place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What operations come to."""

    changes: Mapping[str, TableChange]
    """Live table to its changes."""
    problems: pl.DataFrame
    """Every error and warning, with `upload_id`."""
    counts: pl.DataFrame
    """One row an upload: what became of its frames, and (`label_…`) labels."""
    rules: "Rules"
    """The rules afterwards: new metadata fields have types, vectors a dimension."""


@dataclass(frozen=True, slots=True)
class ExistingRows:
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

    frames: ExistingRows
    labels: ExistingRows
    frame_embeddings: ExistingRows
    label_embeddings: ExistingRows


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What all vectors of a table have in common."""

    dimension: int | None = None
    """Numbers in each vector; None until the first lands."""
    model: str | None = None
    """What makes the vectors; None when nobody said."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The fixed facts of a collection."""

    layout: Layout
    """What its tables are called and hold."""
    class_ids: Mapping[str, int]
    """Known classes."""
    class_map_version: int | None = None
    """The version of the class map that has them."""
    renamed_classes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names that classes had before, and those they have now."""
    frame_metadata: Mapping[str, pl.DataType] = field(
        default_factory=dict[str, pl.DataType]
    )
    """`user__…` to type, for frames."""
    label_metadata: Mapping[str, pl.DataType] = field(
        default_factory=dict[str, pl.DataType]
    )
    """`user__…` to type, for labels."""
    frame_embedding: EmbeddingSpec = EmbeddingSpec()
    label_embedding: EmbeddingSpec = EmbeddingSpec()


@dataclass(frozen=True, slots=True)
class MergeInputs:
    """All that a merge stands on: nothing else is read once it is made."""

    operations: Operations
    """The rows of the uploads that share a version, `upload_id` in every row; a
    frame is touched by one upload only."""
    current: Current
    """What the live tables hold of the frames and labels that the operations touch."""
    rules: Rules
    """The rules as they stand at the head."""
    problems: pl.DataFrame
    """Problems that only other tables show: frames that the dataset of an inference
    set does not have."""
    stale: pl.DataFrame
    """`frame_id`, `version` and `author` of frames that were changed after the
    version that their upload is based on."""
    abort: frozenset[str] = frozenset()
    """Ids of uploads of which nothing lands if any frame has an error."""
