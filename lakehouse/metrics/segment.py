"""From tables to masks laid over each other: one of labels and one of inferences."""

from typing import Final

import polars as pl

from lakehouse.metrics.counting import BACKGROUND
from lakehouse.metrics.options import Options
from lakehouse.metrics.scope import Scope
from lakehouse.metrics.segmentation import Segmentation
from lakehouse.metrics.tables import UNIT, Faults, Rows, check_keys, tidy
from lakehouse.model.class_map import ClassMap

__all__ = ["segment"]

_NEEDED: Final = ("frame_id", "label_id", "mask_url")
_OPTIONAL: Final = ("label_type", "coordinate_frame")
_TYPE: Final = "SEMANTIC_LABEL_URL_2D"


def segment(
    labels: Rows, inferences: Rows, scope: Scope, options: Options, faults: Faults
) -> tuple[Segmentation, dict[str, int]]:
    """Hold masks against masks, pixel by pixel.

    An image that was seen and has no mask of the model's counts as missed
    throughout. An image without a label's mask is left out.

    Args:
        labels: Rows of labels.
        inferences: Rows of inferences.
        scope: Which frames count.
        options: What was asked for.
        faults: What is wrong so far.

    Returns:
        What was found, and how much was left out, by reason.

    Raises:
        InvalidInputError: If anything is wrong, in `faults`, in the rows, or in
            the files: all masks that cannot be read or differ in size are told.
    """
    from lakehouse.metrics.pixels import compared  # noqa: PLC0415 - needs an extra

    theirs, left = _read(labels, "labels", scope, faults)
    mine, also = _read(inferences, "inferences", scope, faults)
    faults.refuse()
    masks = (
        theirs.rename({"mask_url": "label_url"})
        .join(
            mine.rename({"label_id": "inference_id", "mask_url": "inference_url"}),
            on=UNIT,
            how="left",
        )
        .sort(UNIT)
    )
    pixels, void = compared(masks, _names(options), faults)
    faults.refuse()
    found = Segmentation(
        classes=_classes(pixels, options),
        frames=scope.frames,
        pixels=pixels,
        rows=(theirs, mine.rename({"label_id": "inference_id"})),
    )
    return found, left | also | {
        "frames without labels": scope.frames.join(
            theirs, on="frame_id", how="anti"
        ).height,
        "inferences on images without labels": mine.join(
            theirs, on=UNIT, how="anti"
        ).height,
        "pixels without a class": void,
    }


def _read(
    rows: Rows, table: str, scope: Scope, faults: Faults
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The masks on frames that count, one an image."""
    found = scope.only(tidy(rows, table, _NEEDED, _OPTIONAL, faults))
    kept = found.filter((pl.col("label_type") == _TYPE).fill_null(value=True))
    check_keys(kept, table, faults)
    twice = kept.filter(pl.struct(UNIT).is_duplicated())
    told = "an image has one mask of class ids."
    faults.rows(table, twice, "mask_url", rule="mask.many", told=told, hint="Keep one.")
    others = found.height - kept.height
    return kept.drop("label_type"), {f"{table} of other types": others}


def _names(options: Options) -> dict[int, str] | None:
    """Class id to name, of the classes that count; None if all ids do."""
    if options.classes is None:
        return None
    if isinstance(options.classes, ClassMap):
        known = options.classes.classes
        return {one.class_id: one.name for one in known if not one.ignore_in_eval}
    return dict(enumerate(options.classes))


def _classes(pixels: pl.DataFrame, options: Options) -> tuple[str, ...]:
    names = _names(options)
    if names is not None:
        return tuple(names[number] for number in sorted(names))
    found = {*pixels["label_class"], *pixels["inference_class"]} - {BACKGROUND}
    return tuple(sorted(found, key=int))
