"""Outcomes and what is counted from them.

An outcome is a row: TP, a label and the inference that matches it; FN, a label
that no inference matches; FP, an inference that matches no label; IGNORED, what
counts neither way. Everything here is counts of rows, so it is exact in any order.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from lakehouse.metrics.inputs import UNIT

OUTCOMES: Final = pl.Schema(
    {
        "frame_id": pl.String,
        "coordinate_frame": pl.String,
        "class_name": pl.String,
        "outcome": pl.String,
        "reason": pl.String,
        "label_id": pl.String,
        "inference_id": pl.String,
        "confidence": pl.Float64,
        "iou": pl.Float64,
    }
)
"""Matching within a class: a row for each label and each inference, TP for both."""

CONFUSIONS: Final = pl.Schema(
    {
        "frame_id": pl.String,
        "coordinate_frame": pl.String,
        "label_class": pl.String,
        "inference_class": pl.String,
        "label_id": pl.String,
        "inference_id": pl.String,
        "confidence": pl.Float64,
        "iou": pl.Float64,
    }
)
"""Matching across classes: a row for each label and each inference, one for pairs."""

BACKGROUND: Final = "(background)"
"""Stands for no label, or no inference."""


def count_outcomes(outcomes: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Counts of each group: `labels`, `inferences`, `tp`, `fp`, `fn`; sorted."""
    counts = {
        name: (pl.col("outcome") == name.upper()).sum().cast(pl.Int64)
        for name in ("tp", "fp", "fn")
    }
    groups = outcomes.group_by(by).agg(**counts) if by else outcomes.select(**counts)
    return groups.sort(by or ["tp"]).select(
        *by,
        (pl.col("tp") + pl.col("fn")).alias("labels"),
        (pl.col("tp") + pl.col("fp")).alias("inferences"),
        *counts,
    )


def with_rates(counts: pl.DataFrame) -> pl.DataFrame:
    """Counts with `precision`, `recall` and `f1`; null where they are 0 / 0."""
    tp, fp, fn = pl.col("tp"), pl.col("fp"), pl.col("fn")
    return counts.with_columns(
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
    )


def counts_of_keys(name: str, keys: pl.Series, counts: pl.DataFrame) -> pl.DataFrame:
    """A row for each key, in their order, with zeros where nothing was counted."""
    rows = keys.alias(name).to_frame()
    joined = rows.join(counts, on=name, how="left", maintain_order="left")
    return joined.with_columns(
        pl.col("labels", "inferences", "tp", "fp", "fn").fill_null(0)
    )


def confusion_matrix(
    confusions: pl.DataFrame, classes: Sequence[str], count: str | None = None
) -> pl.DataFrame:
    """A square of counts: rows are the labels' classes, columns the inferences'.

    Args:
        confusions: With `label_class` and `inference_class`.
        classes: Which, in order; BACKGROUND comes last.
        count: The column to sum; None: rows are counted.

    Returns:
        `label_class`, and a column for each class and for BACKGROUND.
    """
    names = [*classes, BACKGROUND]
    amount = pl.col(count).sum() if count else pl.len()
    # Not pivot: classes that were never taken for another need their zeros too.
    cells = confusions.group_by("label_class", "inference_class").agg(
        amount.cast(pl.Int64).alias("count")
    )
    counts = {(row, column): number for row, column, number in cells.iter_rows()}
    return pl.DataFrame(
        {
            "label_class": names,
            **{
                column: pl.Series(
                    [counts.get((row, column), 0) for row in names], dtype=pl.Int64
                )
                for column in names
            },
        },
        schema_overrides={"label_class": pl.String},
    )


def in_order(
    parts: list[pl.DataFrame], schema: pl.Schema, class_column: str
) -> pl.DataFrame:
    """All parts in these columns, sorted by image, class, label and inference.

    Args:
        parts: Rows with some of the columns; the others are null.
        schema: OUTCOMES or CONFUSIONS.
        class_column: The column of classes to sort by.
    """
    typed = [
        part.select(
            pl.col(name).cast(dtype)
            if name in part.columns
            else pl.lit(None, dtype).alias(name)
            for name, dtype in schema.items()
        )
        for part in parts
    ]
    # One order for equal rows, so that tables are equal bit for bit.
    order = [*UNIT, class_column, "label_id", "inference_id"]
    return pl.concat(typed).sort(order, nulls_last=True)


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)  # else null: 0 / 0 is undefined
