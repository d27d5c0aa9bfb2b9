"""Commands that read: versions, show, history, plot, lock."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import polars as pl
import typer
from rich.console import Group

from lakehouse.cli.app import Session, app, session, split_target
from lakehouse.cli.output import arrows, as_table, written_as
from lakehouse.cli.uploads import told, upload
from lakehouse.storage import collect
from lakehouse.transactions.undo import Conflicts
from lakehouse.versions import Diff

_SUMMARY = ["version", "time", "author", "message", "frames_rows", "labels_rows"]
_COUNTS = ["created", "replaced", "modified", "deleted", "rejected"]

AnyTarget = Annotated[
    str, typer.Argument(help="project/dataset[/inference_set][@version]")
]


@app.command()
def versions(context: typer.Context, target: AnyTarget) -> None:
    """List the versions of a dataset: lakehouse versions cells/hela."""
    here = session(context)
    rows = here.versioned(target).versions().select(*_SUMMARY, *_COUNTS)
    here.output.table(rows, f"Versions of {target}")


@app.command()
def show(
    context: typer.Context,
    target: AnyTarget,
    frame: Annotated[str | None, typer.Argument(help="A frame id.")] = None,
    limit: Annotated[int, typer.Option(help="How many frames to show.")] = 20,
) -> None:
    """Show a version, or one frame with its labels: lakehouse show cells/hela@3 frame_1."""
    here = session(context)
    found = here.versioned(target)
    snapshot = found.at(split_target(target).ref)
    if frame is not None:
        row, labels = snapshot.frame(frame)
        told = {name: value for name, value in row.items() if value is not None}
        here.output.facts(told | {"labels": _told(labels).to_dicts()}, f"Frame {frame}")
        return
    facts = {
        "version": snapshot.version,
        "time": snapshot.time,
        "author": snapshot.author,
        "message": snapshot.message,
        **snapshot.counts,
        "fingerprint": snapshot.fingerprint,
        "processing": found.is_processing,
    }
    rows = snapshot.frames().sort("frame_id").head(limit).collect()
    here.output.facts(facts | {"first_frames": rows["frame_id"].to_list()}, target)


@app.command()
def history(
    context: typer.Context,
    target: AnyTarget,
    frame: Annotated[str, typer.Argument(help="A frame id.")],
    label: Annotated[str | None, typer.Option(help="Only this label.")] = None,
) -> None:
    """Every change to a frame and its labels: lakehouse history cells/hela frame_1."""
    here = session(context)
    found = here.versioned(target).history(frame, label_id=label)
    columns = ["version", "time", "author", "message", "table", "label_id", "op"]
    rows = found.select(*columns, arrows("changed").alias("changed"))
    here.output.table(rows, f"History of {frame}")


@app.command()
def plot(
    context: typer.Context,
    target: AnyTarget,
    frame: Annotated[str, typer.Argument(help="A frame id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write.")],
) -> None:
    """Draw a frame with its labels: lakehouse plot cells/hela@3 frame_1 -o frame.png."""
    here = session(context)
    snapshot = here.versioned(target).at(split_target(target).ref)
    snapshot.plot(frame).save(out)
    here.output.facts({"written": str(out)}, "Picture")


@app.command()
def lock(
    context: typer.Context,
    target: AnyTarget,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write as well.")
    ] = None,
) -> None:
    """Tell exactly which content a version is: lakehouse lock cells/hela@3 -o hela.lock.json."""
    here = session(context)
    said = here.versioned(target).at(split_target(target).ref).lock(out)
    here.output.facts(said, f"Lock of {target}")


def _told(labels: pl.DataFrame) -> pl.DataFrame:
    """Labels without the columns that none of them has."""
    return labels.select(
        name for name in labels.columns if labels[name].null_count() < labels.height
    )


checkpoint = typer.Typer(help="Names for versions, for ever.", no_args_is_help=True)
app.add_typer(checkpoint, name="checkpoint")

DatasetTarget = Annotated[str, typer.Argument(help="project/dataset")]
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
    target: DatasetTarget,
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
    target: DatasetTarget,
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
    target: DatasetTarget,
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


@app.command()
def sql(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="SQL; tables are frames, labels, …")],
    target: Annotated[
        str, typer.Argument(help="project/dataset[/inference_set][@version]")
    ],
    kind: Annotated[
        str, typer.Option("--format", help="table, json, jsonl or csv")
    ] = "table",
) -> None:
    """Ask a version: lakehouse sql "select class_name, count(*) from labels group by 1" cells/hela@3."""
    here = session(context)
    snapshot = here.versioned(target).at(split_target(target).ref)
    tables = {
        "frames": snapshot.frames(),
        "labels": snapshot.labels(),
        "frame_embeddings": snapshot.frame_embeddings(),
        "label_embeddings": snapshot.label_embeddings(),
    }
    try:
        rows = collect(pl.SQLContext(frames=tables).execute(query))
    except pl.exceptions.PolarsError as error:
        raise typer.BadParameter(f"{error} Tables: {', '.join(tables)}.") from error
    if kind == "table":
        here.output.table(rows, query)
    elif kind in {"json", "jsonl", "csv"}:
        typer.echo(written_as(rows, kind), nl=False)
    else:
        raise typer.BadParameter("--format is table, json, jsonl or csv")


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
