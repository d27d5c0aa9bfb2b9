"""Commands that undo: restore, revert."""

from typing import Annotated, cast

import typer

from lakehouse.cli.app import app, session, split_target
from lakehouse.cli.commands.writing import told
from lakehouse.engines.reverting import Conflicts

__all__ = ["restore", "revert"]

Message = Annotated[str | None, typer.Option("--message", "-m", help="Why.")]


@app.command()
def restore(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="project/dataset[/inference_set]@version")
    ],
    message: Message = None,
) -> None:
    """Make an earlier version the latest again: lakehouse restore cells/hela@baseline."""
    here = session(context)
    if "@" not in target:
        raise typer.BadParameter("name what to restore: project/dataset@version")
    found = here.versioned(target)
    told(here, found.restore(split_target(target).ref, message=message))


@app.command()
def revert(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset[/inference_set]")],
    change: Annotated[str, typer.Argument(help="An upload's id, or a version number.")],
    conflicts: Annotated[
        str, typer.Option(help="keep or overwrite rows that were changed since")
    ] = "keep",
    message: Message = None,
) -> None:
    """Undo one change and keep later work: lakehouse revert cells/hela 7."""
    here = session(context)
    if conflicts not in {"keep", "overwrite"}:
        raise typer.BadParameter("--conflicts is keep or overwrite")
    told(
        here,
        here.versioned(target).revert(
            int(change) if change.isdecimal() else change,
            conflicts=cast("Conflicts", conflicts),
            message=message,
        ),
    )
