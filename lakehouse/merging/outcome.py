"""What a merge comes to: changes of each table, problems, counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import polars as pl

from lakehouse.contracts import Layout

__all__ = ["OLD_AT", "OLD_HASH", "Outcome", "TableChange", "no_change"]

OLD_HASH: Final = "_old_hash"
"""The hash of the row that an image replaces or a deletion removes; null if none."""

OLD_AT: Final = "_old_at"
"""Where that row lies; opaque here, null if there is none."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """The changes of one live table; a key is in one of the two at most."""

    images: pl.DataFrame
    """Full rows with provenance, `op`, and the old hash and place."""
    deletions: pl.DataFrame
    """Keys with `upload_id`, `op`, and the old hash and place."""


@cache
def no_change(layout: Layout, table: str) -> TableChange:
    """Nothing happens to a table."""
    shape = layout.contract(table)
    old = dict.fromkeys((OLD_HASH, OLD_AT), pl.Int64())
    key = dict.fromkeys((*shape.key, "upload_id", "op"), pl.String())
    images = pl.DataFrame(schema={**shape.schema(), "op": pl.String(), **old})
    return TableChange(images, pl.DataFrame(schema={**key, **old}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What operations come to."""

    changes: Mapping[str, TableChange]
    """Live table to its changes."""
    problems: pl.DataFrame
    """Every error and warning, with `upload_id`."""
    counts: pl.DataFrame
    """One row an upload: what became of its frames, and (`label_…`) labels."""
