"""Problems: what is wrong with which value, by which rule, and what to do.

A problem of severity `error` rejects its frame; a `warning` is only told.
Vectorised code keeps problems as a table with `PROBLEM_SCHEMA`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

import polars as pl

__all__ = [
    "PROBLEM_SCHEMA",
    "Problem",
    "Severity",
    "problems_from_frame",
    "problems_to_frame",
]

Severity = Literal["error", "warning"]

PROBLEM_SCHEMA: Final = pl.Schema(
    {
        "frame_id": pl.String,
        "label_id": pl.String,
        "path": pl.String,
        "rule": pl.String,
        "message": pl.String,
        "hint": pl.String,
        "severity": pl.String,
    }
)
"""The columns of a table of problems."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one value.

    >>> problem = Problem("f1", "l1", "labels['l1'].width", "box.degenerate", "…", "…")
    >>> problem.severity
    'error'
    """

    frame_id: str | None
    """The frame at fault, where one can be named."""
    label_id: str | None
    """The label at fault; null for a fault of the frame itself."""
    path: str
    """Where the value is: `labels['lab_1'].top`."""
    rule: str
    """A stable dotted code, such as `class.unknown`."""
    message: str
    """What was found, and what the rule is."""
    hint: str
    """What to do."""
    severity: Severity = "error"
    """`error` rejects the frame, `warning` does not."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message} {self.hint}".strip()


def problems_to_frame(problems: Iterable[Problem]) -> pl.DataFrame:
    """Problems as a table."""
    return pl.DataFrame(
        [asdict(problem) for problem in problems], schema=PROBLEM_SCHEMA
    )


def problems_from_frame(table: pl.DataFrame) -> tuple[Problem, ...]:
    """The rows of a table of problems; other columns are left out."""
    rows = table.select(PROBLEM_SCHEMA.names()).iter_rows(named=True)
    return tuple(Problem(**row) for row in rows)
