"""Commands on uploads: what was sent, what is wrong with it, sending it again."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.app import app, session
from lakehouse.cli.commands.writing import told
from lakehouse.cli.output import written_as

__all__ = ["upload", "uploads"]

upload = typer.Typer(
    help="One upload: its state, its errors, retrying it.", no_args_is_help=True
)
app.add_typer(upload, name="upload")

Target = Annotated[str, typer.Argument(help="project/dataset[/inference_set]")]
UploadId = Annotated[str, typer.Argument(help="The upload's id.")]

_COLUMNS = (
    "upload_id", "status", "version", "submitted_at", "author", "message",
    "frame_count", "label_count", "rejected",
)  # fmt: skip


@app.command()
def uploads(context: typer.Context, target: Target) -> None:
    """List the uploads of a dataset, newest first: lakehouse uploads cells/hela."""
    here = session(context)
    rows = here.versioned(target).uploads().select(_COLUMNS)
    here.output.table(rows, f"Uploads to {target}")


@upload.command("show")
def show(context: typer.Context, target: Target, upload_id: UploadId) -> None:
    """Show an upload and what became of each frame and label in it."""
    here = session(context)
    found = here.versioned(target).upload(upload_id)
    facts = {
        "id": found.id,
        "status": found.status,
        "version": found.version,
        "frames": found.counts,
        "labels": found.label_counts,
        "message": found.message,
        "retry_of": found.retry_of,
    }
    here.output.facts(facts | {"items": found.items().to_dicts()}, "Upload")


@upload.command("errors")
def errors(
    context: typer.Context,
    target: Target,
    upload_id: UploadId,
    kind: Annotated[
        str, typer.Option("--format", help="table, json, jsonl or csv")
    ] = "table",
) -> None:
    """Every problem of an upload: lakehouse upload errors cells/hela ID --format csv."""
    here = session(context)
    rows = here.versioned(target).upload(upload_id).errors()
    if kind == "table":
        shown = rows.select("severity", "frame_id", "path", "rule", "message", "hint")
        here.output.table(shown, f"Problems of upload {upload_id}")
    elif kind in {"json", "jsonl", "csv"}:
        typer.echo(written_as(rows, kind), nl=False)
    else:
        raise typer.BadParameter("--format is table, json, jsonl or csv")


@upload.command("retry")
def retry(
    context: typer.Context,
    target: Target,
    upload_id: UploadId,
    frames: Annotated[Path | None, typer.Option(help="Corrected frames.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Corrected labels.")] = None,
) -> None:
    """Send the rejected frames again: lakehouse upload retry cells/hela ID --labels mended.jsonl."""
    here = session(context)
    found = here.versioned(target).upload(upload_id)
    told(here, found.retry(frames, labels))
