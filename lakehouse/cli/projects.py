"""Commands on projects and datasets."""

from typing import Annotated, Any

import polars as pl
import typer

from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.versioned import Mode
from lakehouse.cli.app import app, session, split_target

project = typer.Typer(
    help="Projects: a name, a task, a class map.", no_args_is_help=True
)
dataset = typer.Typer(help="Datasets of a project.", no_args_is_help=True)
app.add_typer(project, name="project")
app.add_typer(dataset, name="dataset")


@project.command("create")
def create_project(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits and underscores.")],
    classes: Annotated[list[str], typer.Option("--class", help="A class; repeat it.")],
    task: Annotated[
        str | None, typer.Option(help="Such as 2D_OBJECT_DETECTION.")
    ] = None,
    exist_ok: Annotated[
        bool, typer.Option("--exist-ok", help="It may be there.")
    ] = False,
) -> None:
    """Create a project: lakehouse project create cells --class cell --class debris."""
    here = session(context)
    made = here.lake().create_project(
        name, classes=classes, task=task, exist_ok=exist_ok
    )
    here.output.facts(
        {"name": made.name, "classes": made.classes, "task": made.task}, "Project"
    )


@project.command("list")
def list_projects(context: typer.Context) -> None:
    """List the projects of the lake: lakehouse project list."""
    here = session(context)
    rows = [
        {
            "name": p.name,
            "task": p.task,
            "classes": len(p.classes),
            "datasets": len(p.datasets()),
        }
        for p in here.lake().projects()
    ]
    here.output.table(pl.DataFrame(rows), "Projects")


@dataset.command("create")
def create_dataset(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
    mode: Annotated[
        str, typer.Option(help="STREAMING, or BATCH: loaded once.")
    ] = "STREAMING",
    exist_ok: Annotated[
        bool, typer.Option("--exist-ok", help="It may be there.")
    ] = False,
) -> None:
    """Create an empty dataset: lakehouse dataset create cells/hela."""
    here = session(context)
    named = split_target(target)
    made = (
        here.lake()
        .project(named.project)
        .create_dataset(
            named.dataset,
            mode="BATCH" if mode == "BATCH" else "STREAMING",
            exist_ok=exist_ok,
        )
    )
    here.output.facts(
        {"name": made.name, "mode": made.mode, "version": made.version}, "Dataset"
    )


@dataset.command("list")
def list_datasets(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The project.")],
    batch: Annotated[
        bool | None, typer.Option("--batch/--streaming", help="Only those of a mode.")
    ] = None,
) -> None:
    """List the datasets of a project: lakehouse dataset list cells."""
    here = session(context)
    modes: dict[bool | None, Mode | None] = {True: "BATCH", False: "STREAMING"}
    rows = [
        {"name": d.name, "mode": d.mode, **_facts(d)}
        for d in here.lake().project(name).datasets(mode=modes.get(batch))
    ]
    here.output.table(
        pl.DataFrame(rows, infer_schema_length=None), f"Datasets of {name}"
    )


def _facts(found: Dataset) -> dict[str, Any]:
    """What a list tells of a dataset; a clone is listed before it can be read."""
    facts: dict[str, Any] = {"status": "DONE" if found.is_ready else "PENDING"}
    facts |= {"version": None, "frames": None, "labels": None, "processing": None}
    if found.is_ready:
        facts |= {"version": found.version, **found.latest().counts}
        facts |= {"processing": found.is_processing}
    return facts | {"clone_of": found.clone_of, "clone": found.clone_name}


@dataset.command("clone")
def clone_dataset(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset[@version]")],
    name: Annotated[
        str | None,
        typer.Argument(help="The clone's name; MUTABLE_… of a BATCH dataset."),
    ] = None,
    exist_ok: Annotated[
        bool, typer.Option("--exist-ok", help="Go on with one that was cut short.")
    ] = False,
    deferred: Annotated[
        bool, typer.Option("--deferred", help="Only list it; `run clone` makes it.")
    ] = False,
) -> None:
    """Begin a dataset with what another has: lakehouse dataset clone cells/hela@3 copy."""
    here = session(context)
    found = here.dataset(target, inline=not deferred)
    clone = (
        found.clone_as_mutable(exist_ok=exist_ok)
        if name is None
        else found.clone(name, split_target(target).ref, exist_ok=exist_ok)
    )
    if not deferred:
        clone.wait()
    here.output.facts({"name": clone.name, "status": clone.status}, "Clone")


@dataset.command("show")
def show_dataset(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
) -> None:
    """Show a dataset's facts: lakehouse dataset show cells/hela."""
    here = session(context)
    found = here.dataset(target)
    if not found.is_ready:
        waiting = {"name": found.name, "clone_of": found.clone_of, "status": "PENDING"}
        here.output.facts(waiting, "Dataset")
        return
    latest = found.latest()
    facts: dict[str, Any] = {
        "name": found.name,
        "mode": found.mode,
        "version": found.version,
        **latest.counts,
        "fingerprint": latest.fingerprint,
        "processing": found.is_processing,
        "clone_of": found.clone_of,
        "clone": found.clone_name,
    }
    here.output.facts(facts, "Dataset")
