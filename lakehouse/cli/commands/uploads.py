"""Commands on uploads: what was sent, what is wrong with it, sending it again."""

from pathlib import Path
from typing import Annotated, Any, Final, get_args

import polars as pl
import typer

from lakehouse.cli.app import Session, app, session
from lakehouse.cli.commands.writing import told
from lakehouse.cli.output import download
from lakehouse.cli.progress import progress_bar
from lakehouse.cli.watching import lists, watch_lists
from lakehouse.registered import Mode
from lakehouse.uploads import Status

__all__ = ["upload", "uploads"]

upload = typer.Typer(
    help="One upload: its state, its errors, retrying it.", no_args_is_help=True
)
app.add_typer(upload, name="upload")

Target = Annotated[str, typer.Argument(help="project/dataset[/inference_set]")]
UploadId = Annotated[str, typer.Argument(help="The upload's id.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="table, json, jsonl or csv; as the file's ending."),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.")]

_FACTS: Final = (
    "target", "mode", "status", "version", "author", "message", "submitted_at",
    "settled_at", "frame_count", "label_count",
)  # fmt: skip


@app.command()
def uploads(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="project, or project/dataset[/inference_set]")
    ],
    mode: Annotated[str | None, typer.Option(help="streaming or batch")] = None,
    status: Annotated[
        str | None, typer.Option(help="pending, done, partial or failed")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between looks, with --watch.")
    ] = 2.0,
) -> None:
    """List uploads, newest first: lakehouse uploads cells --status partial --watch."""
    here = session(context)
    chosen = _one_of(Mode, "mode", mode), _one_of(Status, "status", status)

    def look() -> pl.DataFrame:
        return _listed(here, target, *chosen)

    if not watch:
        rows = look()
        here.output.drawn(lists(rows, target), rows.to_dicts())
    elif here.output.is_for_machines:
        raise typer.BadParameter("--watch is for people: leave --json out")
    else:
        watch_lists(lambda: lists(look(), target), every)


def _listed(here: Session, target: str, mode: Any, status: Any) -> pl.DataFrame:  # noqa: ANN401
    if "/" not in target:
        return here.lake().project(target).uploads(mode=mode, status=status)
    rows = here.versioned(target).uploads(status=status)
    return rows if mode is None else rows.filter(mode=mode)


def _one_of(kind: Any, option: str, value: str | None) -> Any:  # noqa: ANN401
    """The value in capitals, as the lake has it."""
    known: tuple[str, ...] = get_args(kind)
    if value is not None and value.upper() not in known:
        names = ", ".join(name.lower() for name in known)
        raise typer.BadParameter(f"--{option} is one of {names}")
    return None if value is None else value.upper()


@upload.command("show")
def show(context: typer.Context, target: Target, upload_id: UploadId) -> None:
    """Show an upload: who sent what, and what became of it."""
    here = session(context)
    found = here.versioned(target)
    one = found.upload(upload_id)
    rows = found.uploads()
    (row,) = rows.filter(upload_id=upload_id).to_dicts()
    retries = rows.filter(retry_of=upload_id).get_column("upload_id")
    facts = {"id": one.id} | {name: row[name] for name in _FACTS}
    facts |= {"frames": one.counts, "labels": one.label_counts}
    facts |= {"problems": one.errors().height, "error": row["error"]}
    facts |= {"retry_of": one.retry_of, "retried_by": retries.to_list()}
    here.output.facts(facts | {"metadata": one.metadata}, "Upload")
    here.output.say(f"Item by item: lakehouse upload items {target} {upload_id}")


@upload.command("items")
def items(
    context: typer.Context,
    target: Target,
    upload_id: UploadId,
    outcome: Annotated[
        str | None, typer.Option(help="landed, unchanged, rejected or pending")
    ] = None,
    kind: Format = None,
    out: Out = None,
) -> None:
    """What became of each frame and label: lakehouse upload items cells/hela ID --outcome rejected."""
    here = session(context)
    rows = here.versioned(target).upload(upload_id).items()
    known = ("landed", "unchanged", "rejected", "pending")
    if outcome is not None and outcome not in known:
        raise typer.BadParameter(f"--outcome is one of {', '.join(known)}")
    chosen = rows if outcome is None else rows.filter(outcome=outcome)
    download(chosen, here.output, f"Items of upload {upload_id}", kind=kind, out=out)


@upload.command("errors")
def errors(
    context: typer.Context,
    target: Target,
    upload_id: UploadId,
    kind: Format = None,
    out: Out = None,
) -> None:
    """Every problem of an upload, with its value: lakehouse upload errors cells/hela ID -o errors.csv."""
    here = session(context)
    rows = here.versioned(target).upload(upload_id).errors()
    download(rows, here.output, f"Problems of upload {upload_id}", kind=kind, out=out)


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
    with progress_bar() as tell:
        again = found.retry(frames, labels, progress=tell)
    told(here, again)
