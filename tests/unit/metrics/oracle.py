"""The same figures by pycocotools, which is slow and known to be right."""

import contextlib
import io
from typing import Any

import numpy as np
import polars as pl
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.unit.metrics.random_tables import Drawn

__all__ = ["NAMES", "by_pycocotools"]

NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)
"""The names of COCO's twelve figures, in its order."""


def by_pycocotools(drawn: Drawn) -> tuple[dict[str, float], dict[str, float]]:
    """COCO's figures, and the average precision of each class."""
    frames = {
        name: place for place, name in enumerate(drawn.frames["frame_id"].sort(), 1)
    }
    names = sorted({*drawn.labels["class_name"], *drawn.inferences["class_name"]})
    classes = {name: place for place, name in enumerate(names, 1)}
    polygons = "polygons" in drawn.labels.columns
    truth, predictions = COCO(), COCO()
    for side, rows in ((truth, drawn.labels), (predictions, drawn.inferences)):
        side.dataset = {
            "images": [
                {"id": place, "height": 640, "width": 640} for place in frames.values()
            ],
            "categories": [
                {"id": place, "name": name} for name, place in classes.items()
            ],
            "annotations": [
                _annotation(row, place, frames, classes)
                for place, row in enumerate(
                    rows.sort("frame_id", "label_id").iter_rows(named=True), 1
                )
            ],
        }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        predictions.createIndex()
        evaluation = COCOeval(truth, predictions, "segm" if polygons else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][..., 0, -1]
    return (
        dict(zip(NAMES, evaluation.stats.tolist(), strict=True)),
        {
            name: float(np.mean(precision[..., place - 1]))
            for name, place in classes.items()
        },
    )


def _annotation(
    row: dict[str, Any], place: int, frames: dict[str, int], classes: dict[str, int]
) -> dict[str, Any]:
    annotation: dict[str, Any] = {
        "id": place,
        "image_id": frames[row["frame_id"]],
        "category_id": classes[row["class_name"]],
        "iscrowd": int(
            bool(row.get("iscrowd")) or bool(row.get("user__ignore_in_eval"))
        ),
        "score": row.get("confidence", 0.0),
    }
    if "polygons" in row:
        flat = [[value for point in one for value in point] for one in row["polygons"]]
        merged = mask.merge(mask.frPyObjects(flat, 640, 640))
        return annotation | {"segmentation": merged, "area": float(mask.area(merged))}
    box = [row["left"], row["top"], row["width"], row["height"]]
    return annotation | {"bbox": box, "area": row["width"] * row["height"]}


def same(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Equal to the last bit, nulls included."""
    return left.equals(right, null_equal=True)
