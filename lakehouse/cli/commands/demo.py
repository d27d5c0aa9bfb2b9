"""The command that shows it all."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.app import app, session

__all__ = ["demo"]


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where to put the demo.")] = Path(
        "demo-lake"
    ),
) -> None:
    """Real frames go in, change, go wrong, get mended, are read back: lakehouse demo."""
    from lakehouse.demo import run_demo  # noqa: PLC0415 - needs an extra

    session(context)
    run_demo(folder)
