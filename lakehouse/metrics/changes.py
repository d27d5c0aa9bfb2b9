"""Which outcomes differ between two evaluations, and what caused it."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from lakehouse.metrics.inputs import UNIT
from lakehouse.model.labels import BOX

_SHAPE: Final = (*BOX, "polygons")
_COLUMNS: Final = ("frame_id", "item", "id", "class_this", "class_other")

Sides = Sequence[tuple[pl.DataFrame, pl.DataFrame]]


def changed_outcomes(
    outcomes: Sequence[pl.DataFrame], contents: Sides, shared: pl.Series
) -> pl.DataFrame:
    """Labels and false positives whose outcome differs.

    Args:
        outcomes: Of both, as OUTCOMES.
        contents: The labels and inferences of both, as they were evaluated.
        shared: The frames that count in both.
    """
    labels = [rows.filter(pl.col("label_id").is_not_null()) for rows in outcomes]
    wrong = [
        rows.filter(
            pl.col("inference_id").is_not_null() & (pl.col("outcome") != "IGNORED")
        )
        for rows in outcomes
    ]
    parts = [
        _differing(labels, [content[0] for content in contents], "label", shared),
        _differing(
            wrong, [content[1] for content in contents], "inference", shared
        ).filter(
            (pl.col("outcome_this") == "FP").fill_null(value=False)
            | (pl.col("outcome_other") == "FP").fill_null(value=False)
        ),
    ]
    return pl.concat(parts).sort(
        "frame_id", "item", "id", descending=[False, True, False]
    )


def _differing(
    outcomes: Sequence[pl.DataFrame],
    contents: Sequence[pl.DataFrame],
    item: str,
    shared: pl.Series,
) -> pl.DataFrame:
    """Rows of one kind whose outcomes differ."""
    key = ["frame_id", f"{item}_id"]
    sides = [
        rows.select(*key, "outcome", "reason", told=True)
        .join(_shapes(content, key), on=key, how="full", coalesce=True)
        .rename(
            {name: f"{name}_{side}" for name in ("outcome", "reason", "class", "shape")}
        )
        .drop("told")
        for rows, content, side in zip(
            outcomes, contents, ("this", "other"), strict=True
        )
    ]
    joined = sides[0].join(sides[1], on=key, how="full", coalesce=True)
    differ = pl.col("outcome_this").ne_missing(pl.col("outcome_other"))
    return joined.filter(differ).select(
        "frame_id",
        pl.lit(item).alias("item"),
        pl.col(f"{item}_id").alias("id"),
        "class_this",
        "class_other",
        "outcome_this",
        "outcome_other",
        _cause(item, shared).alias("cause"),
    )


def _shapes(content: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Class and geometry of each row, the geometry as a value to compare."""
    drawn = [name for name in _SHAPE if name in content.columns]
    shape = pl.struct(drawn) if drawn else pl.lit("")
    return content.select(
        *key, pl.col("class_name").alias("class"), shape.alias("shape")
    )


def _cause(item: str, shared: pl.Series) -> pl.Expr:
    """The first thing that explains the difference."""
    added, removed = pl.col("class_this").is_null(), pl.col("class_other").is_null()
    ignored = [
        pl.col(f"outcome_{side}").eq_missing("IGNORED") for side in ("this", "other")
    ]
    unsure = [pl.col(f"outcome_{side}").is_null() for side in ("this", "other")]
    return (
        pl.when(~pl.col("frame_id").is_in(shared.implode()))
        .then(pl.lit("frame left out"))
        .when(added)
        .then(pl.lit(f"{item} added"))
        .when(removed)
        .then(pl.lit(f"{item} removed"))
        .when(pl.col("class_this") != pl.col("class_other"))
        .then(pl.lit(f"{item} class changed"))
        .when(pl.col("shape_this").ne_missing(pl.col("shape_other")))
        .then(pl.lit(f"{item} moved"))
        .when(ignored[0] | ignored[1])
        .then(pl.lit(f"{item} ignored"))
        .when(unsure[0] | unsure[1])
        .then(pl.lit("low confidence"))
        .otherwise(pl.coalesce("reason_other", "reason_this"))
    )


def changed_areas(this: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Frames and classes of masks whose IoU differs."""
    key = [*UNIT, "class_name"]
    sides = [rows.select(*key, "iou") for rows in (this, other)]
    joined = sides[0].join(sides[1], on=key, how="full", coalesce=True, suffix="_other")
    return joined.filter(pl.col("iou").ne_missing(pl.col("iou_other"))).sort(key)
