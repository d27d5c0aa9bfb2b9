"""Tables of problems: what is wrong with which value, by which rule.

A problem of severity `error` rejects its frame; a `warning` is only reported.
Vectorised code keeps problems as a table with `PROBLEM_SCHEMA`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final, Literal

import polars as pl

from lakehouse.errors import InvalidInputError, Problem

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

UPLOAD_PROBLEM_SCHEMA: Final = pl.Schema(
    [*PROBLEM_SCHEMA.items(), ("upload_id", pl.String())]
)
"""The columns of a table of problems from several uploads."""

_SHOWN: Final = 20


def problems_to_frame(problems: Iterable[Problem]) -> pl.DataFrame:
    """Problems as a table with `PROBLEM_SCHEMA`."""
    return pl.DataFrame(
        [asdict(problem) for problem in problems], schema=PROBLEM_SCHEMA
    )


def problems_from_frame(table: pl.DataFrame) -> tuple[Problem, ...]:
    """The rows of a table of problems; other columns are left out."""
    rows = table.select(PROBLEM_SCHEMA.names()).iter_rows(named=True)
    return tuple(Problem(**row) for row in rows)


def problems_of_rows(
    rows: pl.DataFrame,
    *,
    rule: str,
    message: pl.Expr | str,
    hint: pl.Expr | str,
    field: str = "",
    severity: Literal["error", "warning"] = "error",
) -> pl.DataFrame:
    """One problem for each row, made without a loop over rows.

    Args:
        rows: With `frame_id`, and `label_id` for labels; an `upload_id` is kept.
        rule: The code of the rule.
        message: What is wrong, and what the rule is; text or an expression.
        hint: What to do.
        field: The column at fault, if it is one.
        severity: Whether the frame is rejected.
    """
    kept = ["upload_id"] if "upload_id" in rows.columns else []
    is_label = "label_id" in rows.columns
    name = pl.col("label_id" if is_label else "frame_id").fill_null("")
    start = "labels['" if is_label else "frames['"
    end = f"'].{field}" if field else "']"
    label = pl.col("label_id") if is_label else pl.lit(None, dtype=pl.String)
    return rows.select(
        frame_id="frame_id",
        label_id=label,
        path=pl.concat_str([pl.lit(start), name, pl.lit(end)]),
        rule=pl.lit(rule),
        message=pl.lit(message) if isinstance(message, str) else message,
        hint=pl.lit(hint) if isinstance(hint, str) else hint,
        severity=pl.lit(severity),
        **{name: pl.col(name) for name in kept},
    )


def concat_problems(
    parts: Iterable[pl.DataFrame] = (), schema: pl.Schema = PROBLEM_SCHEMA
) -> pl.DataFrame:
    """Several tables of problems as one, with the columns of `schema`."""
    present = [part[schema.names()] for part in parts if part.height]
    return pl.concat(present) if present else pl.DataFrame(schema=schema)


def raise_if_any(
    problems: Sequence[Problem], lead: str = "Nothing was written."
) -> None:
    """Raise if there are problems; the first are listed, all are in `problems`.

    Args:
        problems: What is wrong.
        lead: What that comes to.

    Raises:
        InvalidInputError: If there are any.
    """
    if not problems:
        return
    lines = [f"  {problem}" for problem in problems[:_SHOWN]]
    more = len(problems) - len(lines)
    shown = "\n".join(lines) + (f"\n  … and {more} more" if more else "")
    raise InvalidInputError(
        f"{lead}\n{shown}", kind=problems[0].rule, problems=problems
    )
