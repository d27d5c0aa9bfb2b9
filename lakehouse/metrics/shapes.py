"""The shapes of labels and inferences laid over each other.

Boxes are compared as boxes; where both sides have polygons throughout, and where
it is asked for, shapes are compared as the pixels that they cover.
"""

from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import import_extra
from lakehouse.metrics.arrays import Flags, Floats, Ints
from lakehouse.metrics.inputs import IGNORE, SHAPES, UNIT, Geometry, boxes
from lakehouse.metrics.matching import Pairs, Side, box_pairs


def _rle() -> Any:  # noqa: ANN401 - a module
    """The run-length masks of faster-coco-eval."""
    return import_extra(
        "faster_coco_eval.mask",
        "metrics",
        "The overlap of polygons needs faster-coco-eval",
    )


class Masks:
    """Shapes drawn as run-length masks, one each."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self.runs = runs

    @classmethod
    def drawn(cls, rows: pl.DataFrame, image: Ints, sizes: Ints) -> "Masks":
        """Draw the polygons of each row; a row without is drawn as its box.

        Args:
            rows: With `polygons` and the columns of boxes.
            image: The image of each row.
            sizes: `int[images, 2]`: height and width of each in pixels.
        """
        shapes = rows.select("polygons", "left", "top", "width", "height")
        return cls(
            [
                _drawn(shape, *sizes[place])
                for shape, place in zip(shapes.iter_rows(), image, strict=True)
            ]
        )

    @property
    def areas(self) -> Floats:
        """Pixels covered, of each."""
        return np.array([_rle().area(run) for run in self.runs], np.float64)


def mask_pairs(
    inferences: Side,
    inference_masks: Masks,
    labels: Side,
    label_masks: Masks,
    least: float,
) -> Pairs:
    """The pairs of masks whose IoU is `least` or more.

    Args:
        inferences: Which image each is on.
        inference_masks: One each.
        labels: Likewise.
        label_masks: Likewise.
        least: IoU, above 0.
    """
    parts: list[Pairs] = []
    images = np.intersect1d(inferences.image, labels.image)
    mine = np.searchsorted(inferences.image, [images, images + 1])
    theirs = np.searchsorted(labels.image, [images, images + 1])
    for first, last, begin, end in zip(*mine, *theirs, strict=True):
        crowds = labels.crowd[begin:end].astype(np.uint8).tolist()
        found = _rle().iou(
            inference_masks.runs[first:last], label_masks.runs[begin:end], crowds
        )
        iou = np.asarray(found, np.float64)
        row, column = np.nonzero(iou >= least)
        parts.append(Pairs(row + first, column + begin, iou[row, column]))
    return Pairs.joined(parts)


def _drawn(shape: tuple[Any, ...], height: int, width: int) -> dict[str, Any]:
    polygons, left, top, wide, high = shape
    if not polygons:
        right, bottom = left + wide, top + high
        polygons = [[[left, top], [right, top], [right, bottom], [left, bottom]]]
    flat = [[value for point in polygon for value in point] for polygon in polygons]
    parts: Any = _rle().frPyObjects(flat, int(height), int(width))
    drawn: dict[str, Any] = _rle().merge(parts)
    return drawn


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
