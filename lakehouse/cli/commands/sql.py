"""The command that asks: SQL over the tables of a version."""

from typing import Annotated

import polars as pl
import typer

from lakehouse.cli.app import app, session, split_target
from lakehouse.cli.output import written_as
from lakehouse.storage import collect

__all__ = ["sql"]


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
