"""Commands on inference sets: create, add, list, repin."""

from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import typer
from rich.console import Group, RenderableType

from lakehouse.cli.app import Session, app, session, split_target
from lakehouse.cli.output import as_table, progress_bar
from lakehouse.cli.uploads import told
from lakehouse.metrics import Metrics

inference_set = typer.Typer(
    help="What models said of a dataset's frames.", no_args_is_help=True
)
app.add_typer(inference_set, name="inference-set")

Set = Annotated[str, typer.Argument(help="project/dataset/inference_set")]
Message = Annotated[str | None, typer.Option("--message", "-m", help="Why.")]


@inference_set.command("create")
def create(
    context: typer.Context,
    target: Set,
    at: Annotated[
        str | None,
        typer.Option(
            help="The dataset's version to pin it to; the latest if left out."
        ),
    ] = None,
) -> None:
    """Create an empty inference set: lakehouse inference-set create cells/hela/model_a."""
    here = session(context)
    named = split_target(target)
    if not named.inference_set:
        raise typer.BadParameter("name the set: project/dataset/inference_set")
    dataset = here.lake().project(named.project).dataset(named.dataset)
    made = dataset.create_inference_set(named.inference_set, at=at)
    here.output.facts({"name": made.name, "pin": made.pin}, "Inference set")


@inference_set.command("add")
def add(
    context: typer.Context,
    target: Set,
    inferences: Annotated[
        Path | None, typer.Option(help="Inferences: .jsonl, .json, .csv or .parquet.")
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(help="Frames that the model saw, the same.")
    ] = None,
    message: Message = None,
    deferred: Annotated[
        bool, typer.Option("--deferred", help="Only stage; `run merge` merges.")
    ] = False,
) -> None:
    """Add what a model said: lakehouse inference-set add cells/hela/model_a --inferences i.jsonl."""
    here = session(context)
    if inferences is None and frames is None:
        raise typer.BadParameter("give --inferences, --frames, or both")
    found = here.inference_set(target, inline=not deferred)
    with progress_bar() as progress:
        upload = found.add(inferences, frames, message=message, progress=progress)
    told(here, upload)


@inference_set.command("list")
def list_sets(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
) -> None:
    """List the inference sets of a dataset: lakehouse inference-set list cells/hela."""
    here = session(context)
    rows = [
        {
            "name": one.name,
            "pin": one.pin,
            "version": one.version,
            "frames": one.latest().rows["frames"],
            "inferences": one.latest().rows["labels"],
            "processing": one.is_processing,
        }
        for one in here.dataset(target).inference_sets()
    ]
    here.output.table(pl.DataFrame(rows), f"Inference sets of {target}")


@inference_set.command("repin")
def repin(
    context: typer.Context,
    target: Set,
    ref: Annotated[str, typer.Argument(help="The dataset's version to pin it to.")],
    message: Message = None,
) -> None:
    """Measure against another version: lakehouse inference-set repin cells/hela/model_a 5."""
    here = session(context)
    found = here.inference_set(target)
    before = found.pin
    facts = {
        "name": found.name,
        "from": before,
        "pin": found.repin(ref, message=message),
    }
    here.output.facts(facts, "Inference set")


Which = Literal["seen", "all"]

IoU = Annotated[float, typer.Option(help="The least overlap of a match.")]
Confidence = Annotated[float, typer.Option(help="Inferences below are left out.")]
At = Annotated[
    str | None,
    typer.Option(help="Labels of another version of the dataset than the pin."),
]
Frames = Annotated[
    Which, typer.Option(help="Count frames that the model has seen, or all.")
]
Picture = Annotated[Path | None, typer.Option(help="Where to draw it: .png or .svg.")]


@app.command()
def metrics(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="project/dataset/inference_set[@version]")
    ],
    iou: IoU = 0.5,
    confidence: Confidence = 0.1,
    at: At = None,
    frames: Frames = "seen",
    by: Annotated[
        str | None,
        typer.Option(help="A column of the frames: figures of each of its values."),
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Only frames of this segment, by name or id.")
    ] = None,
    precision_recall: Picture = None,
    confusion: Picture = None,
) -> None:
    """How a model fares against the pinned labels: lakehouse metrics cells/hela/model_a."""
    here = session(context)
    found = _measured(here, target, iou, confidence, at, frames, segment)
    for kind, path in (
        ("precision_recall", precision_recall),
        ("confusion", confusion),
    ):
        if path is not None:
            found.plot(kind, path)  # type: ignore[arg-type]
    facts: dict[str, Any] = found.to_dict()
    shown: list[RenderableType] = [
        as_table(_rounded(found.summary()), f"Metrics of {target}"),
        as_table(_rounded(found.per_class()), "By class"),
    ]
    if by is not None:
        parts = found.slices(by)
        facts["slices"] = parts.to_dicts()
        shown.append(as_table(_rounded(parts), f"By {by}"))
    here.output.drawn(Group(*shown, *found.notes), facts)


@app.command()
def compare(
    context: typer.Context,
    this: Annotated[
        str, typer.Argument(help="project/dataset/inference_set[@version]")
    ],
    other: Annotated[
        str | None,
        typer.Argument(help="Another set; the same set if left out: give --at then."),
    ] = None,
    iou: IoU = 0.5,
    confidence: Confidence = 0.1,
    at: At = None,
    frames: Frames = "seen",
    rows: Annotated[
        bool, typer.Option("--rows", help="List the labels and inferences that differ.")
    ] = False,
) -> None:
    """What differs between two models: lakehouse compare cells/hela/model_a cells/hela/model_b.

    With one model and --at: what other labels would say of it.
    """
    if other is None and at is None:
        raise typer.BadParameter(
            "give a second inference set, or --at to ask what other labels would say"
        )
    here = session(context)
    # Two sets are held against the same labels if --at says which.
    mine = None if other is None else at
    found = _measured(here, this, iou, confidence, mine, frames).compare(
        _measured(here, other or this, iou, confidence, at, frames)
    )
    changes = found.changes()
    facts = found.to_dict() | ({"changes": changes.to_dicts()} if rows else {})
    shown: list[RenderableType] = [
        as_table(_rounded(found.summary().drop("meaning")), f"{this}, {other or at}"),
        as_table(found.causes(), "Why"),
        *([as_table(changes, "What differs")] if rows else []),
    ]
    here.output.drawn(Group(*shown, *found.notes), facts)


def _measured(
    here: Session,
    target: str,
    iou: float,
    confidence: float,
    at: str | None,
    frames: Which,
    segment: str | None = None,
) -> Metrics:
    named = split_target(target)
    return here.inference_set(target).metrics(
        iou=iou,
        confidence=confidence,
        at=at,
        version=named.ref,
        frames=frames,
        segment=None if segment is None else here.segment(named.project, segment),
    )


def _rounded(rows: pl.DataFrame) -> pl.DataFrame:
    """Figures as people read them."""
    return rows.with_columns(pl.col(pl.Float64).round(4))
