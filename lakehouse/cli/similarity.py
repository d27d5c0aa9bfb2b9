"""Commands on vectors: similar, duplicates, leakage, assign-splits."""

from typing import Annotated, cast

import polars as pl
import typer

from lakehouse.cli.app import Session, app, session, split_target
from lakehouse.similarity import Metric
from lakehouse.versions.snapshot import Snapshot

Target = Annotated[
    str, typer.Argument(help="project/dataset[/inference_set][@version]")
]
Distance = Annotated[str, typer.Option("--metric", help="euclidean or cosine.")]
Threshold = Annotated[
    float | None,
    typer.Option(help="The greatest distance; without it vectors are not compared."),
]
Where = Annotated[
    str | None,
    typer.Option(help="Only frames that meet it, in SQL: \"user__split = 'train'\"."),
]
Limit = Annotated[int, typer.Option(help="How many pairs to show.")]


@app.command()
def similar(
    context: typer.Context,
    target: Target,
    element: Annotated[str, typer.Argument(help="frame_id, or frame_id/label_id.")],
    k: Annotated[int, typer.Option("-k", help="How many neighbours.")] = 10,
    metric: Distance = "euclidean",
    within: Annotated[
        str | None, typer.Option(help="Only the elements of this segment.")
    ] = None,
    where: Where = None,
) -> None:
    """What resembles a frame or label: lakehouse similar cells/hela@3 frame_1 -k 5."""
    here = session(context)
    named = split_target(target)
    segment = None if within is None else here.segment(named.project, within)
    frame_id, _, label_id = element.partition("/")
    rows = _snapshot(here, target, where).similar(
        frame_id=frame_id,
        label_id=label_id or None,
        k=k,
        metric=cast("Metric", metric),
        within=segment,
    )
    here.output.table(rows, f"Like {element}")


@app.command()
def duplicates(
    context: typer.Context,
    target: Target,
    threshold: Threshold = None,
    metric: Distance = "euclidean",
    where: Where = None,
    limit: Limit = 100,
) -> None:
    """Frames that are there twice, or nearly: lakehouse duplicates cells/hela --threshold 0.1."""
    here = session(context)
    snapshot = _snapshot(here, target, where)
    rows = snapshot.duplicates(threshold, metric=cast("Metric", metric))
    here.output.table(rows.head(limit), f"{rows.height:,} pairs in {target}")


@app.command()
def leakage(
    context: typer.Context,
    one: Target,
    other: Annotated[
        str | None, typer.Argument(help="Another version; the first one if not said.")
    ] = None,
    threshold: Threshold = None,
    by: Annotated[
        str | None, typer.Option(help="A field with no value on both sides.")
    ] = None,
    metric: Distance = "euclidean",
    where: Where = None,
    other_where: Where = None,
) -> None:
    """What train and test have in common: lakehouse leakage cells/hela@train cells/hela@test."""
    here = session(context)
    if other is None and where == other_where:
        raise typer.BadParameter("say what to compare: OTHER, or --other-where")
    found = _snapshot(here, one, where).leakage(
        _snapshot(here, other or one, other_where),
        threshold=threshold,
        by=by,
        metric=cast("Metric", metric),
    )
    pairs = {"pairs": found.pairs.to_dicts(), "groups": found.groups.to_dicts()}
    here.output.facts(found.to_dict() | pairs, "Leakage")


@app.command("assign-splits")
def assign_splits(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
    share: Annotated[list[str], typer.Option(help="split=part; together they are 1.")],
    by: Annotated[
        str | None, typer.Option(help="Frames of one value stay together.")
    ] = None,
    field: Annotated[
        str, typer.Option(help="Where the split is kept.")
    ] = "user__split",
    seed: Annotated[str, typer.Option(help="Another seed is another draw.")] = "",
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
) -> None:
    """Give frames a split that stays: lakehouse assign-splits cells/hela --share train=0.8 --share test=0.2."""
    here = session(context)
    upload = here.dataset(target).assign_splits(
        dict(_share(text) for text in share),
        by=by,
        field=field,
        seed=seed,
        message=message,
    )
    facts = {"upload": upload.id, "status": upload.status, "version": upload.version}
    here.output.facts(facts | {"assigned": upload.counts["modified"]}, "Splits")


def _snapshot(here: Session, target: str, where: str | None) -> Snapshot:
    """The version of a target, or the frames of it that meet a condition."""
    found = here.versioned(target).at(split_target(target).ref)
    if where is None:
        return found
    try:
        condition = pl.sql_expr(where)
        found.frames().filter(condition).collect_schema()
    except pl.exceptions.PolarsError as error:
        told = str(error).partition("\n")[0]
        raise typer.BadParameter(f"{where!r} is no condition: {told}") from None
    return found.filter(frames=condition)


def _share(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form split=part") from None
