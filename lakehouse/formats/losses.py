"""Losses: what did not go over, how often, and why.

Every writer and reader tells each value that its format has no place for, so a
report that names no loss means that the same rows come back.
"""

from typing import Final

import polars as pl

__all__ = ["LOSS_SCHEMA", "Losses"]

LOSS_SCHEMA: Final = pl.Schema(
    {
        "table": pl.String(),
        "field": pl.String(),
        "rows": pl.Int64(),
        "reason": pl.String(),
    }
)
"""`table` is frames, labels or classes; `rows` counts those that lose something."""


class Losses:
    """Losses as they are found; equal ones are added up.

    >>> losses = Losses()
    >>> losses.add("labels", "area", 2, "YOLO has none.")
    >>> losses.add("labels", "area", 1, "YOLO has none.")
    >>> losses.to_frame()["rows"].to_list()
    [3]
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], int] = {}

    def add(self, table: str, field: str, rows: int, reason: str) -> None:
        """Tell that rows lose a field; none is no loss."""
        if rows:
            key = (table, field, reason)
            self._found[key] = self._found.get(key, 0) + rows

    def to_frame(self) -> pl.DataFrame:
        """A row a loss, with `LOSS_SCHEMA`."""
        rows = [
            (table, field, count, reason)
            for (table, field, reason), count in self._found.items()
        ]
        return pl.DataFrame(rows, schema=LOSS_SCHEMA, orient="row")
