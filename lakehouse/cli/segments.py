"""Commands on segments, from create to export."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from lakehouse import Segment
from lakehouse.cli.app import (
    Archived,
    DistanceMetric,
    ProjectName,
    VersionTarget,
    app,
    session_of,
    split_assignment,
)
from lakehouse.segments import ElementType, SegmentState, SegmentType

segment = typer.Typer(
    help="Manage segments: groups of frames, labels or inferences.",
    no_args_is_help=True,
)
app.add_typer(segment, name="segment")

Name = Annotated[str, typer.Argument(help="The segment's name or id.")]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", help="frame_id, or frame_id/label_id; may be repeated."),
]
IdsFile = Annotated[
    Path | None,
    typer.Option("--from", help="File of ids: .jsonl, .json, .csv or .parquet."),
]


@segment.command("create")
def create(
    context: typer.Context,
    project: ProjectName,
    name: Annotated[str, typer.Argument(help="A name for the segment.")],
    holds: Annotated[ElementType, typer.Option(help="What its elements are.")],
    kind: Annotated[
        SegmentType, typer.Option("--type", help="What the segment is for.")
    ] = "bucket",
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="metric=value that models must reach, such as AP=0.5; may be repeated."
        ),
    ] = None,
    assignee: Annotated[
        str | None, typer.Option(help="The person who is responsible for it.")
    ] = None,
) -> None:
    """Create a segment.

    Example: lakehouse segment create cells "loose boxes" --holds label
    """
    session = session_of(context)
    made = (
        session.lake()
        .project(project)
        .create_segment(
            name,
            type=kind,
            element_type=holds,
            thresholds=dict(
                split_assignment(text, "metric=value") for text in threshold or ()
            ),
            assignee=assignee,
        )
    )
    session.output.facts(made.to_dict(), "Segment")


@segment.command("list")
def list_segments(
    context: typer.Context,
    project: ProjectName,
    state: Annotated[
        SegmentState | None, typer.Option(help="Only segments in this state.")
    ] = None,
    kind: Annotated[
        SegmentType | None, typer.Option("--type", help="Only segments of this type.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Only segments with elements of this dataset."),
    ] = None,
    archived: Archived = False,
) -> None:
    """List the segments of a project.

    Example: lakehouse segment list cells --state triage
    """
    session = session_of(context)
    segments = (
        session.lake()
        .project(project)
        .segments(state=state, type=kind, dataset=dataset, archived=archived)
    )
    shown = ("name", "type", "element_type", "state", "assignee", "archived")
    rows = [
        {field: value for field, value in one.to_dict().items() if field in shown}
        | {"elements": one.count}
        for one in segments
    ]
    session.output.table(pl.DataFrame(rows), f"Segments of {project}")


@segment.command("show")
def show(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    limit: Annotated[int, typer.Option(help="How many elements to list.")] = 20,
) -> None:
    """Show a segment and its first elements.

    Example: lakehouse segment show cells "loose boxes"
    """
    session = session_of(context)
    shown = session.segment(project, name)
    rows = shown.tracking().drop("earlier", "updated_at")
    facts = {
        "elements": shown.count,
        "out_of_date": shown.out_of_date().height,
        "first_elements": rows.head(limit).to_dicts(),
    }
    session.output.facts(shown.to_dict() | facts, f"Segment {shown.name}")


@segment.command("add")
def add(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    target: VersionTarget,
    ids: Ids = None,
    file: IdsFile = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Add everything that the version has.")
    ] = False,
) -> None:
    """Add frames, labels or inferences as they are in a version.

    Example: lakehouse segment add cells "loose boxes" cells/hela@3 --id f1/a
    """
    session = session_of(context)
    changed = session.segment(project, name)
    elements = _elements(changed, ids, file)
    if (elements is None) != everything:
        raise typer.BadParameter("give --id, --from, or --all")
    # The parameter is called after what the segment holds: frames=, labels=, …
    chosen: dict[str, Any] = {f"{changed.element_type}s": elements}
    added = changed.add(session.snapshot(target), **chosen)
    facts = {"added": added, "elements": changed.count}
    session.output.facts(facts, f"Segment {changed.name}")


@segment.command("remove")
def remove(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    ids: Ids = None,
    file: IdsFile = None,
) -> None:
    """Remove elements from a segment.

    Example: lakehouse segment remove cells "loose boxes" --id f1/a
    """
    session = session_of(context)
    changed = session.segment(project, name)
    elements = _elements(changed, ids, file)
    if elements is None:
        raise typer.BadParameter("give --id or --from")
    removed = changed.remove(elements)
    facts = {"removed": removed, "elements": changed.count}
    session.output.facts(facts, f"Segment {changed.name}")


@segment.command("state")
def state(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    new: Annotated[
        SegmentState, typer.Argument(metavar="STATE", help="The new state.")
    ],
) -> None:
    """Set the state of the work on a segment.

    Example: lakehouse segment state cells "loose boxes" resolved
    """
    session = session_of(context)
    changed = session.segment(project, name)
    changed.set_state(new)
    session.output.facts({"name": changed.name, "state": changed.state}, "Segment")


@segment.command("archive")
def archive(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Show it in lists again.")
    ] = False,
) -> None:
    """Hide a segment from lists.

    Example: lakehouse segment archive cells "loose boxes"
    """
    session = session_of(context)
    changed = session.segment(project, name)
    changed.archive(archived=not undo)
    facts = {"name": changed.name, "archived": changed.is_archived}
    session.output.facts(facts, "Segment")


@segment.command("out-of-date")
def out_of_date(context: typer.Context, project: ProjectName, name: Name) -> None:
    """List elements that have changed in their dataset since they were added.

    Example: lakehouse segment out-of-date cells "loose boxes"
    """
    session = session_of(context)
    rows = session.segment(project, name).out_of_date()
    session.output.table(rows, f"Out of date in {name}")


@segment.command("refresh")
def refresh(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    ids: Ids = None,
    file: IdsFile = None,
) -> None:
    """Update elements to the latest version; all of them by default.

    Example: lakehouse segment refresh cells "loose boxes"
    """
    session = session_of(context)
    changed = session.segment(project, name)
    facts = {
        "moved": changed.refresh(_elements(changed, ids, file)),
        "out_of_date": changed.out_of_date().height,
    }
    session.output.facts(facts, f"Segment {changed.name}")


@segment.command("candidates")
def candidates(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    target: VersionTarget,
    k: Annotated[int, typer.Option("-k", help="How many frames to list.")] = 100,
    metric: DistanceMetric = "euclidean",
    *,
    labelled: Annotated[
        bool, typer.Option("--labelled", help="Include frames that have labels.")
    ] = False,
) -> None:
    """List frames that are most similar to the elements of a segment.

    Example: lakehouse segment candidates cells rare cells/pool -k 50
    """
    session = session_of(context)
    rows = session.segment(project, name).candidates(
        session.snapshot(target), k=k, metric=metric, unlabelled=not labelled
    )
    session.output.table(rows, f"Similar to {name}")


@segment.command("batches")
def batches(context: typer.Context, project: ProjectName, name: Name) -> None:
    """List the batches of work, and who does them.

    Example: lakehouse segment batches cells relabel
    """
    session = session_of(context)
    rows = session.segment(project, name).batches()
    session.output.table(rows, f"Batches of {name}")


@segment.command("assign")
def assign(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    batch: Annotated[str, typer.Argument(help="The batch, such as batch_1.")],
    assignee: Annotated[
        str | None, typer.Argument(help="Who works on it; left out: nobody.")
    ] = None,
) -> None:
    """Assign a batch of work to a person.

    Example: lakehouse segment assign cells relabel batch_1 noor
    """
    session = session_of(context)
    changed = session.segment(project, name).assign_batch(batch, assignee)
    facts = {"batch": batch, "assignee": assignee, "changed": changed}
    session.output.facts(facts, f"Segment {name}")


@segment.command("export")
def export(
    context: typer.Context,
    project: ProjectName,
    name: Name,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .json or .csv file to write.")
    ],
) -> None:
    """Write the elements, as they were when added, to a file.

    Example: lakehouse segment export cells "loose boxes" -o loose.json
    """
    session = session_of(context)
    written = session.segment(project, name).export(out)
    session.output.facts({"written": str(out), "elements": written}, "Export")


def _elements(
    segment: Segment, ids: list[str] | None, file: Path | None
) -> list[dict[str, str]] | Path | None:
    """The elements that were named; None if none were."""
    if ids and file:
        raise typer.BadParameter("give --id or --from, not both")
    return [_element(segment, text) for text in ids] if ids else file


def _element(segment: Segment, text: str) -> dict[str, str]:
    """The ids in `frame_id` or `frame_id/label_id`."""
    frame_id, slash, label_id = text.partition("/")
    if segment.element_type == "frame" and not slash:
        return {"frame_id": frame_id}
    if segment.element_type != "frame" and frame_id and label_id:
        return {"frame_id": frame_id, "label_id": label_id}
    form = "frame_id" if segment.element_type == "frame" else "frame_id/label_id"
    raise typer.BadParameter(
        f"{text!r} is not of the form {form}: the segment holds {segment.element_type}s"
    )
