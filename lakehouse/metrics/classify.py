"""From tables to what a classifier got right: truth and answers of each image."""

from typing import Final

import polars as pl

from lakehouse.metrics.answers import Answers
from lakehouse.metrics.classification import Classification
from lakehouse.metrics.naming import class_names, of_classes
from lakehouse.metrics.options import Options
from lakehouse.metrics.scope import Scope
from lakehouse.metrics.tables import (
    IGNORE,
    UNIT,
    Faults,
    Rows,
    check_confidence,
    tidy,
)

__all__ = ["classify"]

_NEEDED: Final = ("frame_id", "label_id", "class_name")
_OPTIONAL: Final = ("class_id", "label_type", "coordinate_frame")
_TYPES: Final = ("CLASSIFICATION_2D", "CLASSIFICATION_3D")
_TWO: Final = 2


def classify(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, faults: Faults
) -> tuple[Classification, dict[str, int]]:
    """Hold a model's answers against labels.

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
    several = options.task == "MULTI_LABEL_CLASSIFICATION"
    _check_labels(theirs, several=several, faults=faults)
    listed = class_names([theirs, mine], options.classes)
    classes = _classes(listed, mine, options, faults)
    faults.refuse()
    ignored = theirs.filter(pl.col(IGNORE).fill_null(value=False))
    counting = theirs.join(ignored, on=["frame_id", "label_id"], how="anti")
    if not several:
        counting = counting.join(ignored, on=UNIT, how="anti")
    images = _images(theirs, mine, scope) if several else counting.select(UNIT)
    places = images.unique().sort(UNIT).with_row_index("image")
    found = Answers(
        places=places,
        truth=counting.join(places, on=UNIT),
        inferences=mine.rename({"label_id": "inference_id"}).join(places, on=UNIT),
        ignored=ignored.join(places, on=UNIT),
        classes=classes,
        several=several,
        negative=options.negative_class,
        confidence=options.confidence,
    )
    without = scope.frames.join(images, on="frame_id", how="anti").height
    stray = mine.join(images, on=UNIT, how="anti").height
    counts = {"frames without labels that count": without}
    counts["inferences on images without labels that count"] = stray
    rows = (theirs, mine.rename({"label_id": "inference_id"}))
    return found.held(scope.frames, rows), left | also | counts


def _read(
    rows: Rows, table: str, scope: Scope, options: Options, faults: Faults
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows that classify frames that count, and how many others there are."""
    extra = ("confidence",) if table == "inferences" else ()
    marks = (IGNORE,) if table == "labels" else ()
    tidied = tidy(rows, table, (*_NEEDED, *extra), (*_OPTIONAL, *marks), faults)
    found = scope.only(tidied)
    kind = pl.col("label_type").is_in(_TYPES).fill_null(value=True)
    kept, left = of_classes(found.filter(kind), found, table, options, faults)
    if table == "inferences":
        check_confidence(kept, faults)
    return kept, left


def _check_labels(labels: pl.DataFrame, *, several: bool, faults: Faults) -> None:
    """An image has one label, or one of each class."""
    group = [*UNIT, "class_name"] if several else UNIT
    bad = labels.filter(pl.struct(group).is_duplicated())
    told = (
        "an image has one label of a class."
        if several
        else "an image has one label; MULTI_LABEL_CLASSIFICATION is for several."
    )
    faults.rows(
        "labels", bad, "class_name", rule="label.many", told=told, hint="Keep one."
    )


def _classes(
    listed: tuple[str, ...], inferences: pl.DataFrame, options: Options, faults: Faults
) -> tuple[str, ...]:
    """The classes that count; of two, the negative one is first."""
    classes = tuple(name for name in listed if name not in options.ignored_classes)
    negative = options.negative_class
    if negative is None:
        return classes
    positive = [name for name in classes if name != negative]
    if len(positive) != _TWO - 1 or (
        options.classes is not None and negative not in classes
    ):
        told = (
            f"BINARY_CLASSIFICATION has two classes, {negative!r} and another, not "
            f"{list(listed)}."
        )
        faults.add("classes", "class.count", told, "Give both as classes=.")
    bad = inferences.filter(class_name=negative)
    told = "inferences do not name the negative class."
    hint = "Leave them out, or turn them into 1 - confidence of the positive class."
    faults.rows(
        "inferences", bad, "class_name", rule="class.negative", told=told, hint=hint
    )
    return (negative, *positive)


def _images(
    labels: pl.DataFrame, inferences: pl.DataFrame, scope: Scope
) -> pl.DataFrame:
    """The images of all frames that count; one of a frame that no row is on."""
    told = pl.concat([labels.select(UNIT), inferences.select(UNIT)])
    bare = scope.frames.join(told, on="frame_id", how="anti")
    alone = bare.select("frame_id", pl.lit("DEFAULT").alias("coordinate_frame"))
    return pl.concat([told, alone])
