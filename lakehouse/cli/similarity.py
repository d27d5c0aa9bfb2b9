"""Commands on embeddings: similar, duplicates, leakage, assign-splits."""

from typing import Annotated

import polars as pl
import typer

from lakehouse import Snapshot
from lakehouse.cli.app import (
    DatasetTarget,
    DistanceMetric,
    Message,
    Session,
    VersionTarget,
    app,
    session_of,
    split_assignment,
    split_target,
)
from lakehouse.cli.output import exit_by_status

Threshold = Annotated[
    float | None,
    typer.Option(
        help="Greatest distance of a pair; embeddings are not compared without it."
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        help="Only frames that meet this SQL condition: \"user__split = 'train'\"."
    ),
]


@app.command()
def similar(
    context: typer.Context,
    target: VersionTarget,
    element: Annotated[str, typer.Argument(help="frame_id, or frame_id/label_id.")],
    k: Annotated[int, typer.Option("-k", help="How many neighbours to list.")] = 10,
    metric: DistanceMetric = "euclidean",
    within: Annotated[
        str | None, typer.Option(help="Search only the elements of this segment.")
    ] = None,
    where: Where = None,
) -> None:
    """List what is most similar to a frame or label.

    Example: lakehouse similar cells/hela@3 frame_1 -k 5
    """
    session = session_of(context)
    project = split_target(target).project
    segment = None if within is None else session.segment(project, within)
    frame_id, _, label_id = element.partition("/")
    rows = _snapshot(session, target, where).similar(
        frame_id=frame_id,
        label_id=label_id or None,
        k=k,
        metric=metric,
        within=segment,
    )
    session.output.table(rows, f"Similar to {element}")


@app.command()
def duplicates(
    context: typer.Context,
    target: VersionTarget,
    threshold: Threshold = None,
    metric: DistanceMetric = "euclidean",
    where: Where = None,
    limit: Annotated[int, typer.Option(help="How many pairs to list.")] = 100,
) -> None:
    """List pairs of frames that are the same, or nearly the same.

    Example: lakehouse duplicates cells/hela --threshold 0.1
    """
    session = session_of(context)
    rows = _snapshot(session, target, where).duplicates(threshold, metric=metric)
    session.output.table(rows.head(limit), f"{rows.height:,} pairs in {target}")


@app.command()
def leakage(
    context: typer.Context,
    one: VersionTarget,
    other: Annotated[
        str | None,
        typer.Argument(
            help="The version to compare with. Left out: the same one; "
            "give --other-where then."
        ),
    ] = None,
    threshold: Threshold = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Field whose values must not be on both sides, such as user__patient."
        ),
    ] = None,
    metric: DistanceMetric = "euclidean",
    where: Where = None,
    other_where: Where = None,
) -> None:
    """List what two versions share, such as train and test.

    Example: lakehouse leakage cells/hela@train cells/hela@test
    """
    session = session_of(context)
    if other is None and where == other_where:
        raise typer.BadParameter("give a second version, or --other-where")
    report = _snapshot(session, one, where).leakage(
        _snapshot(session, other or one, other_where),
        threshold=threshold,
        by=by,
        metric=metric,
    )
    pairs = {"pairs": report.pairs.to_dicts(), "groups": report.groups.to_dicts()}
    session.output.facts(report.to_dict() | pairs, "Leakage")


@app.command("assign-splits")
def assign_splits(
    context: typer.Context,
    target: DatasetTarget,
    share: Annotated[
        list[str],
        typer.Option(
            help="split=share, such as train=0.8; may be repeated. The shares sum to 1."
        ),
    ],
    by: Annotated[
        str | None,
        typer.Option(help="Field whose values are kept in one split each."),
    ] = None,
    field: Annotated[str, typer.Option(help="Field to write the split to.")] = (
        "user__split"
    ),
    seed: Annotated[
        str, typer.Option(help="Change it to draw the splits differently.")
    ] = "",
    message: Message = None,
) -> None:
    """Assign each frame that has no split to one, permanently.

    Example: lakehouse assign-splits cells/hela --share train=0.8 --share test=0.2
    """
    session = session_of(context)
    upload = session.dataset(target).assign_splits(
        dict(split_assignment(text, "split=share") for text in share),
        by=by,
        field=field,
        seed=seed,
        message=message,
    )
    facts = {"upload": upload.id, "status": upload.status, "version": upload.version}
    session.output.facts(facts | {"assigned": upload.counts["modified"]}, "Splits")
    hint = f"To list the problems: lakehouse upload errors {target} {upload.id}"
    exit_by_status(session.output, upload.status, hint)


def _snapshot(session: Session, target: str, where: str | None) -> Snapshot:
    """The version of a target, or the frames of it that meet a condition."""
    snapshot = session.snapshot(target)
    if where is None:
        return snapshot
    try:
        condition = pl.sql_expr(where)
        # Conditions are lazy: resolving the schema finds unknown columns now.
        snapshot.frames().filter(condition).collect_schema()
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise typer.BadParameter(
            f"{where!r} is not a condition on frames: {reason}"
        ) from None
    return snapshot.filter(frames=condition)
