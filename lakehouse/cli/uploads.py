"""Commands on uploads: what was sent, what is wrong with it, sending it again."""

from pathlib import Path
from typing import Annotated, Any, Final, get_args

import polars as pl
import typer

from lakehouse.catalog.versioned import Mode
from lakehouse.cli.app import PARTLY, Session, app, session
from lakehouse.cli.output import download, lists, progress_bar, watch_lists
from lakehouse.model.ids import new_upload_id
from lakehouse.uploads import PART_BYTES
from lakehouse.uploads.listing import Status
from lakehouse.uploads.upload import Upload

DatasetTarget = Annotated[str, typer.Argument(help="project/dataset")]
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
    target: DatasetTarget,
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
        progress_bar() as progress,
        dataset.open_upload(message=message, progress=progress) as draft,
    ):
        progress("reading", 0, 1)
        if frames is not None:
            draft.add(frames, labels, if_exists=if_exists)  # type: ignore[arg-type]
        elif labels is not None:
            draft.upsert_labels(labels)
        progress("reading", 1, 1)
    if draft.upload is not None:
        told(here, draft.upload)


@app.command()
def modify(
    context: typer.Context,
    target: DatasetTarget,
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
    with progress_bar() as progress:
        upload = dataset.modify(frames, labels, message=message, progress=progress)
    told(here, upload)


@app.command()
def delete(
    context: typer.Context,
    target: DatasetTarget,
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
    with progress_bar() as progress:
        upload = dataset.delete(
            frame or frames, labels, message=message, progress=progress
        )
    told(here, upload)


upload = typer.Typer(
    help="One upload: its state, its errors, retrying it.", no_args_is_help=True
)
app.add_typer(upload, name="upload")

AnyTarget = Annotated[str, typer.Argument(help="project/dataset[/inference_set]")]
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
def show(context: typer.Context, target: AnyTarget, upload_id: UploadId) -> None:
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
    target: AnyTarget,
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
    target: AnyTarget,
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
    target: AnyTarget,
    upload_id: UploadId,
    frames: Annotated[Path | None, typer.Option(help="Corrected frames.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Corrected labels.")] = None,
) -> None:
    """Send the rejected frames again: lakehouse upload retry cells/hela ID --labels mended.jsonl."""
    here = session(context)
    found = here.versioned(target).upload(upload_id)
    with progress_bar() as progress:
        again = found.retry(frames, labels, progress=progress)
    told(here, again)


_MIB = 1024**2

Source = Annotated[
    str | None,
    typer.Option(
        help="A file, a folder or a pattern, local or s3://: Parquet, Arrow IPC, CSV "
        "or JSON lines."
    ),
]


@app.command()
def load(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
    frames: Source = None,
    labels: Source = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
    if_exists: Annotated[str, typer.Option(help="replace, reject or skip")] = "replace",
    load_id: Annotated[
        str | None, typer.Option(help="Go on with a load that broke off.")
    ] = None,
    part_size: Annotated[
        int, typer.Option(min=1, help="MiB of the source in one upload.")
    ] = PART_BYTES // _MIB,
) -> None:
    """Load what is larger than memory: lakehouse load cells/hela --frames 'frames/*.parquet'."""
    here = session(context)
    if if_exists not in {"replace", "reject", "skip"}:
        raise typer.BadParameter("--if-exists is replace, reject or skip")
    dataset = here.dataset(target)
    chosen = load_id or new_upload_id()
    here.output.say(f"Load {chosen}: if it breaks off, add --load-id {chosen}")
    with progress_bar() as progress:
        loaded = dataset.load(
            frames,
            labels,
            if_exists=if_exists,  # type: ignore[arg-type]
            load_id=chosen,
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
    here.output.facts(facts, "Load")
    if loaded.status in {"PARTIAL", "FAILED"}:
        here.output.say(f"What is wrong: lakehouse upload errors {target} UPLOAD")
        for upload in loaded.uploads:
            if upload.counts["rejected"]:
                here.output.say(f"  {upload.id}: {upload.counts['rejected']} frames")
        raise typer.Exit(PARTLY if loaded.status == "PARTIAL" else 1)
