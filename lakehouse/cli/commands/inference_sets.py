"""Commands on inference sets: create, add, list, repin."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from lakehouse.cli.app import app, session, split_target
from lakehouse.cli.commands.writing import told
from lakehouse.cli.progress import progress_bar

__all__ = ["inference_set"]

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
    with progress_bar() as tell:
        upload = found.add(inferences, frames, message=message, progress=tell)
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
