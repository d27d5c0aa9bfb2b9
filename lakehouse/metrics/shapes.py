"""The shapes of labels and inferences as arrays, and how much they overlap.

Boxes are compared as boxes; where both sides have polygons throughout, and where
it is asked for, shapes are compared as the pixels that they cover. These are kept
as run-length encoded masks (RLE), COCO's format, by hotcoco.
"""

from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import import_extra
from lakehouse.metrics.arrays import Floats, Ints
from lakehouse.metrics.inputs import IGNORE, SHAPES, UNIT, Geometry, boxes
from lakehouse.metrics.matching import Instances, Pairs, pairs_of_boxes


def overlapping_pairs(
    labels: pl.DataFrame,
    inferences: pl.DataFrame,
    images: pl.DataFrame,
    frames: pl.DataFrame,
    *,
    classes: tuple[str, ...],
    geometry: Geometry | None,
    min_iou: float,
) -> tuple[Instances, Instances, Pairs]:
    """Labels and inferences as arrays, and the pairs that overlap enough.

    A label's area is its `area` where it has one (COCO), an inference's what it
    covers.

    Args:
        labels: Sorted by `image`, an index into `images`.
        inferences: Likewise, and within an image by falling confidence.
        images: `frame_id` and `coordinate_frame` of each.
        frames: With `width` and `height` where they are known: masks end there.
        classes: Their order numbers them.
        geometry: What overlap is measured on; None: polygons if there are no boxes.
        min_iou: The least IoU, above 0.

    Returns:
        The labels, the inferences, and their pairs.
    """
    label_boxes, inference_boxes = boxes(labels), boxes(inferences)
    types = pl.concat([labels["label_type"], inferences["label_type"]]).unique()
    if geometry == "box" or (geometry is None and types.to_list() != [SHAPES[1]]):
        truth = _instances(labels, classes, label_boxes[:, 2] * label_boxes[:, 3])
        predictions = _instances(
            inferences, classes, inference_boxes[:, 2] * inference_boxes[:, 3]
        )
        pairs = pairs_of_boxes(
            predictions, inference_boxes, truth, label_boxes, min_iou
        )
        return truth, predictions, pairs

    sizes = _image_sizes(
        images, frames, [(labels, label_boxes), (inferences, inference_boxes)]
    )
    label_masks = Masks.draw(labels, _image(labels), sizes)
    inference_masks = Masks.draw(inferences, _image(inferences), sizes)
    truth = _instances(labels, classes, label_masks.areas)
    predictions = _instances(inferences, classes, inference_masks.areas)
    pairs = pairs_of_masks(predictions, inference_masks, truth, label_masks, min_iou)
    return truth, predictions, pairs


# ----------------------------------- MASKS ---------------------------------- #


