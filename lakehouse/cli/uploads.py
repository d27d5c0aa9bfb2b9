"""Commands that write, and commands on uploads: lists, problems, retries."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import polars as pl
import typer

from lakehouse.catalog.registry import Mode
from lakehouse.cli.app import (
    CollectionTarget,
    DatasetTarget,
    Deferred,
    FramesFile,
    IfExists,
    LabelsFile,
    Message,
    Session,
    app,
    session_of,
)
from lakehouse.cli.datasets import Limit, Rows, print_diff
from lakehouse.cli.output import (
    TableFormat,
    download,
    exit_by_status,
    progress_bar,
    report_upload,
    upload_tables,
    watch as watch_output,
)
from lakehouse.model.ids import new_upload_id
from lakehouse.uploads import PART_BYTES
from lakehouse.uploads.listing import Status

# --------------------------------- WRITE --------------------------------- #

_MIB: Final = 1024**2

Source = Annotated[
    str | None,
    typer.Option(
        help="A file, a folder or a pattern, local or s3://: Parquet, Arrow IPC, CSV "
        "or JSON lines."
    ),
]


@app.command()
def add(
    context: typer.Context,
    target: DatasetTarget,
    frames: FramesFile = None,
    labels: LabelsFile = None,
    message: Message = None,
    if_exists: IfExists = "replace",
    deferred: Deferred = False,
) -> None:
    """Add frames with their labels, or labels alone.

    Example: lakehouse add cells/hela --frames f.jsonl --labels l.jsonl
    """
    session = session_of(context)
    dataset = session.dataset(target, inline=not deferred)
    if frames is None and labels is None:
        raise typer.BadParameter("give --frames, --labels, or both")
    with (
        progress_bar() as progress,
        dataset.open_upload(message=message, progress=progress) as draft,
    ):
        # The files are read inside the block, before anything is staged: without these
        # two calls the bar would stand still while a large CSV is parsed.
        progress("reading", 0, 1)
        if frames is not None:
            draft.add(frames, labels, if_exists=if_exists)
        elif labels is not None:
            draft.upsert_labels(labels)
        progress("reading", 1, 1)
    # Set when the block ended; an error inside of it has left the function already.
    if draft.upload is not None:
        report_upload(session.output, target, draft.upload)


@app.command()
def modify(
    context: typer.Context,
    target: DatasetTarget,
    frames: FramesFile = None,
    labels: LabelsFile = None,
    message: Message = None,
    deferred: Deferred = False,
) -> None:
    """Change fields of existing frames and labels.

    Example: lakehouse modify cells/hela --labels l.csv
    """
    session = session_of(context)
    if frames is None and labels is None:
        raise typer.BadParameter("give --frames, --labels, or both")
    dataset = session.dataset(target, inline=not deferred)
    with progress_bar() as progress:
        sent = dataset.modify(frames, labels, message=message, progress=progress)
    report_upload(session.output, target, sent)


@app.command()
def delete(
    context: typer.Context,
    target: DatasetTarget,
    frame: Annotated[
        list[str] | None, typer.Option(help="A frame's id; may be repeated.")
    ] = None,
    frames: FramesFile = None,
    labels: LabelsFile = None,
    message: Message = None,
    deferred: Deferred = False,
) -> None:
    """Delete frames or labels; earlier versions keep them.

    Example: lakehouse delete cells/hela --frame f1
    """
    session = session_of(context)
    if not frame and frames is None and labels is None:
        raise typer.BadParameter("give --frame, --frames or --labels")
    dataset = session.dataset(target, inline=not deferred)
    with progress_bar() as progress:
        sent = dataset.delete(
            frame or frames, labels, message=message, progress=progress
        )
    report_upload(session.output, target, sent)


@app.command()
def load(
    context: typer.Context,
    target: DatasetTarget,
    frames: Source = None,
    labels: Source = None,
    message: Message = None,
    if_exists: IfExists = "replace",
    load_id: Annotated[
        str | None, typer.Option(help="Continue this load, which was interrupted.")
    ] = None,
    part_size: Annotated[
        int, typer.Option(min=1, help="MiB of the source to send in each upload.")
    ] = PART_BYTES // _MIB,
) -> None:
    """Add frames and labels from files of any size.

    Example: lakehouse load cells/hela --frames 'frames/*.parquet'
    """
    session = session_of(context)
    dataset = session.dataset(target)
    # Printed before the load begins: whoever is interrupted needs it to continue.
    # Made here and not by `load`, which returns the id only once it is done.
    chosen_id = load_id or new_upload_id()
    session.output.say(
        f"Load {chosen_id}. If it is interrupted, repeat with --load-id {chosen_id}"
    )
    with progress_bar() as progress:
        loaded = dataset.load(
            frames,
            labels,
            if_exists=if_exists,
            load_id=chosen_id,
            part_bytes=part_size * _MIB,
            message=message,
            progress=progress,
        )
    facts: dict[str, Any] = {
        "id": loaded.id,
        "status": loaded.status,
        "uploads": len(loaded.uploads),
        "known": loaded.known,
        "version": dataset.version,
        **loaded.counts,
        "labels": loaded.label_counts,
    }
    session.output.facts(facts, "Load")
    hint = [
        f"To list the problems: lakehouse upload errors {target} UPLOAD. Uploads with problems:"
    ]
    hint += [
        f"  {part.id}: {part.counts['rejected']} frames"
        for part in loaded.uploads
        # Parts without a problem are left out: a load may have thousands.
        if part.counts["rejected"]
    ]
    exit_by_status(session.output, loaded.status, "\n".join(hint))


# ---------------------------------- LIST --------------------------------- #


@app.command()
def uploads(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="project, or project/dataset[/inference_set]")
    ],
    mode: Annotated[
        Mode | None,
        typer.Option(case_sensitive=False, help="Only uploads of this mode."),
    ] = None,
    status: Annotated[
        Status | None,
        typer.Option(case_sensitive=False, help="Only uploads with this status."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Update the list until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between updates, with --watch.")
    ] = 2.0,
) -> None:
    """List uploads, newest first.

    Example: lakehouse uploads cells --status partial --watch
    """
    session = session_of(context)
    if not watch:
        rows = _listed(session, target, mode, status)
        session.output.draw(upload_tables(rows, target), rows.to_dicts())
    elif session.output.is_for_machines:
        raise typer.BadParameter("--watch does not go with --json")
    else:
        watch_output(
            lambda: upload_tables(_listed(session, target, mode, status), target), every
        )


def _listed(
    session: Session, target: str, mode: Mode | None, status: Status | None
) -> pl.DataFrame:
    # A project lists the uploads to all of its datasets and inference sets.
    if "/" not in target:
        return session.lake().project(target).uploads(mode=mode, status=status)
    rows = session.collection(target).uploads(status=status)
    return rows if mode is None else rows.filter(mode=mode)


# ------------------------------- ONE UPLOAD ------------------------------ #

upload = typer.Typer(
    help="Look at one upload, or send its rejected frames again.",
    no_args_is_help=True,
)
app.add_typer(upload, name="upload")

UploadId = Annotated[str, typer.Argument(help="The upload's id.")]
Format = Annotated[
    TableFormat | None,
    typer.Option("--format", help="By default the file's ending, or a table."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write to this .csv, .json or .jsonl file."),
]

_SHOWN: Final = (
    "target", "mode", "status", "version", "author", "message", "submitted_at",
    "settled_at", "frame_count", "label_count",
)  # fmt: skip


@upload.command("show")
def show(context: typer.Context, target: CollectionTarget, upload_id: UploadId) -> None:
    """Show an upload: who sent it, its status and its counts.

    Example: lakehouse upload show cells/hela ID
    """
    session = session_of(context)
    collection = session.collection(target)
    shown = collection.upload(upload_id)
    rows = collection.uploads()
    # One row exactly: `collection.upload` has raised already if there is none.
    (row,) = rows.filter(upload_id=upload_id).to_dicts()
    # The link is kept by the retry alone: an upload never changes once it is settled.
    retries = rows.filter(retry_of=upload_id).get_column("upload_id")
    facts = {"id": shown.id} | {name: row[name] for name in _SHOWN}
    facts |= {"frames": shown.counts, "labels": shown.label_counts}
    facts |= {"problems": shown.errors().height, "error": row["error"]}
    facts |= {"retry_of": shown.retry_of, "retried_by": retries.to_list()}
    session.output.facts(facts | {"metadata": shown.metadata}, "Upload")
    session.output.say(f"To list its rows: lakehouse upload items {target} {upload_id}")


@upload.command("items")
def items(
    context: typer.Context,
    target: CollectionTarget,
    upload_id: UploadId,
    outcome: Annotated[
        Literal["landed", "unchanged", "rejected", "pending"] | None,
        typer.Option(help="Only frames and labels with this outcome."),
    ] = None,
    format_name: Format = None,
    out: Out = None,
) -> None:
    """List the frames and labels of an upload, each with its outcome.

    Example: lakehouse upload items cells/hela ID --outcome rejected
    """
    session = session_of(context)
    rows = session.collection(target).upload(upload_id).items()
    if outcome is not None:
        rows = rows.filter(outcome=outcome)
    title = f"Items of upload {upload_id}"
    download(rows, session.output, title, chosen=format_name, out=out)


@upload.command("errors")
def errors(
    context: typer.Context,
    target: CollectionTarget,
    upload_id: UploadId,
    format_name: Format = None,
    out: Out = None,
) -> None:
    """List every problem of an upload, with the value that caused it.

    Example: lakehouse upload errors cells/hela ID -o errors.csv
    """
    session = session_of(context)
    rows = session.collection(target).upload(upload_id).errors()
    title = f"Problems of upload {upload_id}"
    download(rows, session.output, title, chosen=format_name, out=out)


@upload.command("retry")
def retry(
    context: typer.Context,
    target: CollectionTarget,
    upload_id: UploadId,
    frames: Annotated[
        Path | None, typer.Option(help="File of corrected frames.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File of corrected labels.")
    ] = None,
) -> None:
    """Send the rejected frames of an upload again, with corrections.

    Example: lakehouse upload retry cells/hela ID --labels corrected.jsonl
    """
    session = session_of(context)
    rejected = session.collection(target).upload(upload_id)
    with progress_bar() as progress:
        sent = rejected.retry(frames, labels, progress=progress)
    report_upload(session.output, target, sent)


@upload.command("diff")
def diff(
    context: typer.Context,
    target: CollectionTarget,
    upload_id: UploadId,
    rows: Rows = False,
    limit: Limit = None,
) -> None:
    """Show what one upload changed.

    Example: lakehouse upload diff cells/hela ID --rows
    """
    session = session_of(context)
    changes = session.collection(target).upload(upload_id).diff()
    print_diff(session, changes, limit, rows=rows)
