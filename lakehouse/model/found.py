"""Problems made from the rows at fault, without a loop."""

from typing import Final, Literal

import polars as pl

from lakehouse.model.problems import PROBLEM_SCHEMA

__all__ = ["found", "together"]

_NOTHING: Final = pl.DataFrame(schema=PROBLEM_SCHEMA)


def found(
    rows: pl.DataFrame,
    *,
    rule: str,
    message: pl.Expr | str,
    hint: pl.Expr | str,
    field: str = "",
    severity: Literal["error", "warning"] = "error",
) -> pl.DataFrame:
    """A problem for each row.

    Args:
        rows: With `frame_id`, and `label_id` for labels; an `upload_id` is kept.
        rule: The code of the rule.
        message: What was found, and what the rule is; text or an expression.
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


def together(
    parts: list[pl.DataFrame], nothing: pl.DataFrame = _NOTHING
) -> pl.DataFrame:
    """Several tables of problems as one with the columns of `nothing`."""
    present = [part[nothing.columns] for part in parts if part.height]
    return pl.concat(present) if present else nothing
