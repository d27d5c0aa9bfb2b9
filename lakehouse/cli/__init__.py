"""The command line: commands compute, outputs print.

    lakehouse --root lake add cells/hela --frames frames.jsonl --labels labels.jsonl

Exit codes: 0 done, 1 failed, 2 wrong use, 3 partly done (some frames rejected).
"""

import sys

from rich.console import Console

from lakehouse.cli.app import app
from lakehouse.cli.commands import (
    checkpoints,
    demo,
    diffing,
    evaluating,
    exchanging,
    inference_sets,
    loading,
    projects,
    reading,
    running,
    segments,
    similarity,
    sql,
    undoing,
    uploads,
    writing,
)
from lakehouse.errors import LakehouseError

__all__ = ["app", "main"]

_COMMANDS = (
    checkpoints, demo, diffing, evaluating, exchanging, inference_sets, loading, projects,
    reading, running, segments, similarity, sql, undoing, uploads, writing,
)  # fmt: skip


def main() -> None:
    """Run the command line; errors of this package become one clear message."""
    try:
        app()
    except LakehouseError as error:
        Console(stderr=True, soft_wrap=True).print(
            str(error), style="red", markup=False
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
