"""Outputs: tables for people, JSON for machines."""

import json
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress as ProgressBar,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from lakehouse.types import Progress

_TEXTS: Final = ("json", "jsonl", "csv")
"""What rows can be written as."""

Facts = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One thing, or several."""


class Output(Protocol):
    """Where results go."""

    is_for_machines: bool
    """Whether nothing but JSON is printed."""

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows."""
        ...

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print one thing."""
        ...

    def drawn(self, thing: RenderableType, facts: Facts) -> None:
        """Print what draws itself; machines get its facts."""
        ...

    def say(self, text: str) -> None:
        """Tell a person something; machines are told nothing."""
        ...


class _Console:
    is_for_machines = False

    def __init__(self) -> None:
        self._console = Console(soft_wrap=False)

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows as a table."""
        self._console.print(as_table(rows, title))

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print one thing as lines."""
        self._console.print(title, style="bold", markup=False)
        for name, value in facts.items():
            self._console.print(f"  {name}: {_cell(value)}", markup=False)

    def drawn(self, thing: RenderableType, facts: Facts) -> None:
        """Print it as it draws itself."""
        del facts
        self._console.print(thing)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)


class _Json:
    is_for_machines = True

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows as a JSON array."""
        del title
        _print_json(rows.to_dicts())

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print one thing as a JSON object."""
        del title
        _print_json(facts)

    def drawn(self, thing: RenderableType, facts: Facts) -> None:
        """Print its facts as JSON."""
        del thing
        _print_json(facts)

    def say(self, text: str) -> None:
        """Say nothing."""


def _print_json(facts: Facts) -> None:
    sys.stdout.write(json.dumps(facts, default=str, ensure_ascii=False) + "\n")


def output_for(*, json: bool) -> Output:
    """The output that was asked for."""
    return _Json() if json else _Console()


def download(
    rows: pl.DataFrame,
    output: Output,
    title: str,
    *,
    kind: str | None,
    out: Path | None,
) -> None:
    """Give rows as they were asked for: printed, or as the text of a file.

    Args:
        rows: What to give.
        output: Where tables are printed.
        title: What they are.
        kind: `table`, `json`, `jsonl` or `csv`; by the file's ending when left out.
        out: The file to write.

    Raises:
        typer.BadParameter: If the format is unknown, or the file cannot be written.
    """
    ending = "" if out is None else out.suffix.removeprefix(".")
    chosen = kind or ending or "table"
    if chosen == "table" and out is None:
        output.table(rows, title)
        return
    if chosen not in _TEXTS:
        raise typer.BadParameter(
            f"{chosen!r} is no format of a file: --format is {', '.join(_TEXTS)}"
        )
    text = written_as(rows, chosen)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error}") from None
    output.facts({"written": str(out), "rows": rows.height}, title)


def written_as(rows: pl.DataFrame, kind: str) -> str:
    """Rows as text: `json`, `jsonl` or `csv`."""
    if kind == "csv":
        return rows.write_csv()
    texts = [
        json.dumps(row, default=str, ensure_ascii=False) for row in rows.to_dicts()
    ]
    return "\n".join(texts) + "\n" if kind == "jsonl" else f"[{', '.join(texts)}]\n"


def as_table(rows: pl.DataFrame, title: str) -> RenderableType:
    """Rows as a table for people."""
    if not rows.height:
        return f"{title}: none"
    table = Table(title=title, title_justify="left")
    for name in rows.columns:
        table.add_column(name, overflow="fold")
    for row in rows.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    return table


def arrows(fields: str) -> pl.Expr:
    """A column of fields with their values before and after, as text.

    Args:
        fields: The column: lists of `field`, `before` and `after`.
    """
    told = pl.format(
        "{}: {} → {}",
        pl.element().struct.field("field"),
        pl.element().struct.field("before").fill_null("–"),
        pl.element().struct.field("after").fill_null("–"),
    )
    return pl.col(fields).list.eval(told).list.join(", ")


def _cell(value: Any) -> str:  # noqa: ANN401 - a cell of any type
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="seconds"))
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


_WHAT: Final = TextColumn("{task.description}")


@contextmanager
def progress_bar(console: Console | None = None) -> Generator[Progress]:
    """A function that shows how much of which stage is done.

    Args:
        console: Where; the terminal behind standard error when left out.
    """
    place = Console(stderr=True) if console is None else console
    columns = (_WHAT, BarColumn(), TimeRemainingColumn())
    with ProgressBar(
        *columns, console=place, transient=True, disable=not place.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=None)
            # Until the first of them is done, the bar only says that it is at work.
            bar.update(tasks[stage], completed=done, total=total if done else None)

        yield progress


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
