"""The shapes of labels and inferences laid over each other.

Boxes are compared as boxes; where both sides have polygons throughout, and where
it is asked for, shapes are compared as the pixels that they cover.
"""

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Flags, Floats, Ints
from lakehouse.metrics.geometry import SHAPES, Geometry, boxes
from lakehouse.metrics.overlap import Pairs, Side, box_pairs
from lakehouse.metrics.tables import IGNORE, UNIT

__all__ = ["overlapping"]


def overlapping(
    labels: pl.DataFrame,
    inferences: pl.DataFrame,
    images: pl.DataFrame,
    frames: pl.DataFrame,
    *,
    classes: tuple[str, ...],
    geometry: Geometry | None,
    least: float,
) -> tuple[Side, Side, Pairs]:
    """Both sides as arrays, and the pairs that overlap enough.

    A label's area is its `area` where it has one (COCO), an inference's what it
    covers.

    Args:
        labels: Sorted by `image`, a place in `images`.
        inferences: Likewise.
        images: `frame_id` and `coordinate_frame` of each.
        frames: With `width` and `height` where they are known: masks end there.
        classes: Their order numbers them.
        geometry: What overlap is measured on; None: polygons if there are no boxes.
        least: IoU, above 0.

    Returns:
        The labels, the inferences, and their pairs.
    """
    outlines = [boxes(rows) for rows in (labels, inferences)]
    types = pl.concat([labels["label_type"], inferences["label_type"]]).unique()
    if geometry == "box" or (geometry is None and types.to_list() != [SHAPES[1]]):
        areas = [outline[:, 2] * outline[:, 3] for outline in outlines]
        theirs = _side(labels, classes, areas[0])
        mine = _side(inferences, classes, areas[1])
        return theirs, mine, box_pairs(mine, outlines[1], theirs, outlines[0], least)
    from lakehouse.metrics.polygons import (  # noqa: PLC0415 - needs an extra
        Masks,
        mask_pairs,
    )

    sizes = _sizes(images, frames, [labels, inferences], outlines)
    drawn = [Masks.drawn(rows, _image(rows), sizes) for rows in (labels, inferences)]
    theirs = _side(labels, classes, drawn[0].areas)
    mine = _side(inferences, classes, drawn[1].areas)
    return theirs, mine, mask_pairs(mine, drawn[1], theirs, drawn[0], least)


def _image(rows: pl.DataFrame) -> Ints:
    return rows["image"].to_numpy().astype(np.intp)


def _side(rows: pl.DataFrame, classes: tuple[str, ...], covered: Floats) -> Side:
    kind = rows["class_name"].cast(pl.Enum(classes)).to_physical().to_numpy()
    area, crowd = covered, np.zeros(rows.height, np.bool_)
    if IGNORE in rows.columns:
        told = rows["area"].to_numpy()
        area = np.where(np.isnan(told), covered, told)
        crowd = _crowd(rows)
    return Side(_image(rows), kind.astype(np.intp), area, crowd)


def _crowd(rows: pl.DataFrame) -> Flags:
    """Labels that stand for a crowd, and those marked to be ignored."""
    marked = pl.any_horizontal(pl.col("iscrowd", IGNORE).fill_null(value=False))
    return rows.select(marked).to_series().to_numpy()


def _sizes(
    images: pl.DataFrame,
    frames: pl.DataFrame,
    sides: list[pl.DataFrame],
    outlines: list[Floats],
) -> Ints:
    """`int[images, 2]`: height and width of each image, in pixels.

    The frame's size is that of its sensor DEFAULT; an image of unknown size is as
    large as what is drawn on it.
    """
    extent = np.zeros((images.height, 2))
    for rows, outline in zip(sides, outlines, strict=True):
        far = outline[:, [1, 0]] + outline[:, [3, 2]]
        np.maximum.at(extent, _image(rows), far)
    sizes = np.ceil(extent).astype(np.intp) + 1
    known = images.join(frames, on="frame_id", how="left", maintain_order="left")
    default = (images[UNIT[1]] == "DEFAULT").to_numpy()
    for axis, name in enumerate(("height", "width")):
        if name in frames.columns:
            told = known[name].cast(pl.Float64).fill_null(0).to_numpy()
            given = default & (told > 0)
            sizes[given, axis] = told[given]
    return sizes
