"""Evaluation: from the rows of labels, inferences and frames to metrics.

A pure function: it reads no clock and no network (masks excepted), and what it
gives is equal bit for bit for equal rows in any order.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from lakehouse.metrics.classification import classify
from lakehouse.metrics.detection import detect
from lakehouse.metrics.inputs import Geometry, Rows
from lakehouse.metrics.options import (
    CLASSIFICATIONS,
    SEGMENTATIONS,
    Options,
    Over,
    Scope,
    Task,
)
from lakehouse.metrics.result import Evidence, Metrics
from lakehouse.metrics.segmentation import segment
from lakehouse.model.class_map import ClassMap
from lakehouse.model.problems import Problems
from lakehouse.storage.media import Media


def evaluate(
    labels: Rows,
    inferences: Rows,
    frames: Rows,
    *,
    task: Task | None = None,
    iou: float = 0.5,
    confidence: float = 0.1,
    seen: Iterable[str] | None = None,
    over: Over = "seen",
    classes: ClassMap | Collection[str] | None = None,
    max_detections: int = 100,
    geometry: Geometry | None = None,
    negative_class: str | None = None,
    source: Mapping[str, Any] | None = None,
    media: Media | None = None,
) -> Metrics:
    """Evaluate inferences against labels.

    Labels that are crowds (`iscrowd`, COCO) or marked `user__ignore_in_eval` are
    not missed when no inference matches them, and inferences on them count neither
    way. Classes that the class map marks `ignore_in_eval` are left out.

    Args:
        labels: Ground truth, in the columns of `tables/labels.toml`. They meet
            inferences of their frame and `coordinate_frame`; null is `DEFAULT`.
        inferences: The same columns, and `confidence` (0 to 1; not for masks).
        frames: The frames of the version that the labels are of: `frame_id`, any
            metadata, and `width` and `height` in pixels for polygons.
        task: What the model was asked to do; None is object detection.
        iou: The least overlap of a match, between 0 and 1.
        confidence: Inferences below are left out; average precision, curves and
            AUROC take all.
        seen: Ids of the frames that the model saw, those without inferences
            included; frames that inferences are on are added.
        over: Which frames count: those `seen`, or `all` of them.
        classes: The classes in their order. A class map also gives renamed classes
            the name they have now, and masks their class ids. None: those of the rows.
        max_detections: How many inferences of a class and image average precision
            counts, by confidence (COCO: 100). Matches are not limited.
        geometry: What overlap is measured on; None: polygons where there are no
            boxes, else boxes.
        negative_class: Of BINARY_CLASSIFICATION: the class of what no inference
            says.
        source: Where the rows are from; `Metrics.source` has it.
        media: Reads masks; by default those below the current folder.

    Raises:
        InvalidInputError: If an argument is out of range, or rows lack a column, an
            id, a class, a confidence or a geometry, or are there twice; if masks
            cannot be read or differ in size. Its `problems` has all of them.
        LakehouseError: If an extra is not installed: polygons need `metrics`,
            masks need Pillow.
    """
    options = Options(
        task=task or "2D_OBJECT_DETECTION",
        iou=iou,
        confidence=confidence,
        over=over,
        max_detections=max_detections,
        geometry=geometry,
        negative_class=negative_class,
        classes=_listed(classes),
    )
    problems = Problems()
    # All rows are checked before any are compared, so one error has all problems.
    scope = Scope.of(frames, inferences, seen, over, problems)
    evidence, left_out = _evidence(
        labels, inferences, scope, options, problems, media=media or Media()
    )
    counts = {
        "frames": scope.frames.height,
        "frames that the model did not see": scope.unseen if over == "seen" else 0,
        "frames without ground truth": scope.no_ground_truth.height,
        "inferences without ground truth": int(
            scope.no_ground_truth["inferences"].sum()
        ),
        **left_out,
    }
    return Metrics(
        task=options.task,
        parameters=options.to_dict(),
        counts=counts,
        evidence=evidence,
        no_ground_truth=scope.no_ground_truth,
        source=dict(source or {}),
    )


def _evidence(
    labels: Rows,
    inferences: Rows,
    scope: Scope,
    options: Options,
    problems: Problems,
    *,
    media: Media,
) -> tuple[Evidence, dict[str, int]]:
    if options.task in CLASSIFICATIONS:
        return classify(labels, inferences, scope, options, problems)
    if options.task in SEGMENTATIONS:
        return segment(labels, inferences, scope, options, problems, media=media)
    return detect(labels, inferences, scope, options, problems)


def _listed(
    classes: ClassMap | Collection[str] | None,
) -> ClassMap | tuple[str, ...] | None:
    if classes is None or isinstance(classes, ClassMap):
        return classes
    return tuple(classes)