class Masks:
    """Shapes drawn as run-length encoded masks, one each."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self.runs = runs

    @classmethod
    def draw(cls, rows: pl.DataFrame, image: Ints, sizes: Ints) -> "Masks":
        """Draw the polygons of each row; a row without polygons is drawn as its box.

        Args:
            rows: With `polygons` and the columns of boxes.
            image: `int[rows]`: the index of each row's image.
            sizes: `int[images, 2]`: height and width of each in pixels.
        """
        shapes = rows.select("polygons", "left", "top", "width", "height")
        return cls(
            [
                _draw(shape, *sizes[index])
                for shape, index in zip(shapes.iter_rows(), image, strict=True)
            ]
        )

    @property
    def areas(self) -> Floats:
        """`float64[masks]`: pixels covered."""
        return np.array(_rle().area(self.runs) if self.runs else [], np.float64)

    @property
    def boxes(self) -> Floats:
        """`float64[masks, 4]`: left, top, width and height of what each covers."""
        # Of the pixels, not of the vertices: drawing rounds beyond them.
        array = _rle().toBbox(self.runs) if self.runs else np.empty((0, 4))
        return np.asarray(array, np.float64).reshape(-1, 4)


def pairs_of_masks(
    inferences: Instances,
    inference_masks: Masks,
    labels: Instances,
    label_masks: Masks,
    min_iou: float,
) -> Pairs:
    """The pairs of masks whose IoU is `min_iou` or more.

    Args:
        inferences: Which image each is on.
        inference_masks: One each.
        labels: Which image each is on, and which are crowds.
        label_masks: One each.
        min_iou: The least IoU, above 0.
    """
    # Masks whose boxes are apart share no pixel. hotcoco compares the runs of every
    # pair that it is given, so pairs are chosen by box before: with 500 shapes an image
    # that is four times as fast, with 20 no slower (decision 0030).
    near = pairs_of_boxes(inferences, inference_masks.boxes, labels, label_masks.boxes)
    iou = np.empty(len(near))
    # `near` is sorted by inference: each has one run of labels.
    starts = np.flatnonzero(np.diff(near.inference, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(near)], strict=True):
        label = near.label[start:stop]
        iou[start:stop] = _rle().iou(
            [inference_masks.runs[near.inference[start]]],
            [label_masks.runs[index] for index in label],
            labels.crowd[label].tolist(),
        )[0]
    return Pairs(near.inference, near.label, iou).take(np.flatnonzero(iou >= min_iou))


def _rle() -> Any:  # noqa: ANN401 - a module
    return import_extra(
        "hotcoco.mask", "metrics", "The overlap of polygons needs hotcoco"
    )


def _draw(shape: tuple[Any, ...], height: int, width: int) -> dict[str, Any]:
    polygons, left, top, box_width, box_height = shape
    if not polygons:
        right, bottom = left + box_width, top + box_height
        polygons = [[[left, top], [right, top], [right, bottom], [left, bottom]]]
    flat = [[value for point in polygon for value in point] for polygon in polygons]
    parts: Any = _rle().frPyObjects(flat, int(height), int(width))
    merged: dict[str, Any] = parts[0] if len(parts) == 1 else _rle().merge(parts)
    return merged


def _image_sizes(
    images: pl.DataFrame,
    frames: pl.DataFrame,
    sides: list[tuple[pl.DataFrame, Floats]],
) -> Ints:
    """`int[images, 2]`: height and width of each image, in pixels.

    The frame's size is that of its sensor DEFAULT; an image of unknown size is as
    large as what is drawn on it. `sides` has rows and their boxes.
    """
    extent = np.zeros((images.height, 2))
    for rows, outline in sides:
        bottom_right = outline[:, [1, 0]] + outline[:, [3, 2]]
        np.maximum.at(extent, _image(rows), bottom_right)
    # One pixel more: polygons are drawn rounded to pixels, and may end on the next.
    sizes = np.ceil(extent).astype(np.intp) + 1
    sized = images.join(frames, on="frame_id", how="left", maintain_order="left")
    is_default = (images[UNIT[1]] == "DEFAULT").to_numpy()
    for axis, name in enumerate(("height", "width")):
        if name in frames.columns:
            values = sized[name].cast(pl.Float64).fill_null(0).to_numpy()
            known = is_default & (values > 0)
            sizes[known, axis] = values[known]
    return sizes


# --------------------------------- INSTANCES -------------------------------- #


def _instances(
    rows: pl.DataFrame, classes: tuple[str, ...], covered: Floats
) -> Instances:
    class_index = rows["class_name"].cast(pl.Enum(classes)).to_physical().to_numpy()
    area, crowd = covered, np.zeros(rows.height, np.bool_)
    if IGNORE in rows.columns:
        own_area = rows["area"].to_numpy()
        area = np.where(np.isnan(own_area), covered, own_area)
        is_crowd = pl.any_horizontal(pl.col("iscrowd", IGNORE).fill_null(value=False))
        crowd = rows.select(is_crowd).to_series().to_numpy()
    return Instances(_image(rows), class_index.astype(np.intp), area, crowd)


def _image(rows: pl.DataFrame) -> Ints:
    return rows["image"].to_numpy().astype(np.intp)
