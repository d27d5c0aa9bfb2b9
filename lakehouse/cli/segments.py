"""Commands on segments, from create to export."""

from pathlib import Path
from typing import Annotated, Any, cast

import polars as pl
import typer

from lakehouse.cli.app import app, session, split_target
from lakehouse.segments import ElementType, Segment, SegmentState, SegmentType
from lakehouse.similarity import Metric

segment = typer.Typer(
    help="Groups of frames, labels or inferences that stay as they were.",
    no_args_is_help=True,
)
app.add_typer(segment, name="segment")

Project = Annotated[str, typer.Argument(help="The project.")]
Name = Annotated[str, typer.Argument(help="The segment's name, or its id.")]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", help="frame_id, or frame_id/label_id; may be repeated."),
]
File = Annotated[
    Path | None,
    typer.Option("--from", help="Rows with ids: .jsonl, .json, .csv or .parquet."),
]
Limit = Annotated[int, typer.Option(help="How many elements to show.")]


@segment.command("create")
def create(
    context: typer.Context,
    project: Project,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    holds: Annotated[str, typer.Option(help="frame, label or inference.")],
    kind: Annotated[
        str, typer.Option("--type", help="What it is for, such as label_quality.")
    ] = "bucket",
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="metric=value that models must reach; may be repeated."),
    ] = None,
    assignee: Annotated[str | None, typer.Option(help="Who takes care of it.")] = None,
) -> None:
    """Create a segment: lakehouse segment create cells "loose boxes" --holds label."""
    here = session(context)
    made = (
        here.lake()
        .project(project)
        .create_segment(
            name,
            type=cast("SegmentType", kind),
            element_type=cast("ElementType", holds),
            thresholds=dict(_threshold(text) for text in threshold or ()),
            assignee=assignee,
        )
    )
    here.output.facts(made.to_dict(), "Segment")


@segment.command("list")
def list_segments(
    context: typer.Context,
    project: Project,
    state: Annotated[str | None, typer.Option(help="Only those so far.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only those of this type.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Only those with elements of this dataset.")
    ] = None,
    archived: Annotated[
        bool, typer.Option("--archived", help="Archived ones too.")
    ] = False,
) -> None:
    """List the segments of a project: lakehouse segment list cells --state triage."""
    here = session(context)
    found = (
        here.lake()
        .project(project)
        .segments(
            state=cast("SegmentState | None", state),
            type=cast("SegmentType | None", kind),
            dataset=dataset,
            archived=archived,
        )
    )
    shown = ("name", "type", "element_type", "state", "assignee", "archived")
    rows = [
        {field: value for field, value in one.to_dict().items() if field in shown}
        | {"elements": one.count}
        for one in found
    ]
    here.output.table(pl.DataFrame(rows), f"Segments of {project}")


@segment.command("show")
def show(
    context: typer.Context, project: Project, name: Name, limit: Limit = 20
) -> None:
    """Show a segment and its first elements: lakehouse segment show cells "loose boxes"."""
    here = session(context)
    found = here.segment(project, name)
    rows = found.tracking()
    told = [name for name in rows.columns if name not in {"earlier", "updated_at"}]
    facts = {
        "elements": found.count,
        "out_of_date": found.out_of_date().height,
        "first_elements": rows.head(limit).select(told).to_dicts(),
    }
    here.output.facts(found.to_dict() | facts, f"Segment {found.name}")


@segment.command("add")
def add(
    context: typer.Context,
    project: Project,
    name: Name,
    target: Annotated[
        str, typer.Argument(help="project/dataset[/inference_set][@version]")
    ],
    ids: Ids = None,
    file: File = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that the version holds.")
    ] = False,
) -> None:
    """Add elements as a version has them: lakehouse segment add cells "loose boxes" cells/hela@3 --id f1/a."""
    here = session(context)
    found = here.segment(project, name)
    given = _elements(found, ids, file)
    if (given is None) != everything:
        raise typer.BadParameter("give --id, --from, or --all")
    snapshot = here.versioned(target).at(split_target(target).ref)
    # The argument that is called after what the segment holds.
    chosen: dict[str, Any] = {f"{found.element_type}s": given}
    added = found.add(snapshot, **chosen)
    here.output.facts(
        {"added": added, "elements": found.count}, f"Segment {found.name}"
    )


@segment.command("remove")
def remove(
    context: typer.Context,
    project: Project,
    name: Name,
    ids: Ids = None,
    file: File = None,
) -> None:
    """Take elements out: lakehouse segment remove cells "loose boxes" --id f1/a."""
    here = session(context)
    found = here.segment(project, name)
    given = _elements(found, ids, file)
    if given is None:
        raise typer.BadParameter("give --id or --from")
    removed = found.remove(given)
    facts = {"removed": removed, "elements": found.count}
    here.output.facts(facts, f"Segment {found.name}")


