"""The application: its global options, and what commands share."""

from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import typer

import lakehouse
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.cli.output import Output, output_for
from lakehouse.segments import Segment

PARTLY: Final = 3
"""Exit code: some frames were rejected."""

app = typer.Typer(
    name="lakehouse",
    help="Versioned tables for machine-learning datasets, on Delta Lake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # targets are written with brackets
)


@dataclass(frozen=True, slots=True)
class Session:
    """What every command has at hand."""

    root: str
    author: str | None
    output: Output
    media_root: str | None = None

    def lake(self, *, inline: bool = True) -> lakehouse.Lake:
        """The lake."""
        return lakehouse.connect(
            self.root,
            author=self.author,
            merge="inline" if inline else "deferred",
            media_root=self.media_root,
        )

    def dataset(self, target: str, *, inline: bool = True) -> Dataset:
        """The dataset of a target, which names no inference set."""
        named = split_target(target)
        if named.inference_set:
            raise typer.BadParameter(
                f"{target!r} names an inference set: name a dataset"
            )
        return self.lake(inline=inline).project(named.project).dataset(named.dataset)

    def inference_set(self, target: str, *, inline: bool = True) -> InferenceSet:
        """The inference set of a target."""
        named = split_target(target)
        if not named.inference_set:
            raise typer.BadParameter(
                f"{target!r} names no inference set: project/dataset/inference_set"
            )
        project = self.lake(inline=inline).project(named.project)
        return project.dataset(named.dataset).inference_set(named.inference_set)

    def versioned(self, target: str, *, inline: bool = True) -> Dataset | InferenceSet:
        """The dataset or inference set of a target."""
        if split_target(target).inference_set:
            return self.inference_set(target, inline=inline)
        return self.dataset(target, inline=inline)

    def segment(self, project: str, name: str) -> Segment:
        """The segment of a project, by its name or id."""
        return self.lake().project(project).segment(name)

    def everything(
        self, target: str | None, *, archived: bool = False
    ) -> list[tuple[str, Dataset | InferenceSet]]:
        """What a target names; without one, all datasets and their inference sets.

        Args:
            target: Of a dataset or an inference set; None for all.
            archived: Those that are archived too.
        """
        if target:
            return [(target, self.versioned(target, inline=False))]
        return list(self.lake(inline=False).collections(archived=archived))


@app.callback()
def options(
    context: typer.Context,
    root: Annotated[
        str, typer.Option(envvar="LAKEHOUSE_ROOT", help="Folder or s3:// prefix.")
    ] = "lake",
    author: Annotated[
        str | None, typer.Option(envvar="LAKEHOUSE_AUTHOR", help="Whom versions name.")
    ] = None,
    media_root: Annotated[
        str | None,
        typer.Option(
            envvar="LAKEHOUSE_MEDIA_ROOT", help="What relative image names are below."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else.")
    ] = False,
) -> None:
    """Versioned tables for machine-learning datasets, on Delta Lake."""
    context.obj = Session(root, author, output_for(json=json), media_root)


def session(context: typer.Context) -> Session:
    """The session of a command."""
    found = context.obj
    if not isinstance(found, Session):
        raise typer.BadParameter("run this through the lakehouse command")
    return found


class Target(NamedTuple):
    """What a command is about."""

    project: str
    dataset: str
    ref: str
    """A version, as `dataset.at` takes it."""
    inference_set: str | None = None


def split_target(target: str) -> Target:
    """`project/dataset[/inference_set]@ref` in its parts.

    The ref is `latest` when left out.

    Raises:
        typer.BadParameter: If it is not of that form.

    >>> split_target("cells/hela@3")
    Target(project='cells', dataset='hela', ref='3', inference_set=None)
    """
    path, _, ref = target.partition("@")
    parts = path.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        raise typer.BadParameter(
            f"{target!r} is not of the form project/dataset[/inference_set][@version]."
        )
    inference_set = parts[2] if len(parts) > 2 else None  # noqa: PLR2004 - the third
    return Target(parts[0], parts[1], ref or "latest", inference_set)
