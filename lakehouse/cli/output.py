"""Outputs: tables for people, JSON for machines."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
import typer
from rich.console import Console, RenderableType
from rich.table import Table

__all__ = ["Output", "arrows", "as_table", "download", "output_for", "written_as"]

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