@segment.command("state")
def state(
    context: typer.Context,
    project: Project,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="STATE", help="Such as in_progress.")],
) -> None:
    """Say how far it is: lakehouse segment state cells "loose boxes" resolved."""
    here = session(context)
    found = here.segment(project, name)
    found.set_state(new)
    here.output.facts({"name": found.name, "state": found.state}, "Segment")


@segment.command("archive")
def archive(
    context: typer.Context,
    project: Project,
    name: Name,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Bring it back.")] = False,
) -> None:
    """Hide it from lists: lakehouse segment archive cells "loose boxes"."""
    here = session(context)
    found = here.segment(project, name)
    found.archive(archived=not undo)
    here.output.facts({"name": found.name, "archived": found.is_archived}, "Segment")


@segment.command("out-of-date")
def out_of_date(context: typer.Context, project: Project, name: Name) -> None:
    """List elements that are not as they were: lakehouse segment out-of-date cells "loose boxes"."""
    here = session(context)
    rows = here.segment(project, name).out_of_date()
    here.output.table(rows, f"Out of date in {name}")


@segment.command("refresh")
def refresh(
    context: typer.Context,
    project: Project,
    name: Name,
    ids: Ids = None,
    file: File = None,
) -> None:
    """Move elements to the latest version: lakehouse segment refresh cells "loose boxes"."""
    here = session(context)
    found = here.segment(project, name)
    moved = found.refresh(_elements(found, ids, file))
    left = found.out_of_date().height
    here.output.facts({"moved": moved, "out_of_date": left}, f"Segment {found.name}")


@segment.command("candidates")
def candidates(
    context: typer.Context,
    project: Project,
    name: Name,
    target: Annotated[
        str, typer.Argument(help="project/dataset[/inference_set][@version]")
    ],
    k: Annotated[int, typer.Option("-k", help="How many frames.")] = 100,
    metric: Annotated[str, typer.Option(help="euclidean or cosine.")] = "euclidean",
    *,
    labelled: Annotated[
        bool, typer.Option("--labelled", help="Frames with labels too.")
    ] = False,
) -> None:
    """Rank frames by how like the elements they are: lakehouse segment candidates cells rare cells/pool -k 50."""
    here = session(context)
    rows = here.segment(project, name).candidates(
        here.versioned(target).at(split_target(target).ref),
        k=k,
        metric=cast("Metric", metric),
        unlabelled=not labelled,
    )
    here.output.table(rows, f"Like {name}")


@segment.command("batches")
def batches(context: typer.Context, project: Project, name: Name) -> None:
    """List the batches of work: lakehouse segment batches cells "relabel"."""
    here = session(context)
    here.output.table(here.segment(project, name).batches(), f"Batches of {name}")


@segment.command("assign")
def assign(
    context: typer.Context,
    project: Project,
    name: Name,
    batch: Annotated[str, typer.Argument(help="Such as batch_1.")],
    assignee: Annotated[
        str | None, typer.Argument(help="Who works on it; nobody if not said.")
    ] = None,
) -> None:
    """Give a batch to somebody: lakehouse segment assign cells "relabel" batch_1 noor."""
    here = session(context)
    changed = here.segment(project, name).assign_batch(batch, assignee)
    facts = {"batch": batch, "assignee": assignee, "changed": changed}
    here.output.facts(facts, f"Segment {name}")


@segment.command("export")
def export(
    context: typer.Context,
    project: Project,
    name: Name,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .json or .csv file to write.")
    ],
) -> None:
    """Write elements as they were to a file: lakehouse segment export cells "loose boxes" -o loose.json."""
    here = session(context)
    written = here.segment(project, name).export(out)
    here.output.facts({"written": str(out), "elements": written}, "Export")


def _elements(
    found: Segment, ids: list[str] | None, file: Path | None
) -> list[dict[str, str]] | Path | None:
    """The elements that were named; None if none were."""
    if ids and file:
        raise typer.BadParameter("give --id or --from, not both")
    return [_named(found, text) for text in ids] if ids else file


def _named(found: Segment, text: str) -> dict[str, str]:
    frame_id, slash, label_id = text.partition("/")
    if found.element_type == "frame" and not slash:
        return {"frame_id": frame_id}
    if found.element_type != "frame" and frame_id and label_id:
        return {"frame_id": frame_id, "label_id": label_id}
    form = "frame_id" if found.element_type == "frame" else "frame_id/label_id"
    raise typer.BadParameter(
        f"{text!r} is not of the form {form}: the segment holds {found.element_type}s"
    )


def _threshold(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form metric=value") from None
