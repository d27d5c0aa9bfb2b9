"""How far boxes moved: the intersection over union of the old and new box."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.model.label_types import BOX

__all__ = ["MovedBoxes", "moved_boxes", "overlaps"]

_FAR: Final = 0.5
_SIDE: Final = ("label_type", "coordinate_frame", *BOX)


@dataclass(frozen=True, slots=True)
class MovedBoxes:
    """The boxes that have other edges than before."""

    count: int
    """How many moved."""
    median: float | None
    """The middle IoU of old and new box; None if none moved."""
    least: float | None
    """The lowest IoU; 0 where the boxes do not meet."""
    under_half: int
    """How many have an IoU under 0.5."""


def overlaps(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """The IoU of the box on each side, row by row; null unless both are boxes.

    Args:
        before: Labels at the start.
        after: The same labels, in the same order, at the end.

    >>> box = {"label_type": "BBOX_2D", "coordinate_frame": None, "top": 0.0}
    >>> one = pl.DataFrame([box | {"left": 0.0, "width": 2.0, "height": 2.0}])
    >>> two = pl.DataFrame([box | {"left": 1.0, "width": 2.0, "height": 2.0}])
    >>> overlaps(one, two).round(3).to_list()
    [0.333]
    """
    shared = _overlap("top", "height") * _overlap("left", "width")
    area = pl.col("width") * pl.col("height")
    area_after = pl.col("width_after") * pl.col("height_after")
    iou = (shared / (area + area_after - shared)).clip(0.0, 1.0)
    told = (
        pl.when(_are_boxes())
        .then(pl.when(_moved()).then(iou.fill_nan(None)).otherwise(1.0))
        .alias("iou")
    )
    return _beside(before, after).select(told).to_series()


def moved_boxes(before: pl.DataFrame, after: pl.DataFrame) -> MovedBoxes:
    """The moves of the boxes that are there on both sides.

    Args:
        before: Labels at the start.
        after: The same labels, in the same order, at the end.
    """
    moved = _beside(before, after).select(_are_boxes() & _moved()).to_series()
    iou = overlaps(before, after).filter(moved)
    median, least = iou.median(), iou.min()
    return MovedBoxes(
        count=len(iou),
        median=median if isinstance(median, float) else None,
        least=least if isinstance(least, float) else None,
        under_half=int((iou < _FAR).sum()),
    )


def _beside(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    there = before.select(_SIDE)
    return there.hstack(after.select(pl.col(_SIDE).name.suffix("_after")))


def _are_boxes() -> pl.Expr:
    """Whether both sides are boxes, on the same sensor."""
    frame = pl.col("coordinate_frame")
    return (
        (pl.col("label_type") == "BBOX_2D")
        & (pl.col("label_type_after") == "BBOX_2D")
        & frame.eq_missing(pl.col("coordinate_frame_after"))
    ).fill_null(value=False)


def _moved() -> pl.Expr:
    return pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in BOX
    )


def _overlap(start: str, length: str) -> pl.Expr:
    """How much of an edge both boxes share, in pixels."""
    ends = pl.min_horizontal(
        pl.col(start) + pl.col(length),
        pl.col(f"{start}_after") + pl.col(f"{length}_after"),
    )
    starts = pl.max_horizontal(pl.col(start), pl.col(f"{start}_after"))
    return (ends - starts).clip(lower_bound=0.0)
