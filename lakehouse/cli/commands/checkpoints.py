"""Commands on checkpoints: create, list, edit, archive."""

import json
from typing import Annotated, Any

import typer

from lakehouse.cli.app import app, session, split_target

__all__ = ["checkpoint"]

checkpoint = typer.Typer(help="Names for versions, for ever.", no_args_is_help=True)
app.add_typer(checkpoint, name="checkpoint")

Target = Annotated[str, typer.Argument(help="project/dataset")]
Name = Annotated[str, typer.Argument(help="The checkpoint's name.")]

_SHOWN = [
    "name", "version", "time", "author", "message", "frames", "labels",
    "created", "replaced", "modified", "deleted",
    "label_created", "label_replaced", "label_modified", "label_deleted", "archived",
]  # fmt: skip


@checkpoint.command("create")
def create(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset[@version]")],
    name: Name,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
    metadata: Annotated[str, typer.Option(help="A JSON object to keep.")] = "{}",
) -> None:
    """Name a version: lakehouse checkpoint create cells/hela@3 baseline."""
    here = session(context)
    made = here.dataset(target).checkpoint(
        name, split_target(target).ref, message=message, metadata=_object(metadata)
    )
    facts = {"name": made.name, "version": made.version, "message": made.message}
    here.output.facts(facts, "Checkpoint")


@checkpoint.command("list")
def list_checkpoints(
    context: typer.Context,
    target: Target,
    archived: Annotated[
        bool, typer.Option("--archived", help="Archived ones too.")
    ] = False,
) -> None:
    """List checkpoints, and what uploads did between: lakehouse checkpoint list cells/hela."""
    here = session(context)
    rows = here.dataset(target).checkpoints(archived=archived).select(_SHOWN)
    here.output.table(rows, f"Checkpoints of {target}")


@checkpoint.command("edit")
def edit(
    context: typer.Context,
    target: Target,
    name: Name,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object to keep.")] = None,
) -> None:
    """Change what is said of one: lakehouse checkpoint edit cells/hela baseline -m reviewed."""
    here = session(context)
    found = here.dataset(target).get_checkpoint(name)
    if message is not None:
        found.set_message(message)
    if metadata is not None:
        found.set_metadata(_object(metadata))
    facts = {
        "name": found.name,
        "version": found.version,
        "message": found.message,
        "metadata": found.metadata,
    }
    here.output.facts(facts, "Checkpoint")


@checkpoint.command("archive")
def archive(
    context: typer.Context,
    target: Target,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="List it again.")] = False,
) -> None:
    """Hide a checkpoint from lists: lakehouse checkpoint archive cells/hela baseline."""
    here = session(context)
    found = here.dataset(target).get_checkpoint(name)
    found.archive(archived=not undo)
    facts = {"name": found.name, "archived": found.is_archived}
    here.output.facts(facts, "Checkpoint")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--metadata is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter("--metadata is a JSON object")
    return found
