"""Commands that write: add, modify, delete."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.cli.app import PARTLY, Session, app, session
from lakehouse.cli.progress import progress_bar
from lakehouse.upload import Upload

__all__ = ["add", "delete", "modify", "told"]

Target = Annotated[str, typer.Argument(help="project/dataset")]
Frames = Annotated[
    Path | None, typer.Option(help="Frames: .jsonl, .json, .csv or .parquet.")
]
Labels = Annotated[
    Path | None, typer.Option(help="Labels: .jsonl, .json, .csv or .parquet.")
]
Message = Annotated[str | None, typer.Option("--message", "-m", help="Why.")]
Deferred = Annotated[
    bool, typer.Option("--deferred", help="Only stage; `run merge` merges.")
]


def told(here: Session, upload: Upload) -> None:
    """Print an upload, and end with the code that its status has."""
    facts: dict[str, Any] = {
        "id": upload.id,
        "status": upload.status,
        "version": upload.version,
        **upload.counts,
    }
    here.output.facts(facts, "Upload")
    if upload.status in {"PARTIAL", "FAILED"}:
        here.output.say(
            f"What is wrong: lakehouse upload errors PROJECT/DATASET {upload.id}"
        )
        raise typer.Exit(PARTLY if upload.status == "PARTIAL" else 1)


@app.command()
def add(
    context: typer.Context,
    target: Target,
    frames: Frames = None,
    labels: Labels = None,
    message: Message = None,
    if_exists: Annotated[str, typer.Option(help="replace, reject or skip")] = "replace",
    deferred: Deferred = False,
) -> None:
    """Add frames with their labels, or labels alone: lakehouse add cells/hela --frames f.jsonl."""
    here = session(context)
    dataset = here.dataset(target, inline=not deferred)
    if if_exists not in {"replace", "reject", "skip"}:
        raise typer.BadParameter("--if-exists is replace, reject or skip")
    if frames is None and labels is None:
        raise typer.BadParameter("give --frames, --labels, or both")
    with (
        progress_bar() as tell,
        dataset.open_upload(message=message, progress=tell) as draft,
    ):
        tell("reading", 0, 1)
        if frames is not None:
            draft.add(frames, labels, if_exists=if_exists)  # type: ignore[arg-type]
        elif labels is not None:
            draft.upsert_labels(labels)
        tell("reading", 1, 1)
    if draft.upload is not None:
        told(here, draft.upload)


@app.command()
def modify(
    context: typer.Context,
    target: Target,
    frames: Frames = None,
    labels: Labels = None,
    message: Message = None,
    deferred: Deferred = False,
) -> None:
    """Change fields of frames and labels: lakehouse modify cells/hela --labels l.csv."""
    here = session(context)
    if frames is None and labels is None:
        raise typer.BadParameter("give --frames, --labels, or both")
    dataset = here.dataset(target, inline=not deferred)
    with progress_bar() as tell:
        upload = dataset.modify(frames, labels, message=message, progress=tell)
    told(here, upload)


@app.command()
def delete(
    context: typer.Context,
    target: Target,
    frame: Annotated[
        list[str] | None, typer.Option(help="A frame id; repeat it.")
    ] = None,
    frames: Frames = None,
    labels: Labels = None,
    message: Message = None,
    deferred: Deferred = False,
) -> None:
    """Take frames or labels out of the latest version: lakehouse delete cells/hela --frame f1."""
    here = session(context)
    if not frame and frames is None and labels is None:
        raise typer.BadParameter("give --frame, --frames or --labels")
    dataset = here.dataset(target, inline=not deferred)
    with progress_bar() as tell:
        upload = dataset.delete(frame or frames, labels, message=message, progress=tell)
    told(here, upload)
