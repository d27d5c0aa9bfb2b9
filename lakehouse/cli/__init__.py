"""The command line: commands compute, outputs print.

    lakehouse --root lake add cells/hela --frames frames.jsonl --labels labels.jsonl

Exit codes: 0 done, 1 failed, 2 wrong use, 3 partly done (some frames rejected).

* `app`: the global options, and what commands share.
* `query`: what `lakehouse sql` refuses.
* `output`: tables for people, JSON for machines, progress.
* `projects`, `datasets`, `uploads`, `inference_sets`, `segments`, `similarity`,
  `exchange`, `run`: the commands.
* `demo`: what `lakehouse demo` runs.
"""

import sys

from lakehouse.cli import (
    datasets,
    exchange,
    inference_sets,
    projects,
    run,
    segments,
    similarity,
    uploads,
)
from lakehouse.cli.app import app
from lakehouse.cli.output import PlainConsole, printable
from lakehouse.errors import LakehouseError

__all__ = ["app", "main"]

# Importing these modules adds their commands to the application.
_COMMANDS = (
    datasets, exchange, inference_sets, projects, run, segments, similarity, uploads,
)  # fmt: skip


def main() -> None:
    """Run the command line; an error of this package is printed as one message."""
    try:
        app()
    except LakehouseError as error:
        PlainConsole(stderr=True, soft_wrap=True).print(
            printable(str(error)), style="red"
        )
        sys.exit(1)
