"""Commands that jobs call: run merge, clone, compact, collect-garbage, verify."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Group

from lakehouse.cli.app import app, session
from lakehouse.cli.output import progress_bar
from lakehouse.transactions.garbage import GRACE, RETENTION
from lakehouse.verify import Verification

run = typer.Typer(help="Scheduled work.", no_args_is_help=True)
app.add_typer(run, name="run")

Target = Annotated[
    str | None,
    typer.Argument(help="project/dataset[/inference_set]; all when left out"),
]


@run.callback()
def work() -> None:
    """Scheduled work."""


@run.command("merge")
def merge(
    context: typer.Context,
    target: Target = None,
    watch: Annotated[bool, typer.Option("--watch", help="Do not stop.")] = False,
    every: Annotated[
        float, typer.Option(help="Seconds between looks, with --watch.")
    ] = 5.0,
) -> None:
    """Merge what is staged: lakehouse run merge, or lakehouse run merge cells/hela --watch."""
    here = session(context)
    while True:
        with progress_bar() as progress:
            settled = [
                upload
                for _, found in here.everything(target)
                for upload in found.merge_pending(progress=progress)
            ]
        rows = [
            {
                "upload_id": done.id,
                "status": done.status,
                "version": done.version,
                **done.counts,
            }
            for done in settled
        ]
        if settled or not watch:
            here.output.table(pl.DataFrame(rows), "Merged")
        if not watch:
            return
        time.sleep(every)


@run.command("clone")
def clone(context: typer.Context) -> None:
    """Go on with clones that were only listed, or cut short: lakehouse run clone."""
    here = session(context)
    made = [
        {"target": f"{project.name}/{dataset.name}", "clone_of": dataset.clone_of}
        for project in here.lake(inline=False).projects(archived=True)
        for dataset in project.finish_clones()
    ]
    here.output.table(pl.DataFrame(made), "Cloned")


@run.command("compact")
def compact(
    context: typer.Context,
    target: Target = None,
) -> None:
    """Join small files and drop dead rows: lakehouse run compact cells/hela."""
    here = session(context)
    reports = [
        found.compact().to_frame().select(pl.lit(name).alias("target"), "*")
        for name, found in here.everything(target)
    ]
    here.output.table(pl.concat(reports) if reports else pl.DataFrame(), "Compacted")


@run.command("collect-garbage")
def collect_garbage(
    context: typer.Context,
    target: Target = None,
    retention: Annotated[
        float, typer.Option(help="Days that a version keeps its files.")
    ] = RETENTION.days,
    grace: Annotated[
        float, typer.Option(help="Days that files are let be at the least.")
    ] = GRACE.days,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove it; otherwise only tell.")
    ] = False,
) -> None:
    """Remove files that only old versions need: lakehouse run collect-garbage --remove."""
    here = session(context)
    rows: list[pl.DataFrame] = []
    wrong: list[str] = []
    for name, one in here.everything(target):
        found = one.collect_garbage(
            retention=timedelta(days=retention),
            grace=timedelta(days=grace),
            dry_run=not remove,
        )
        rows.append(found.to_frame().select(pl.lit(name).alias("target"), "*"))
        wrong += [f"{name}: {text}" for text in found.damaged]
        closed = len(found.closed)
        here.output.say(f"{name}: {closed} versions move to the change log")
    if target is None:
        found = here.lake().collect_garbage(
            retention=timedelta(days=retention),
            grace=timedelta(days=grace),
            dry_run=not remove,
        )
        rows.append(found.to_frame().select(pl.lit("lake").alias("target"), "*"))
    title = "Removed" if remove else "Would be removed (--remove does it)"
    here.output.table(pl.concat(rows) if rows else pl.DataFrame(), title)
    for text in wrong:
        typer.echo(text, err=True)
    if wrong:
        raise typer.Exit(1)


@run.command("verify")
def verify(
    context: typer.Context,
    target: Target = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Not every byte, nor every version.")
    ] = False,
    media: Annotated[
        bool, typer.Option("--media", help="Images and masks, too, that are named.")
    ] = False,
) -> None:
    """Find everything that is wrong, and exit with 1 if anything is: lakehouse run verify cells/hela."""
    here = session(context)
    found: dict[str, Verification] = {}
    for name, one in here.everything(target, archived=True):
        with progress_bar() as progress:
            found[name] = one.verify(full=not quick, media=media, progress=progress)
    here.output.drawn(
        Group(*(part for name, one in found.items() for part in (name, one))),
        {name: _facts(one) for name, one in found.items()},
    )
    if not all(one.is_sound for one in found.values()):
        raise typer.Exit(1)


def _facts(found: Verification) -> dict[str, Any]:
    return {
        "sound": found.is_sound,
        "checked": dict(found.checked),
        "notes": list(found.notes),
        "problems": found.problems.to_dicts(),
    }


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where to put the demo.")] = Path(
        "demo-lake"
    ),
) -> None:
    """Real frames go in, change, go wrong, get mended, are read back: lakehouse demo."""
    from lakehouse.cli.demo import run_demo  # noqa: PLC0415 - needs an extra

    session(context)
    run_demo(folder)
