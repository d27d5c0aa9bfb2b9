"""Polygons: their boxes, and how much they overlap as masks.

The overlap of polygons is that of the pixels they cover, as COCO's segmentation
metrics have it: polygons are drawn into run-length masks the size of the image,
and what lies outside the image does not count. Needs faster-coco-eval.
"""

from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import LakehouseError
from lakehouse.metrics.arrays import Floats, Ints
from lakehouse.metrics.overlap import Pairs, Side

try:
    from faster_coco_eval import mask
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "The overlap of polygons needs faster-coco-eval: "
        "pip install 'lakehouse[metrics]'.",
        kind="extra.missing",
    ) from error

__all__ = ["Masks", "mask_pairs"]


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
        return np.array([mask.area(run) for run in self.runs], np.float64)


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
        found = mask.iou(
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
    parts: Any = mask.frPyObjects(flat, int(height), int(width))
    drawn: dict[str, Any] = mask.merge(parts)
    return drawn
