"""Commands that read and write the files of other tools: import and export."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Group
from rich.text import Text

from lakehouse import Snapshot
from lakehouse.cli.app import (
    DatasetTarget,
    Deferred,
    IfExists,
    Message,
    Session,
    VersionTarget,
    app,
    session_of,
)
from lakehouse.cli.output import as_table, exit_by_status, progress_bar
from lakehouse.formats import FormatName

FormatOption = Annotated[
    FormatName, typer.Option("--format", help="The format of the files.")
]


@app.command("import")
def import_files(
    context: typer.Context,
    target: DatasetTarget,
    path: Annotated[Path, typer.Argument(help="A folder, or a file.")],
    format_name: FormatOption,
    images: Annotated[
        str | None,
        typer.Option(help="Folder or URL to put before the names of image files."),
    ] = None,
    add_classes: Annotated[
        bool,
        typer.Option("--add-classes", help="Add unknown classes to the project."),
    ] = False,
    if_exists: IfExists = "replace",
    message: Message = None,
    deferred: Deferred = False,
) -> None:
    """Add frames and labels from files of another tool.

    Example: lakehouse import cells/hela voc/ --format voc
    """
    session = session_of(context)
    dataset = session.dataset(target, inline=not deferred)
    with progress_bar() as progress:
        done = dataset.import_from(
            path,
            format_name,
            images=images,
            add_classes=add_classes,
            if_exists=if_exists,
            progress=progress,
            message=message,
        )
    _report(session, done.to_dict(), done.losses, "Import")
    hint = f"To list the problems: lakehouse upload errors {target} {done.upload.id}"
    exit_by_status(session.output, done.upload.status, hint)


@app.command("export")
def export_files(
    context: typer.Context,
    target: VersionTarget,
    path: Annotated[Path, typer.Argument(help="The folder to create.")],
    format_name: FormatOption,
    frames: Annotated[
        str | None, typer.Option(help="Only frames that meet this SQL condition.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Only labels that meet this SQL condition.")
    ] = None,
    media: Annotated[
        bool | None,
        typer.Option(
            "--media/--no-media",
            help="Copy the images too; by default only where the format needs them.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Metadata field that holds each frame's split."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is at the path.")
    ] = False,
) -> None:
    """Write a version as files for another tool.

    Example: lakehouse export cells/hela@3 coco/ --format coco
    """
    session = session_of(context)
    snapshot = _filtered(session.snapshot(target), frames, labels)
    with progress_bar() as progress:
        done = snapshot.export(
            path,
            format_name,
            media=media,
            split=split,
            overwrite=overwrite,
            progress=progress,
        )
    _report(session, done.to_dict(), done.losses, "Export")


def _filtered(snapshot: Snapshot, frames: str | None, labels: str | None) -> Snapshot:
    """The part of a snapshot that meets SQL conditions."""
    try:
        part = snapshot.filter(
            frames=None if frames is None else pl.sql_expr(frames),
            labels=None if labels is None else pl.sql_expr(labels),
        )
        # Conditions are lazy: resolving the schema finds unknown columns now.
        part.frames().collect_schema()
        part.labels().collect_schema()
    except pl.exceptions.PolarsError as error:
        raise typer.BadParameter(f"--frames, --labels: {error}") from error
    return part


def _report(
    session: Session, facts: dict[str, Any], losses: pl.DataFrame, title: str
) -> None:
    """Print all facts for machines; for people losses are a table of their own."""
    lines = [f"  {name}: {value}" for name, value in facts.items() if name != "losses"]
    drawing = Group(
        Text(title, style="bold"),
        Text("\n".join(lines)),
        as_table(losses, "Lost on the way"),
    )
    session.output.draw(drawing, facts)
