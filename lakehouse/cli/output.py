"""Outputs: tables for people, JSON for machines, progress, and rows as files."""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import polars as pl
import polars.selectors as cs
import typer
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress as ProgressBar,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
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
        self._console = PlainConsole()

    def table(self, rows: pl.DataFrame, title: str) -> None:
        """Print rows as a table."""
        self._console.print(as_table(rows, title))

    def facts(self, facts: Mapping[str, Any], title: str) -> None:
        """Print a title, then a line a field."""
        self._console.print(printable(title), style="bold")
        for name, value in facts.items():
            self._console.print(f"  {printable(name)}: {_cell(value)}")

    def draw(self, drawing: RenderableType, facts: Facts) -> None:
        """Print the drawing."""
        del facts
        self._console.print(drawing)

    def say(self, text: str) -> None:
        """Print the line."""
        self._console.print(printable(text))


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
    typer.echo(_json_printable(json.dumps(facts, default=str, ensure_ascii=False)))


# ----------------------------- TEXT FROM DATA ---------------------------- #

# What a terminal obeys instead of showing it: C0 and C1 controls (escape sequences
# begin with one of them), marks of direction, and line ends of Unicode.
_CONTROLS: Final = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
_CONTROL: Final = re.compile(f"[{_CONTROLS}]")
# Lone surrogates cannot be written to a terminal.
_UNPRINTABLE: Final = re.compile(f"[{_CONTROLS}\\ud800-\\udfff]")


def printable(text: str) -> str:
    r"""Text from data with control characters shown as escapes; lines and tabs stay.

    >>> printable("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def _json_printable(text: str) -> str:
    """The same JSON, with the control characters that JSON lets stand as escapes."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class PlainConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, no controls."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of what is printed, with the controls of data as escapes."""
        # Whatever is drawn passes here; the console's own controls are marked as such.
        for segment in super().render(renderable, options):
            if segment.control is None and _UNPRINTABLE.search(segment.text):
                yield segment._replace(text=printable(segment.text))
            else:
                yield segment


# --------------------------------- TABLES -------------------------------- #


def as_table(rows: pl.DataFrame, title: str) -> RenderableType:
    """Rows as a table for people."""
    if not rows.height:
        return printable(f"{title}: none")
    table = Table(title=printable(title), title_justify="left")
    for name in rows.columns:
        table.add_column(printable(name), overflow="fold")
    for row in rows.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> str:  # noqa: ANN401 - a cell of any type
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="seconds"))
    if isinstance(value, list | dict):
        return printable(json.dumps(value, default=str, ensure_ascii=False))
    return printable(str(value))


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
        if name != "csv":
            text = _json_printable(text)
        elif sys.stdout.isatty():
            text = printable(text)
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


def exit_by_statuses(output: Output, statuses: Iterable[str | None]) -> None:
    """Print how many uploads have which status, and exit with the code of the worst.

    Raises:
        typer.Exit: If one of them is FAILED (1), or else PARTIAL (3).
    """
    counts = Counter(str(status) for status in statuses)
    if not counts:
        return
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    output.say(f"{counts.total()} uploads: {summary}")
    if counts["FAILED"] or counts["PARTIAL"]:
        raise typer.Exit(1 if counts["FAILED"] else PARTLY_DONE)


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
    screen = PlainConsole() if console is None else console
    with suppress(KeyboardInterrupt), Live(console=screen, auto_refresh=False) as live:
        while True:
            live.update(look(), refresh=True)
            wait(every)
