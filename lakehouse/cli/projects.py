"""Commands on projects and datasets: create, list, clone, show."""

from typing import Annotated, Any

import polars as pl
import typer

import lakehouse
from lakehouse.catalog.registry import Mode
from lakehouse.cli.app import (
    DatasetTarget,
    DatasetVersionTarget,
    ProjectName,
    app,
    session_of,
    split_target,
)

project = typer.Typer(
    help="Manage projects: each has a name, a task and a class map.",
    no_args_is_help=True,
)
dataset = typer.Typer(help="Manage the datasets of a project.", no_args_is_help=True)
app.add_typer(project, name="project")
app.add_typer(dataset, name="dataset")

ExistOk = Annotated[
    bool, typer.Option("--exist-ok", help="Succeed if it exists already.")
]


@project.command("create")
def create_project(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits and underscores.")],
    classes: Annotated[
        list[str], typer.Option("--class", help="A class name; may be repeated.")
    ],
    task: Annotated[
        str | None, typer.Option(help="The task, such as 2D_OBJECT_DETECTION.")
    ] = None,
    exist_ok: ExistOk = False,
) -> None:
    """Create a project with its classes.

    Example: lakehouse project create cells --class cell --class debris
    """
    session = session_of(context)
    made = session.lake().create_project(
        name, classes=classes, task=task, exist_ok=exist_ok
    )
    session.output.facts(
        {"name": made.name, "classes": made.classes, "task": made.task}, "Project"
    )


@project.command("list")
def list_projects(context: typer.Context) -> None:
    """List the projects of the lake.

    Example: lakehouse project list
    """
    session = session_of(context)
    rows = [
        {
            "name": one.name,
            "task": one.task,
            "classes": len(one.classes),
            "datasets": len(one.datasets()),
        }
        for one in session.lake().projects()
    ]
    session.output.table(pl.DataFrame(rows), "Projects")


@dataset.command("create")
def create_dataset(
    context: typer.Context,
    target: DatasetTarget,
    mode: Annotated[
        Mode,
        typer.Option(
            case_sensitive=False,
            help="A streaming dataset is written at any time, a batch one only once.",
        ),
    ] = "STREAMING",
    exist_ok: ExistOk = False,
) -> None:
    """Create an empty dataset.

    Example: lakehouse dataset create cells/hela
    """
    session = session_of(context)
    parts = split_target(target)
    made = (
        session.lake()
        .project(parts.project)
        .create_dataset(parts.dataset, mode=mode, exist_ok=exist_ok)
    )
    session.output.facts(
        {"name": made.name, "mode": made.mode, "version": made.version}, "Dataset"
    )


@dataset.command("list")
def list_datasets(
    context: typer.Context,
    name: ProjectName,
    batch: Annotated[
        bool | None,
        typer.Option("--batch/--streaming", help="Only datasets of this mode."),
    ] = None,
) -> None:
    """List the datasets of a project.

    Example: lakehouse dataset list cells
    """
    session = session_of(context)
    modes: dict[bool | None, Mode | None] = {True: "BATCH", False: "STREAMING"}
    rows = [
        {"name": one.name, "mode": one.mode, **_status(one)}
        for one in session.lake().project(name).datasets(mode=modes.get(batch))
    ]
    # All rows are looked at: the first may be a clone, whose columns are all null.
    session.output.table(
        pl.DataFrame(rows, infer_schema_length=None), f"Datasets of {name}"
    )


def _status(one: lakehouse.Dataset) -> dict[str, Any]:
    """The columns of a list; a clone is listed before it can be read."""
    columns: dict[str, Any] = {"status": "DONE" if one.is_ready else "PENDING"}
    columns |= {"version": None, "frames": None, "labels": None, "processing": None}
    if one.is_ready:
        columns |= {"version": one.version, **one.latest().counts}
        columns |= {"processing": one.is_processing}
    return columns | {"clone_of": one.clone_of, "clone": one.clone_name}


@dataset.command("clone")
def clone_dataset(
    context: typer.Context,
    target: DatasetVersionTarget,
    name: Annotated[
        str | None,
        typer.Argument(
            help="The clone's name; MUTABLE_… by default, for a batch dataset."
        ),
    ] = None,
    exist_ok: Annotated[
        bool,
        typer.Option("--exist-ok", help="Continue a clone that was interrupted."),
    ] = False,
    deferred: Annotated[
        bool,
        typer.Option(
            "--deferred", help="Only list it; `lakehouse run clone` makes it."
        ),
    ] = False,
) -> None:
    """Make a new dataset that starts with the content of another.

    Example: lakehouse dataset clone cells/hela@3 copy
    """
    session = session_of(context)
    source = session.dataset(target, inline=not deferred)
    clone = (
        source.clone_as_mutable(exist_ok=exist_ok)
        if name is None
        else source.clone(name, split_target(target).ref, exist_ok=exist_ok)
    )
    if not deferred:
        clone.wait()
    session.output.facts({"name": clone.name, "status": clone.status}, "Clone")


@dataset.command("show")
def show_dataset(context: typer.Context, target: DatasetTarget) -> None:
    """Show a dataset: its mode, version, counts, and whether uploads wait.

    Example: lakehouse dataset show cells/hela
    """
    session = session_of(context)
    one = session.dataset(target)
    facts: dict[str, Any]
    if not one.is_ready:
        facts = {"name": one.name, "clone_of": one.clone_of, "status": "PENDING"}
        session.output.facts(facts, "Dataset")
        return
    latest = one.latest()
    facts = {
        "name": one.name,
        "mode": one.mode,
        "version": one.version,
        **latest.counts,
        "fingerprint": latest.fingerprint,
        "processing": one.is_processing,
        "clone_of": one.clone_of,
        "clone": one.clone_name,
    }
    session.output.facts(facts, "Dataset")
