"""Commands that read: versions, show, history, plot, lock."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from lakehouse.cli.app import app, session, split_target
from lakehouse.cli.output import arrows

__all__ = ["history", "lock", "plot", "show", "versions"]

_SUMMARY = ["version", "time", "author", "message", "frames_rows", "labels_rows"]
_COUNTS = ["created", "replaced", "modified", "deleted", "rejected"]

Target = Annotated[
    str, typer.Argument(help="project/dataset[/inference_set][@version]")
]


@app.command()
def versions(context: typer.Context, target: Target) -> None:
    """List the versions of a dataset: lakehouse versions cells/hela."""
    here = session(context)
    rows = here.versioned(target).versions().select(*_SUMMARY, *_COUNTS)
    here.output.table(rows, f"Versions of {target}")


@app.command()
def show(
    context: typer.Context,
    target: Target,
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
    target: Target,
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
    target: Target,
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
    target: Target,
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
