"""The application: its global options, and the session and arguments commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

import lakehouse
from lakehouse.cli.output import Output, output_for
from lakehouse.similarity import Metric

# ------------------------------- ARGUMENTS ------------------------------- #

DatasetTarget = Annotated[str, typer.Argument(help="project/dataset")]
DatasetVersionTarget = Annotated[
    str,
    typer.Argument(help="project/dataset[@version]; the latest version by default."),
]
InferenceSetTarget = Annotated[
    str, typer.Argument(help="project/dataset/inference_set")
]
CollectionTarget = Annotated[
    str, typer.Argument(help="project/dataset[/inference_set]")
]
VersionTarget = Annotated[
    str,
    typer.Argument(
        help="project/dataset[/inference_set][@version]; the latest version by default."
    ),
]
ProjectName = Annotated[str, typer.Argument(help="The project's name.")]

FramesFile = Annotated[
    Path | None, typer.Option(help="File of frames: .jsonl, .json, .csv or .parquet.")
]
LabelsFile = Annotated[
    Path | None, typer.Option(help="File of labels: .jsonl, .json, .csv or .parquet.")
]
IfExists = Annotated[
    Literal["replace", "reject", "skip"],
    typer.Option(help="What to do with frames that the dataset already has."),
]
Message = Annotated[
    str | None,
    typer.Option("--message", "-m", help="Note to record, such as the reason."),
]
Deferred = Annotated[
    bool,
    typer.Option(
        "--deferred", help="Only stage the upload; `lakehouse run merge` merges it."
    ),
]
Archived = Annotated[
    bool, typer.Option("--archived", help="Include archived ones in the list.")
]
DistanceMetric = Annotated[
    Metric, typer.Option("--metric", help="How to measure the distance of embeddings.")
]

# ------------------------------ APPLICATION ------------------------------ #

app = typer.Typer(
    name="lakehouse",
    help="Versioned tables for machine-learning datasets, on Delta Lake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # targets are written with brackets
)


@app.callback()
def options(
    context: typer.Context,
    root: Annotated[
        str,
        typer.Option(
            envvar="LAKEHOUSE_ROOT", help="Folder or s3:// prefix of the lake."
        ),
    ] = "lake",
    author: Annotated[
        str | None,
        typer.Option(
            envvar="LAKEHOUSE_AUTHOR", help="Author recorded with each version."
        ),
    ] = None,
    media_root: Annotated[
        str | None,
        typer.Option(
            envvar="LAKEHOUSE_MEDIA_ROOT",
            help="Folder or URL that relative image paths start from.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else.")
    ] = False,
) -> None:
    """Versioned tables for machine-learning datasets, on Delta Lake."""
    # Nothing is opened here: `--help` of a command, and errors in its arguments, must
    # not need a lake.
    context.obj = Session(root, author, output_for(json=json), media_root)


@dataclass(frozen=True, slots=True)
class Session:
    """The global options of one call, and what commands open with them."""

    root: str
    author: str | None
    output: Output
    media_root: str | None = None

    def lake(self, *, inline: bool = True) -> lakehouse.Lake:
        """The lake; writes are only staged where they are not merged inline."""
        return lakehouse.connect(
            self.root,
            author=self.author,
            merge="inline" if inline else "deferred",
            media_root=self.media_root,
        )

    def dataset(self, target: str, *, inline: bool = True) -> lakehouse.Dataset:
        """The dataset of a target; targets of inference sets are refused."""
        parts = split_target(target)
        if parts.inference_set:
            raise typer.BadParameter(
                f"{target!r} is an inference set; this command needs a dataset: "
                "project/dataset"
            )
        return self.lake(inline=inline).project(parts.project).dataset(parts.dataset)

    def inference_set(
        self, target: str, *, inline: bool = True
    ) -> lakehouse.InferenceSet:
        """The inference set of a target; targets of datasets are refused."""
        parts = split_target(target)
        if not parts.inference_set:
            raise typer.BadParameter(
                f"{target!r} is a dataset; this command needs an inference set: "
                "project/dataset/inference_set"
            )
        project = self.lake(inline=inline).project(parts.project)
        return project.dataset(parts.dataset).inference_set(parts.inference_set)

    def collection(
        self, target: str, *, inline: bool = True
    ) -> lakehouse.Dataset | lakehouse.InferenceSet:
        """The dataset or inference set of a target."""
        if split_target(target).inference_set:
            return self.inference_set(target, inline=inline)
        return self.dataset(target, inline=inline)

    def snapshot(self, target: str) -> lakehouse.Snapshot:
        """The version of a target."""
        return self.collection(target).at(split_target(target).ref)

    def segment(self, project: str, name: str) -> lakehouse.Segment:
        """The segment of a project, by its name or id."""
        return self.lake().project(project).segment(name)


def session_of(context: typer.Context) -> Session:
    """The session of a command."""
    # Only where a command is called as a function, past the callback that sets it.
    if not isinstance(context.obj, Session):
        raise typer.BadParameter("run this command through `lakehouse`")
    return context.obj


class Target(NamedTuple):
    """The parts of `project/dataset[/inference_set]@ref`."""

    project: str
    dataset: str
    ref: str
    """A version, as `dataset.at` takes it."""
    inference_set: str | None = None


def split_target(target: str) -> Target:
    """The parts of `project/dataset[/inference_set][@ref]`.

    The ref is `latest` when left out.

    Raises:
        typer.BadParameter: If it is not of that form.

    >>> split_target("cells/hela@3")
    Target(project='cells', dataset='hela', ref='3', inference_set=None)
    """
    # At the first `@`: names of projects, datasets and sets cannot hold one.
    path, _, ref = target.partition("@")
    parts = path.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        raise typer.BadParameter(
            f"{target!r} is not of the form project/dataset[/inference_set][@version]."
        )
    inference_set = parts[2] if len(parts) > 2 else None  # noqa: PLR2004 - the third
    return Target(parts[0], parts[1], ref or "latest", inference_set)


def split_assignment(text: str, form: str) -> tuple[str, float]:
    """The name and the number of `name=number`.

    Args:
        text: Such as `train=0.8`.
        form: What the error message names as the right form.

    Raises:
        typer.BadParameter: If it is not of that form.

    >>> split_assignment("train=0.8", "split=share")
    ('train', 0.8)
    """
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form {form}") from None
