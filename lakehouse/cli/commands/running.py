"""Commands that jobs call: run merge, run compact."""

import time
from typing import Annotated

import polars as pl
import typer

from lakehouse.cli.app import app, session

__all__ = ["run"]

run = typer.Typer(help="Scheduled work.", no_args_is_help=True)
app.add_typer(run, name="run")


@run.callback()
def work() -> None:
    """Scheduled work."""


@run.command("merge")
def merge(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="project/dataset; all when left out")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Do not stop.")] = False,
    every: Annotated[
        float, typer.Option(help="Seconds between looks, with --watch.")
    ] = 5.0,
) -> None:
    """Merge what is staged: lakehouse run merge, or lakehouse run merge cells/hela --watch."""
    here = session(context)
    while True:
        lake = here.lake(inline=False)
        datasets = (
            [here.dataset(target, inline=False)]
            if target
            else [
                dataset for project in lake.projects() for dataset in project.datasets()
            ]
        )
        settled = [upload for dataset in datasets for upload in dataset.merge_pending()]
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


@run.command("compact")
def compact(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="project/dataset; all when left out")
    ] = None,
) -> None:
    """Join small files and drop dead rows: lakehouse run compact cells/hela."""
    here = session(context)
    lake = here.lake(inline=False)
    datasets = (
        [here.dataset(target, inline=False)]
        if target
        else [dataset for project in lake.projects() for dataset in project.datasets()]
    )
    reports = [
        dataset.compact()
        .to_frame()
        .select(pl.lit(f"{dataset.project_name}/{dataset.name}").alias("dataset"), "*")
        for dataset in datasets
    ]
    here.output.table(pl.concat(reports) if reports else pl.DataFrame(), "Compacted")
