"""From tables to arrays: the labels and inferences of detection.

Rows are sorted by image and id, inferences by confidence before id. So the order
in which they came cannot matter, and equal confidences are settled by the id.
"""

from typing import Final

import polars as pl

from lakehouse.metrics.detection import Detection
from lakehouse.metrics.explained import Matched
from lakehouse.metrics.geometry import check_shapes, shaped
from lakehouse.metrics.matching import (
    AREAS,
    by_confidence,
    by_overlap,
    greedy,
    within_class,
)
from lakehouse.metrics.naming import class_names, of_classes
from lakehouse.metrics.options import Options
from lakehouse.metrics.precision import THRESHOLDS
from lakehouse.metrics.ranking import Ranking
from lakehouse.metrics.scope import Scope
from lakehouse.metrics.shapes import overlapping
from lakehouse.metrics.tables import (
    IGNORE,
    UNIT,
    Faults,
    Rows,
    check_confidence,
    tidy,
)
from lakehouse.model.label_types import BOX

__all__ = ["detect"]

_NEEDED: Final = ("frame_id", "label_id", "class_name")
_OPTIONAL: Final = ("class_id", "label_type", "coordinate_frame", *BOX, "polygons")
_OF_LABELS: Final = ("area", "iscrowd", IGNORE)


def detect(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, faults: Faults
) -> tuple[Detection, dict[str, int]]:
    """Match inferences with labels.

    Args:
        labels: Rows of labels.
        inferences: Rows of inferences.
        scope: Which frames count.
        options: What was asked for.
        faults: What is wrong so far.

    Returns:
        What was found, and how much was left out, by reason.

    Raises:
        InvalidInputError: If anything is wrong: what came in `faults`, too.
    """
    theirs, left = _read(labels, "labels", scope, options, faults)
    mine, also = _read(inferences, "inferences", scope, options, faults)
    faults.refuse()
    listed = class_names([theirs, mine], options.classes)
    classes = tuple(name for name in listed if name not in options.ignored_classes)
    return _matched(theirs, mine, scope, options, classes), left | also


def _matched(
    labels: pl.DataFrame,
    inferences: pl.DataFrame,
    scope: Scope,
    options: Options,
    classes: tuple[str, ...],
) -> Detection:
    images = (
        pl.concat([labels.select(UNIT), inferences.select(UNIT)]).unique().sort(UNIT)
    )
    labels = _numbered(labels, images).sort("image", "label_id")
    inferences = _numbered(inferences, images).sort(
        "image", "confidence", "label_id", descending=[False, True, False]
    )
    theirs, mine, pairs = overlapping(
        labels,
        inferences,
        images,
        scope.frames,
        classes=classes,
        geometry=options.geometry,
        least=min(options.iou, float(THRESHOLDS[0])),
    )
    confidence = inferences["confidence"].to_numpy()
    sure = confidence >= options.confidence
    within = by_confidence(
        pairs.where(theirs.kind[pairs.label] == mine.kind[pairs.inference])
    )
    became, matched = within_class(within, mine, theirs, options.iou, AREAS[0])
    enough = pairs.where(
        (pairs.iou >= options.iou) & sure[pairs.inference] & ~theirs.crowd[pairs.label]
    )
    overlapped = by_overlap(enough)
    across = overlapped.where(greedy(overlapped, theirs.crowd, len(mine)))
    return Detection(
        classes=classes,
        frames=scope.frames,
        images=images["frame_id"],
        matched=Matched(
            label_rows=labels,
            inference_rows=inferences.rename({"label_id": "inference_id"}),
            labels=theirs,
            sure=sure,
            became=became,
            within=within.where(within.iou >= options.iou),
            matched=matched,
            across=across,
        ),
        ranking=Ranking.of(
            mine,
            theirs,
            confidence,
            within,
            became,
            classes=len(classes),
            most=options.max_detections,
        ),
    )


def _read(
    rows: Rows, table: str, scope: Scope, options: Options, faults: Faults
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of one table that are evaluated; and how many are left out."""
    extra = (("confidence",), ()) if table == "inferences" else ((), _OF_LABELS)
    needed, optional = (*_NEEDED, *extra[0]), (*_OPTIONAL, *extra[1])
    found = scope.only(tidy(rows, table, needed, optional, faults))
    kept, left = of_classes(shaped(found), found, table, options, faults)
    check_shapes(kept, table, faults)
    if table == "inferences":
        check_confidence(kept, faults)
    return kept, left


def _numbered(rows: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    return rows.join(images.with_row_index("image"), on=UNIT, how="left")
