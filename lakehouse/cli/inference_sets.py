"""Commands on inference sets: create, add, list, repin, measure and compare."""

from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import typer
from rich.console import Group, RenderableType

from lakehouse.cli.app import (
    DatasetTarget,
    Deferred,
    InferenceSetTarget,
    Message,
    Session,
    app,
    session_of,
    split_target,
)
from lakehouse.cli.output import as_table, progress_bar, report_upload
from lakehouse.metrics import Metrics

inference_set = typer.Typer(
    help="Manage inference sets: what models predicted.",
    no_args_is_help=True,
)
app.add_typer(inference_set, name="inference-set")


@inference_set.command("create")
def create(
    context: typer.Context,
    target: InferenceSetTarget,
    at: Annotated[
        str | None,
        typer.Option(
            help="Version of the dataset to pin it to; the latest by default."
        ),
    ] = None,
) -> None:
    """Create an empty inference set.

    Example: lakehouse inference-set create cells/hela/model_a
    """
    session = session_of(context)
    parts = split_target(target)
    if not parts.inference_set:
        raise typer.BadParameter(
            "name the inference set: project/dataset/inference_set"
        )
    dataset = session.lake().project(parts.project).dataset(parts.dataset)
    made = dataset.create_inference_set(parts.inference_set, at=at)
    session.output.facts({"name": made.name, "pin": made.pin}, "Inference set")


@inference_set.command("add")
def add(
    context: typer.Context,
    target: InferenceSetTarget,
    inferences: Annotated[
        Path | None,
        typer.Option(help="File of inferences: .jsonl, .json, .csv or .parquet."),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="File of the frames that the model has processed."),
    ] = None,
    message: Message = None,
    deferred: Deferred = False,
) -> None:
    """Add the predictions of a model.

    Example: lakehouse inference-set add cells/hela/model_a --inferences i.jsonl
    """
    session = session_of(context)
    if inferences is None and frames is None:
        raise typer.BadParameter("give --inferences, --frames, or both")
    model = session.inference_set(target, inline=not deferred)
    with progress_bar() as progress:
        upload = model.add(inferences, frames, message=message, progress=progress)
    report_upload(session.output, target, upload)


@inference_set.command("list")
def list_sets(context: typer.Context, target: DatasetTarget) -> None:
    """List the inference sets of a dataset.

    Example: lakehouse inference-set list cells/hela
    """
    session = session_of(context)
    rows = [
        {
            "name": one.name,
            "pin": one.pin,
            "version": one.version,
            "frames": one.latest().rows["frames"],
            "inferences": one.latest().rows["labels"],
            "processing": one.is_processing,
        }
        for one in session.dataset(target).inference_sets()
    ]
    session.output.table(pl.DataFrame(rows), f"Inference sets of {target}")


@inference_set.command("repin")
def repin(
    context: typer.Context,
    target: InferenceSetTarget,
    ref: Annotated[str, typer.Argument(help="Version of the dataset to pin it to.")],
    message: Message = None,
) -> None:
    """Pin an inference set to another version of its dataset.

    Example: lakehouse inference-set repin cells/hela/model_a 5
    """
    session = session_of(context)
    model = session.inference_set(target)
    before = model.pin
    pin = model.repin(ref, message=message)
    facts = {"name": model.name, "from": before, "pin": pin}
    session.output.facts(facts, "Inference set")


# -------------------------------- METRICS -------------------------------- #

Counted = Literal["seen", "all"]

ModelTarget = Annotated[
    str,
    typer.Argument(
        help="project/dataset/inference_set[@version]; the latest version by default."
    ),
]
IoU = Annotated[
    float, typer.Option(help="Least overlap (IoU) of a label and its prediction.")
]
Confidence = Annotated[
    float, typer.Option(help="Leave out predictions of a lower confidence.")
]
At = Annotated[
    str | None,
    typer.Option(
        help="Measure against the labels of this version of the dataset, not the pin."
    ),
]
Frames = Annotated[
    Counted, typer.Option(help="Count only frames that the model has seen, or all.")
]
PlotFile = Annotated[Path | None, typer.Option(help="Draw it to this .png or .svg.")]


@app.command()
def metrics(
    context: typer.Context,
    target: ModelTarget,
    iou: IoU = 0.5,
    confidence: Confidence = 0.1,
    at: At = None,
    frames: Frames = "seen",
    by: Annotated[
        str | None,
        typer.Option(help="Column of the frames: metrics for each of its values too."),
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Only frames of this segment (name or id).")
    ] = None,
    precision_recall: PlotFile = None,
    confusion: PlotFile = None,
) -> None:
    """Measure a model's predictions against the pinned labels.

    Example: lakehouse metrics cells/hela/model_a
    """
    session = session_of(context)
    result = _evaluate(session, target, iou, confidence, at, frames, segment)
    if precision_recall is not None:
        result.plot("precision_recall", precision_recall)
    if confusion is not None:
        result.plot("confusion", confusion)
    facts: dict[str, Any] = result.to_dict()
    shown: list[RenderableType] = [
        as_table(_rounded(result.summary()), f"Metrics of {target}"),
        as_table(_rounded(result.per_class()), "By class"),
    ]
    if by is not None:
        slices = result.slices(by)
        facts["slices"] = slices.to_dicts()
        shown.append(as_table(_rounded(slices), f"By {by}"))
    session.output.draw(Group(*shown, *result.notes), facts)


@app.command()
def compare(
    context: typer.Context,
    this: ModelTarget,
    other: Annotated[
        str | None,
        typer.Argument(
            help="Another inference set. Left out: the same one, measured at --at."
        ),
    ] = None,
    iou: IoU = 0.5,
    confidence: Confidence = 0.1,
    at: At = None,
    frames: Frames = "seen",
    rows: Annotated[
        bool,
        typer.Option("--rows", help="List every label and inference that differs."),
    ] = False,
) -> None:
    """Compare two models, or one model on other labels.

    Example: lakehouse compare cells/hela/model_a cells/hela/model_b

    With one model and --at: how its metrics change with other labels.
    """
    if other is None and at is None:
        raise typer.BadParameter(
            "give a second inference set, or --at to measure against other labels"
        )
    session = session_of(context)
    # Of two models both are measured against --at; one alone is held against its pin.
    first_at = None if other is None else at
    comparison = _evaluate(session, this, iou, confidence, first_at, frames).compare(
        _evaluate(session, other or this, iou, confidence, at, frames)
    )
    changes = comparison.changes()
    facts = comparison.to_dict() | ({"changes": changes.to_dicts()} if rows else {})
    summary = comparison.summary().drop("meaning")
    shown: list[RenderableType] = [
        as_table(_rounded(summary), f"{this}, {other or at}"),
        as_table(comparison.causes(), "Why"),
        *([as_table(changes, "What differs")] if rows else []),
    ]
    session.output.draw(Group(*shown, *comparison.notes), facts)


def _evaluate(
    session: Session,
    target: str,
    iou: float,
    confidence: float,
    at: str | None,
    frames: Counted,
    segment: str | None = None,
) -> Metrics:
    parts = split_target(target)
    return session.inference_set(target).metrics(
        iou=iou,
        confidence=confidence,
        at=at,
        version=parts.ref,
        frames=frames,
        segment=None if segment is None else session.segment(parts.project, segment),
    )


def _rounded(rows: pl.DataFrame) -> pl.DataFrame:
    """Four decimals, as many as people compare."""
    return rows.with_columns(pl.col(pl.Float64).round(4))
