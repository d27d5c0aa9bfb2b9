"""Outputs: tables for people, JSON for machines, progress, and rows as files."""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import polars as pl
import polars.selectors as cs
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

import lakehouse
from lakehouse.types import Progress

PARTLY_DONE: Final = 3
"""Exit code: some frames were rejected."""

TableFormat = Literal["table", "json", "jsonl", "csv"]
"""What rows can be printed as."""

Facts = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""What a command prints as JSON: one object, or several."""

_UPLOAD_COLUMNS: Final = (
    "target", "upload_id", "status", "version", "submitted_at", "settled_at", "author",
    "message", "frame_count", "label_count", "accepted", "unchanged", "rejected",
)  # fmt: skip


class Output(Protocol):
    """Where results go."""

    is_for_machines: bool
    """Whether nothing but JSON is printed."""

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows."""
        ...

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print the fields of one thing."""
        ...

    def draw(self, drawing: RenderableType, facts: Facts) -> None:
        """Print a drawing for people, its facts for machines."""
        ...

    def say(self, text: str) -> None:
        """Print a line for people, nothing for machines."""
        ...


def output_for(*, json: bool) -> Output:
    """The output for machines, or the one for people."""
    return _Json() if json else _Terminal()


class _Terminal:
    is_for_machines = False

    def __init__(self) -> None:
        self._console = Console(soft_wrap=False)

    # Markup stays off throughout: names and targets may hold brackets.

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows as a table."""
        self._console.print(as_table(rows, title))

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print a title, then a line a field."""
        self._console.print(title, style="bold", markup=False)
        for name, value in facts.items():
            self._console.print(f"  {name}: {_cell(value)}", markup=False)

    def draw(self, drawing: RenderableType, facts: Facts) -> None:
        """Print the drawing."""
        del facts
        self._console.print(drawing)

    def say(self, text: str) -> None:
        """Print the line."""
        self._console.print(text, markup=False)


class _Json:
    is_for_machines = True

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows as a JSON array."""
        del title
        _print_json(rows.to_dicts())

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print the fields as a JSON object."""
        del title
        _print_json(facts)

    def draw(self, drawing: RenderableType, facts: Facts) -> None:
        """Print the facts as JSON."""
        del drawing
        _print_json(facts)

    def say(self, text: str) -> None:
        """Print nothing: a line of prose would spoil the JSON."""


def _print_json(facts: Facts) -> None:
    typer.echo(json.dumps(facts, default=str, ensure_ascii=False))


# --------------------------------- TABLES -------------------------------- #


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


def _cell(value: Any) -> str:  # noqa: ANN401 - a cell of any type
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="seconds"))
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def changed_fields(column: str) -> pl.Expr:
    """A column of changed fields as text: `width: 3.0 → 6.0`.

    Args:
        column: Its name; it holds lists of `field`, `before` and `after`.
    """
    text = pl.format(
        "{}: {} → {}",
        pl.element().struct.field("field"),
        pl.element().struct.field("before").fill_null("–"),
        pl.element().struct.field("after").fill_null("–"),
    )
    return pl.col(column).list.eval(text).list.join(", ")


def upload_tables(rows: pl.DataFrame, target: str) -> RenderableType:
    """The table of streaming uploads, and that of batches where there are any.

    Args:
        rows: As `project.uploads()` gives them.
        target: The project, dataset or inference set that they went to.
    """
    shown = rows.select("mode", *_UPLOAD_COLUMNS)
    batches = shown.filter(mode="BATCH").drop("mode")
    streams = shown.filter(pl.col("mode").ne_missing("BATCH")).drop("mode")
    parts = [as_table(streams, f"Streaming uploads to {target}")]
    if batches.height:
        parts.append(as_table(batches, f"Batch uploads to {target}"))
    return Group(*parts)


# --------------------------------- FILES --------------------------------- #


def download(
    rows: pl.DataFrame,
    output: Output,
    title: str,
    *,
    chosen: TableFormat | None,
    out: Path | None,
) -> None:
    """Print rows, or write them to a file.

    Args:
        rows: The rows.
        output: Where tables are printed.
        title: The title of the table.
        chosen: The format; by the file's ending when left out, else a table.
        out: The file to write.

    Raises:
        typer.BadParameter: If a file cannot have the format, or cannot be written.
    """
    ending = "" if out is None else out.suffix.removeprefix(".")
    name = chosen or ending or "table"
    if name == "table" and out is None:
        output.table(rows, title)
        return
    text = _as_text(rows, name)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {out}: {error}") from None
    output.facts({"written": str(out), "rows": rows.height}, title)


def _as_text(rows: pl.DataFrame, name: str) -> str:
    if name == "csv":
        return rows.write_csv()
    if name not in {"json", "jsonl"}:
        raise typer.BadParameter(
            f"a file cannot be written as {name!r}; give --format json, jsonl or csv"
        )
    # JSON has no bytes, and Polars panics on a binary column.
    rows = rows.with_columns(cs.binary().bin.encode("base64"))
    return rows.write_ndjson() if name == "jsonl" else f"{rows.write_json()}\n"


# -------------------------------- UPLOADS -------------------------------- #


def report_upload(output: Output, target: str, upload: lakehouse.Upload) -> None:
    """Print an upload, and exit with the code of its status.

    Raises:
        typer.Exit: If it is rejected, whole or in part.
    """
    facts: dict[str, Any] = {
        "id": upload.id,
        "status": upload.status,
        "version": upload.version,
        **upload.counts,
    }
    output.facts(facts, "Upload")
    address, _, _ = target.partition("@")
    hint = f"To list the problems: lakehouse upload errors {address} {upload.id}"
    exit_by_status(output, upload.status, hint)


def exit_by_status(output: Output, status: str | None, hint: str) -> None:
    """Exit with the code of an upload's status; print the hint if any was rejected.

    Raises:
        typer.Exit: If the status is PARTIAL or FAILED.
    """
    if status in {"PARTIAL", "FAILED"}:
        output.say(hint)
        raise typer.Exit(PARTLY_DONE if status == "PARTIAL" else 1)


# -------------------------------- PROGRESS ------------------------------- #


@contextmanager
def progress_bar(console: Console | None = None) -> Generator[Progress]:
    """A function that shows how much of which stage is done.

    Args:
        console: Where; the terminal behind standard error when left out.
    """
    screen = Console(stderr=True) if console is None else console
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with ProgressBar(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=None)
            # Until the first unit is done the bar pulses: no time can be estimated.
            bar.update(tasks[stage], completed=done, total=total if done else None)

        yield progress


def watch(
    look: Callable[[], RenderableType],
    every: float,
    *,
    console: Console | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Show what `look` returns, again and again, until Ctrl-C.

    Args:
        look: Called for what to show.
        every: Seconds between two calls.
        console: Where; standard output when left out.
        wait: Called with the seconds to wait.
    """
    # A list longer than the screen is cut at its end: the newest come first.
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(look(), refresh=True)
            wait(every)
