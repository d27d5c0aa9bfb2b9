"""What a connection hands down: who writes, when merges happen, where media are."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lakehouse.errors import NotFoundError
from lakehouse.media import Media

__all__ = ["Settings", "changed_row", "pick"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices made at `connect()`."""

    author: str | None
    """Whom versions name."""
    inline: bool
    """Merge inside each writing call; otherwise only stage."""
    compacts: bool = True
    """Compact behind merges when it is due; otherwise only when asked."""
    media: Media = field(default_factory=Media)
    """Where the media are that frames and labels name."""


def pick(rows: pl.DataFrame, what: str, name: str) -> dict[str, Any]:
    """The row of that name.

    Raises:
        NotFoundError: If there is none; the nearest name is suggested.
    """
    names = rows.get_column("name").to_list()
    if name in names:
        return rows.row(names.index(name), named=True)
    near = difflib.get_close_matches(name, names, n=1)
    known = f"Did you mean {near[0]!r}?" if near else f"There are: {sorted(names)}."
    raise NotFoundError(f"There is no {what} {name!r}. {known}", kind=f"{what}.unknown")


def changed_row(
    rows: pl.DataFrame,
    what: str,
    name: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> pl.DataFrame:
    """The rows with the fields that `change` returns replaced in the row `name`."""
    old = pick(rows, what, name)
    new = pl.DataFrame([old | change(old)], schema=rows.schema)
    return pl.concat([rows.filter(pl.col("name") != name), new])
