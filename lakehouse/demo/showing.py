"""Rows on the console, as the story shows them."""

import polars as pl
from rich.console import Console
from rich.table import Table

__all__ = ["show_rows"]


def show_rows(console: Console, rows: pl.DataFrame) -> None:
    """Print rows as a table."""
    table = Table(*rows.columns)
    for row in rows.iter_rows():
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)
