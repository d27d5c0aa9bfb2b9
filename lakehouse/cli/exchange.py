"""Commands that read and write the files of other tools: import and export."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from lakehouse.cli.app import PARTLY, Session, app, session, split_target
from lakehouse.cli.output import as_table, progress_bar
from lakehouse.formats import FormatName
from lakehouse.formats.names import FORMATS
from lakehouse.versions.snapshot import Snapshot

_NAMES = ", ".join(FORMATS)

FormatOption = Annotated[str, typer.Option("--format", help=f"One of {_NAMES}.")]


@app.command("import")
def import_files(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
    path: Annotated[Path, typer.Argument(help="A folder, or a file.")],
    format_name: FormatOption,
    images: Annotated[
        str | None, typer.Option(help="What stands before the names of images.")
    ] = None,
    add_classes: Annotated[
        bool, typer.Option("--add-classes", help="Append classes that are not there.")
    ] = False,
    if_exists: Annotated[str, typer.Option(help="replace, reject or skip")] = "replace",
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
    deferred: Annotated[
        bool, typer.Option("--deferred", help="Only stage; `run merge` merges.")
    ] = False,
) -> None:
    """Add what another tool wrote: lakehouse import cells/hela voc/ --format voc."""
    here = session(context)
    if if_exists not in {"replace", "reject", "skip"}:
        raise typer.BadParameter("--if-exists is replace, reject or skip")
    dataset = here.dataset(target, inline=not deferred)
    with progress_bar() as progress:
        done = dataset.import_from(
            path,
            checked_format(format_name),
            images=images,
            add_classes=add_classes,
            if_exists=if_exists,  # type: ignore[arg-type]
            progress=progress,
            message=message,
        )
    _told(here, done.to_dict(), done.losses, "Import")
    if done.upload.status in {"PARTIAL", "FAILED"}:
        here.output.say(
            f"What is wrong: lakehouse upload errors {target} {done.upload.id}"
        )
        raise typer.Exit(PARTLY if done.upload.status == "PARTIAL" else 1)


@app.command("export")
def export_files(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="project/dataset[/inference_set][@version]")
    ],
    path: Annotated[Path, typer.Argument(help="The folder to make.")],
    format_name: FormatOption,
    frames: Annotated[
        str | None, typer.Option(help="Only frames of which this SQL is true.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Only labels of which this SQL is true.")
    ] = None,
    media: Annotated[
        bool | None,
        typer.Option("--media/--no-media", help="Copy images; by default as needed."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="The metadata field that names parts.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there.")
    ] = False,
) -> None:
    """Write a version for another tool: lakehouse export cells/hela@3 coco/ --format coco."""
    here = session(context)
    found = here.versioned(target).at(split_target(target).ref)
    snapshot = _filtered(found, frames, labels)
    with progress_bar() as progress:
        done = snapshot.export(
            path,
            checked_format(format_name),
            media=media,
            split=split,
            overwrite=overwrite,
            progress=progress,
        )
    _told(here, done.to_dict(), done.losses, "Export")


def checked_format(name: str) -> FormatName:
    """The format of that name."""
    for known in FORMATS:
        if known == name:
            return known
    raise typer.BadParameter(f"--format is one of {_NAMES}, not {name}")


def _filtered(snapshot: Snapshot, frames: str | None, labels: str | None) -> Snapshot:
    """The part of a snapshot that meets SQL conditions."""
    try:
        found = snapshot.filter(
            frames=None if frames is None else pl.sql_expr(frames),
            labels=None if labels is None else pl.sql_expr(labels),
        )
        found.frames().collect_schema()
        found.labels().collect_schema()
    except pl.exceptions.PolarsError as error:
        raise typer.BadParameter(f"--frames, --labels: {error}") from error
    return found


def _told(
    here: Session, facts: dict[str, Any], losses: pl.DataFrame, title: str
) -> None:
    """Print a report: machines get it whole, people a table of what was lost."""
    short = {name: str(value) for name, value in facts.items() if name != "losses"}
    lines = [f"  {name}: {value}" for name, value in short.items()]
    parts: list[RenderableType] = [Text(title, style="bold"), Text("\n".join(lines))]
    parts.append(as_table(losses, "Lost on the way"))
    here.output.drawn(Group(*parts), facts)
