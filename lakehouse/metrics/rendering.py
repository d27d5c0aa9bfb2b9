"""Figures and tables as text and HTML, for shells and notebooks."""

import html
from collections.abc import Iterable
from typing import Any

import polars as pl


def as_text(value: float | None) -> str:
    """A figure in a few characters.

    >>> as_text(0.12345), as_text(12345), as_text(None)
    ('0.123', '12,345', 'undefined')
    """
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def as_html(title: str, rows: Any, notes: Iterable[str] = ()) -> str:  # noqa: ANN401 - private method
    """A heading, a table with all its rows, and notes.

    Args:
        title: The heading, as text.
        rows: A Polars DataFrame.
        notes: Sentences.
    """
    with pl.Config(tbl_rows=-1, fmt_str_lengths=200, tbl_hide_dataframe_shape=True):
        table = str(rows._repr_html_())
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"<p>{html.escape(title)}</p>{table}" + (
        f"<ul>{listed}</ul>" if listed else ""
    )
