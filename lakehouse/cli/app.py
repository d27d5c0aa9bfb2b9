"""The application: its global options, and what commands share."""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

import lakehouse
from lakehouse.cli.output import Output, output_for
from lakehouse.dataset import Dataset

__all__ = ["PARTLY", "Session", "app", "session", "split_target"]

PARTLY: Final = 3
"""Exit code: some frames were rejected."""

app = typer.Typer(
    name="lakehouse",
    help="Versioned tables for machine-learning datasets, on Delta Lake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@dataclass(frozen=True, slots=True)
class Session:
    """What every command has at hand."""

    root: str
    author: str | None
    output: Output

    def lake(self, *, inline: bool = True) -> lakehouse.Lake:
        """The lake."""
        return lakehouse.connect(
            self.root, author=self.author, merge="inline" if inline else "deferred"
        )

    def dataset(self, target: str, *, inline: bool = True) -> Dataset:
        """The dataset of a target."""
        project, name, _ = split_target(target)
        return self.lake(inline=inline).project(project).dataset(name)


@app.callback()
def options(
    context: typer.Context,
    root: Annotated[
        str, typer.Option(envvar="LAKEHOUSE_ROOT", help="Folder or s3:// prefix.")
    ] = "lake",
    author: Annotated[
        str | None, typer.Option(envvar="LAKEHOUSE_AUTHOR", help="Whom versions name.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else.")
    ] = False,
) -> None:
    """Versioned tables for machine-learning datasets, on Delta Lake."""
    context.obj = Session(root, author, output_for(json=json))


def session(context: typer.Context) -> Session:
    """The session of a command."""
    found = context.obj
    if not isinstance(found, Session):
        raise typer.BadParameter("run this through the lakehouse command")
    return found


def split_target(target: str) -> tuple[str, str, str]:
    """`project/dataset@ref` in its parts; the ref is `latest` when left out.

    Raises:
        typer.BadParameter: If it is not of that form.

    >>> split_target("cells/hela@3")
    ('cells', 'hela', '3')
    """
    path, _, ref = target.partition("@")
    parts = path.split("/")
    if len(parts) != 2 or not all(parts):  # noqa: PLR2004 - project and dataset
        raise typer.BadParameter(
            f"{target!r} is not of the form project/dataset[@version]."
        )
    return parts[0], parts[1], ref or "latest"
