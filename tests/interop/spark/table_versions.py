"""What is read by Spark, and how: names for the fixture `by_spark`."""

from collections.abc import Callable, Iterable

import polars as pl

__all__ = ["Place", "ReadAll"]

Place = tuple[str, int]
"""The URI of a table, and a version."""
ReadAll = Callable[[Iterable[Place]], dict[Place, pl.DataFrame]]
