"""Commands on the versions of a dataset: read, compare, query, name, restore."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer
from rich.console import Group

from lakehouse import Diff
from lakehouse.catalog import Conflicts
from lakehouse.cli.app import (
    Archived,
    CollectionTarget,
    DatasetTarget,
    DatasetVersionTarget,
    Message,
    Session,
    VersionTarget,
    app,
    session_of,
    split_target,
)
from lakehouse.cli.output import (
    TableFormat,
    as_table,
    changed_fields,
    download,
    report_upload,
)
from lakehouse.cli.query import check_select
from lakehouse.errors import InvalidInputError
from lakehouse.storage import collect

_VERSION_COLUMNS: Final = (
    "version", "time", "author", "message", "frames_rows", "labels_rows",
    "created", "replaced", "modified", "deleted", "rejected",
)  # fmt: skip
_CHECKPOINT_COLUMNS: Final = (
    "name", "version", "time", "author", "message", "frames", "labels",
    "created", "replaced", "modified", "deleted",
    "label_created", "label_replaced", "label_modified", "label_deleted", "archived",
)  # fmt: skip

FrameId = Annotated[str, typer.Argument(help="The frame's id.")]
Rows = Annotated[bool, typer.Option("--rows", help="List every row that differs.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Rows to list of each table; all by default.")
]

# ---------------------------------- READ --------------------------------- #


@app.command()
def versions(context: typer.Context, target: CollectionTarget) -> None:
    """List the versions of a dataset or inference set.

    Example: lakehouse versions cells/hela
    """
    session = session_of(context)
    rows = session.collection(target).versions().select(_VERSION_COLUMNS)
    session.output.table(rows, f"Versions of {target}")


@app.command()
def show(
    context: typer.Context,
    target: VersionTarget,
    frame: Annotated[
        str | None, typer.Argument(help="Show this frame with its labels.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many frame ids to list.")] = 20,
) -> None:
    """Show a version, or one of its frames with labels.

    Example: lakehouse show cells/hela@3 frame_1
    """
    session = session_of(context)
    collection = session.collection(target)
    snapshot = collection.at(split_target(target).ref)
    if frame is not None:
        row, labels = snapshot.frame(frame)
        fields = {name: value for name, value in row.items() if value is not None}
        # Labels of all types share one table, so most columns of a frame's labels are
        # null: only those that say something are printed.
        used = [s.name for s in labels if s.null_count() < labels.height]
        facts = fields | {"labels": labels.select(used).to_dicts()}
        session.output.facts(facts, f"Frame {frame}")
        return
    # Sorted, since rows lie in the order of files, which compaction changes: the same
    # version always lists the same ids.
    rows = snapshot.frames().sort("frame_id").head(limit).collect()
    facts = {
        "version": snapshot.version,
        "time": snapshot.time,
        "author": snapshot.author,
        "message": snapshot.message,
        **snapshot.counts,
        "fingerprint": snapshot.fingerprint,
        # What is staged is not in any version yet: it explains why rows just sent are
        # missing.
        "processing": collection.is_processing,
        "first_frames": rows["frame_id"].to_list(),
    }
    session.output.facts(facts, target)


@app.command()
def history(
    context: typer.Context,
    target: CollectionTarget,
    frame: FrameId,
    label: Annotated[
        str | None, typer.Option(help="List changes of this label only.")
    ] = None,
) -> None:
    """List every change to a frame and its labels.

    Example: lakehouse history cells/hela frame_1
    """
    session = session_of(context)
    changes = session.collection(target).history(frame, label_id=label)
    columns = ["version", "time", "author", "message", "table", "label_id", "op"]
    rows = changes.select(*columns, changed_fields("changed").alias("changed"))
    session.output.table(rows, f"History of {frame}")


@app.command()
def plot(
    context: typer.Context,
    target: VersionTarget,
    frame: FrameId,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The image file to write, such as .png.")
    ],
) -> None:
    """Draw a frame with its labels.

    Example: lakehouse plot cells/hela@3 frame_1 -o frame.png
    """
    session = session_of(context)
    session.snapshot(target).plot(frame).save(out)
    session.output.facts({"written": str(out)}, "Plot")


@app.command()
def lock(
    context: typer.Context,
    target: VersionTarget,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write it to this file.")
    ] = None,
) -> None:
    """Print a lockfile: the exact content of a version.

    Example: lakehouse lock cells/hela@3 -o hela.lock.json
    """
    session = session_of(context)
    fields = session.snapshot(target).lock(out)
    session.output.facts(fields, f"Lockfile of {target}")


@app.command()
def sql(
    context: typer.Context,
    query: Annotated[
        str,
        typer.Argument(
            help="SQL on the tables frames, labels, frame_embeddings, label_embeddings."
        ),
    ],
    target: VersionTarget,
    format_name: Annotated[
        TableFormat, typer.Option("--format", help="How to print the result.")
    ] = "table",
) -> None:
    """Query a version in SQL: one SELECT on its tables.

    Example: lakehouse sql "select count(*) from labels" cells/hela@3
    """
    session = session_of(context)
    snapshot = session.snapshot(target)
    tables = {
        "frames": snapshot.frames(),
        "labels": snapshot.labels(),
        "frame_embeddings": snapshot.frame_embeddings(),
        "label_embeddings": snapshot.label_embeddings(),
    }
    try:
        check_select(query, tables)
        rows = collect(pl.SQLContext(frames=tables).execute(query))
    except InvalidInputError as error:
        raise typer.BadParameter(error.message) from error
    except pl.exceptions.PolarsError as error:
        raise typer.BadParameter(f"{error} Tables: {', '.join(tables)}.") from error
    download(rows, session.output, query, chosen=format_name, out=None)


# --------------------------------- COMPARE ------------------------------- #


@app.command()
def diff(
    context: typer.Context,
    start: Annotated[str, typer.Argument(help="project/dataset@version")],
    end: Annotated[
        str | None,
        typer.Argument(
            help="The same dataset at another version; the latest by default."
        ),
    ] = None,
    rows: Rows = False,
    limit: Limit = None,
) -> None:
    """Show what differs between two versions of a dataset.

    Example: lakehouse diff cells/hela@1 cells/hela@baseline
    """
    # Without an end the same target counts without its version, so as the latest.
    first, second = split_target(start), split_target(end or start.partition("@")[0])
    # A diff is found in the change log of one ledger (decision 0012); two datasets
    # share none, so there is nothing that could be compared by key and version.
    if first._replace(ref="") != second._replace(ref=""):
        raise typer.BadParameter(
            f"{start!r} and {end!r} are different datasets; compare versions of one."
        )
    # Both sides would be the latest version: a diff that is always empty helps nobody.
    if end is None and "@" not in start:
        raise typer.BadParameter(
            f"name the version to compare with the latest: {start}@VERSION"
        )
    session = session_of(context)
    changes = session.collection(start).diff(first.ref, second.ref)
    print_diff(session, changes, limit, rows=rows)


def print_diff(
    session: Session, changes: Diff, limit: int | None, *, rows: bool
) -> None:
    """Print a diff, and its rows if they are asked for."""
    # Rows with their fields cost a JSON text for each: they are made only when asked
    # for.
    tables = {"frames": changes.frames(), "labels": changes.labels()} if rows else {}
    tables = {name: table.head(limit or table.height) for name, table in tables.items()}
    facts = changes.to_dict() | {name: t.to_dicts() for name, t in tables.items()}
    drawn = [
        as_table(table.with_columns(changed_fields("fields")), name)
        for name, table in tables.items()
    ]
    session.output.draw(Group(changes, *drawn), facts)


# ---------------------------------- UNDO --------------------------------- #


@app.command()
def restore(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="project/dataset[/inference_set]@version")
    ],
    message: Message = None,
) -> None:
    """Make an earlier version the latest again.

    Example: lakehouse restore cells/hela@baseline
    """
    session = session_of(context)
    # Elsewhere a target without a version means the latest. To restore the latest would
    # change nothing, and more likely the version was forgotten.
    if "@" not in target:
        raise typer.BadParameter("name the version to restore: project/dataset@version")
    collection = session.collection(target)
    upload = collection.restore(split_target(target).ref, message=message)
    report_upload(session.output, target, upload)


@app.command()
def revert(
    context: typer.Context,
    target: CollectionTarget,
    change: Annotated[
        str, typer.Argument(help="The id of an upload, or a version number.")
    ],
    conflicts: Annotated[
        Conflicts, typer.Option(help="Keep or overwrite rows that changed since.")
    ] = "keep",
    message: Message = None,
) -> None:
    """Undo one change and keep later work.

    Example: lakehouse revert cells/hela 7
    """
    session = session_of(context)
    upload = session.collection(target).revert(
        # A shell has only text: digits alone are a version number.
        int(change) if change.isdecimal() else change,
        conflicts=conflicts,
        message=message,
    )
    report_upload(session.output, target, upload)


# ------------------------------ CHECKPOINTS ------------------------------ #

checkpoint = typer.Typer(
    help="Manage checkpoints: permanent names for versions.", no_args_is_help=True
)
app.add_typer(checkpoint, name="checkpoint")

Name = Annotated[str, typer.Argument(help="The checkpoint's name.")]


@checkpoint.command("create")
def create(
    context: typer.Context,
    target: DatasetVersionTarget,
    name: Name,
    message: Message = None,
    metadata: Annotated[str, typer.Option(help="A JSON object to keep with it.")] = (
        "{}"
    ),
) -> None:
    """Give a version a name.

    Example: lakehouse checkpoint create cells/hela@3 baseline
    """
    session = session_of(context)
    made = session.dataset(target).checkpoint(
        name, split_target(target).ref, message=message, metadata=_json_object(metadata)
    )
    facts = {"name": made.name, "version": made.version, "message": made.message}
    session.output.facts(facts, "Checkpoint")


@checkpoint.command("list")
def list_checkpoints(
    context: typer.Context, target: DatasetTarget, archived: Archived = False
) -> None:
    """List checkpoints, each with what changed since the one before.

    Example: lakehouse checkpoint list cells/hela
    """
    session = session_of(context)
    rows = session.dataset(target).checkpoints(archived=archived)
    session.output.table(rows.select(_CHECKPOINT_COLUMNS), f"Checkpoints of {target}")


@checkpoint.command("edit")
def edit(
    context: typer.Context,
    target: DatasetTarget,
    name: Name,
    message: Message = None,
    metadata: Annotated[
        str | None, typer.Option(help="A JSON object to keep with it.")
    ] = None,
) -> None:
    """Change the message or the metadata of a checkpoint.

    Example: lakehouse checkpoint edit cells/hela baseline -m reviewed
    """
    session = session_of(context)
    edited = session.dataset(target).get_checkpoint(name)
    if message is not None:
        edited.set_message(message)
    if metadata is not None:
        edited.set_metadata(_json_object(metadata))
    facts = {
        "name": edited.name,
        "version": edited.version,
        "message": edited.message,
        "metadata": edited.metadata,
    }
    session.output.facts(facts, "Checkpoint")


@checkpoint.command("archive")
def archive(
    context: typer.Context,
    target: DatasetTarget,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Show it in lists again.")] = (
        False
    ),
) -> None:
    """Hide a checkpoint from lists.

    Example: lakehouse checkpoint archive cells/hela baseline
    """
    session = session_of(context)
    archived = session.dataset(target).get_checkpoint(name)
    archived.archive(archived=not undo)
    facts = {"name": archived.name, "archived": archived.is_archived}
    session.output.facts(facts, "Checkpoint")


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--metadata is not JSON: {error}") from error
    # Metadata are kept as an object: a list or number has no keys to look up.
    if not isinstance(value, dict):
        raise typer.BadParameter("--metadata must be a JSON object, such as '{}'")
    return value
