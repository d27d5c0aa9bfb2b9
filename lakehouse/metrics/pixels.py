"""Masks laid over each other: how many pixels of which class are called which."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.metrics.counting import BACKGROUND
from lakehouse.metrics.masks import MaskError, read_mask
from lakehouse.metrics.tables import UNIT, Faults

__all__ = ["PIXELS", "compared"]

PIXELS: Final = pl.Schema(
    {
        "frame_id": pl.String,
        "coordinate_frame": pl.String,
        "label_class": pl.String,
        "inference_class": pl.String,
        "pixels": pl.Int64,
    }
)
"""Pixels of each image by what the label calls them and what the inference does."""

_NOTHING: Final = -1
_COUNTED_IN_PLACE: Final = 1 << 22

Ids = npt.NDArray[np.int64]
_Fault = tuple[str, str, str]


def compared(
    masks: pl.DataFrame, names: Mapping[int, str] | None, faults: Faults
) -> tuple[pl.DataFrame, int]:
    """Count pixels, image by image.

    Args:
        masks: `frame_id`, `coordinate_frame`, `label_id`, `label_url`, and
            `inference_id` and `inference_url`, null where there is no inference.
        names: Class id to name; None: every id is a class, named by its number.
        faults: Where masks that cannot be read, or differ in size, are told.

    Returns:
        Pixels in the columns PIXELS, and how many were left out: those that the
        label gives no class. What the inference gives no class is BACKGROUND.
    """
    rows: list[tuple[Any, ...]] = []
    void = 0
    for row in masks.iter_rows(named=True):
        pair = _read(row, faults)
        if pair is None:
            continue
        for label, inference, count in _counts(*pair):
            name = _name(label, names)
            if name is None:
                void += count
                continue
            called = _name(inference, names) or BACKGROUND
            rows.append((*(row[part] for part in UNIT), name, called, count))
    table = pl.DataFrame(rows, schema=PIXELS, orient="row")
    keys = [name for name in PIXELS if name != "pixels"]
    return table.group_by(keys).agg(pl.col("pixels").sum()).sort(keys), void


def _read(row: dict[str, Any], faults: Faults) -> tuple[Ids, Ids] | None:
    """The masks of an image; None if they are at fault, which is told."""
    label = _mask(row, "label", faults)
    if row["inference_url"] is None:
        return None if label is None else (label, np.full_like(label, _NOTHING))
    inference = _mask(row, "inference", faults)
    if label is None or inference is None:
        return None
    if label.shape != inference.shape:
        told = (
            f"is {_size(inference)} pixels, and the mask of label {row['label_id']!r} is "
            f"{_size(label)}."
        )
        hint = "Write it in the size of the label's mask."
        _tell(faults, row, "inference", ("mask.size", told, hint))
        return None
    return label, inference


def _mask(row: dict[str, Any], side: str, faults: Faults) -> Ids | None:
    url = row[f"{side}_url"]
    if url is None:
        _tell(faults, row, side, ("mask.missing", "is null.", "Give the mask's URL."))
        return None
    try:
        return read_mask(url)
    except MaskError as error:
        told = f"{url} {error}."
        _tell(faults, row, side, ("mask.unreadable", told, "Mend the file."))
        return None


def _tell(faults: Faults, row: dict[str, Any], side: str, fault: _Fault) -> None:
    path = f"{side}s[{row['frame_id']!r}, {row[f'{side}_id']!r}].mask_url"
    faults.add(path, *fault)


def _size(mask: Ids) -> str:
    height, width = mask.shape
    return f"{width} x {height}"


def _counts(label: Ids, inference: Ids) -> Iterator[tuple[int, int, int]]:
    """Pairs of ids, and the pixels that have them."""
    span = int(inference.max(initial=_NOTHING)) + 2
    codes = (label * span + (inference - _NOTHING)).ravel()
    if len(codes) and int(codes.max()) < _COUNTED_IN_PLACE:
        counts = np.bincount(codes)
        present = np.flatnonzero(counts)
        pixels = counts[present]
    else:
        present, pixels = np.unique(codes, return_counts=True)
    for code, count in zip(present.tolist(), pixels.tolist(), strict=True):
        yield code // span, code % span + _NOTHING, count


def _name(number: int, names: Mapping[int, str] | None) -> str | None:
    if names is None:
        return str(number) if number != _NOTHING else None
    return names.get(number)
