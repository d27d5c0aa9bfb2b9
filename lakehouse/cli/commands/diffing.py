"""Commands that compare: diff, upload diff."""

from typing import Annotated

import typer
from rich.console import Group

from lakehouse.cli.app import Session, app, session, split_target
from lakehouse.cli.commands.uploads import upload
from lakehouse.cli.output import arrows, as_table
from lakehouse.diff import Diff

__all__ = ["diff", "upload_diff"]

Rows = Annotated[bool, typer.Option("--rows", help="List what differs, row by row.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="How many rows of each table; all if not said."),
]


@app.command()
def diff(
    context: typer.Context,
    start: Annotated[str, typer.Argument(help="project/dataset@version")],
    end: Annotated[
        str | None,
        typer.Argument(help="The same dataset at another version; latest if not said."),
    ] = None,
    rows: Rows = False,
    limit: Limit = None,
) -> None:
    """What differs between two versions: lakehouse diff cells/hela@1 cells/hela@baseline."""
    first, second = split_target(start), split_target(end or start.partition("@")[0])
    if first._replace(ref="") != second._replace(ref=""):
        raise typer.BadParameter(
            f"{start!r} and {end!r} are different datasets; compare versions of one."
        )
    if end is None and "@" not in start:
        raise typer.BadParameter(
            f"say which version to compare with the latest: {start}@VERSION"
        )
    here = session(context)
    found = here.versioned(start).diff(first.ref, second.ref)
    _tell(here, found, limit, rows=rows)


@upload.command("diff")
def upload_diff(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
    upload_id: Annotated[str, typer.Argument(help="The upload's id.")],
    rows: Rows = False,
    limit: Limit = None,
) -> None:
    """What one upload changed: lakehouse upload diff cells/hela ID --rows."""
    here = session(context)
    _tell(here, here.versioned(target).upload(upload_id).diff(), limit, rows=rows)


def _tell(here: Session, found: Diff, limit: int | None, *, rows: bool) -> None:
    """Print a diff, and its rows if they are asked for."""
    tables = {"frames": found.frames(), "labels": found.labels()} if rows else {}
    tables = {name: table.head(limit or table.height) for name, table in tables.items()}
    facts = found.to_dict() | {name: rows.to_dicts() for name, rows in tables.items()}
    listed = [
        as_table(rows.with_columns(arrows("fields")), name)
        for name, rows in tables.items()
    ]
    here.output.drawn(Group(found, *listed), facts)
