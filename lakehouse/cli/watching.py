"""Uploads as people see them: streaming ones and batches apart, once or live."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.live import Live

from lakehouse.cli.output import as_table

__all__ = ["lists", "watch_lists"]

_COLUMNS: Final = (
    "target", "upload_id", "status", "version", "submitted_at", "settled_at", "author",
    "message", "frame_count", "label_count", "accepted", "unchanged", "rejected",
)  # fmt: skip


def lists(rows: pl.DataFrame, target: str) -> RenderableType:
    """The table of streaming uploads, and that of batches where there are any.

    Args:
        rows: As `project.uploads()` gives them.
        target: Where they went.
    """
    shown = rows.select("mode", *_COLUMNS)
    batches = shown.filter(mode="BATCH").drop("mode")
    others = shown.filter(pl.col("mode").ne_missing("BATCH")).drop("mode")
    parts = [as_table(others, f"Streaming uploads to {target}")]
    if batches.height:
        parts.append(as_table(batches, f"Batch uploads to {target}"))
    return Group(*parts)


def watch_lists(
    look: Callable[[], RenderableType],
    every: float,
    *,
    console: Console | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Show what `look` gives, and look again, until Ctrl-C.

    Args:
        look: What there is to see now.
        every: Seconds between looks.
        console: Where; standard output when left out.
        wait: How to wait.
    """
    # A list longer than the screen is cut at its end: the newest come first.
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(look(), refresh=True)
            wait(every)
