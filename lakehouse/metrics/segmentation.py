"""Semantic segmentation: what masks call each pixel, against what labels do.

Everything is counted in pixels, over all images together, so the figures are
exact in any order: intersection over union of a class is tp / (tp + fp + fn).
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import fsspec.core
import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.errors import InvalidInputError, import_extra
from lakehouse.metrics.counts import BACKGROUND, matrix
from lakehouse.metrics.inputs import UNIT, Faults, Rows, check_keys, tidy
from lakehouse.metrics.options import Options, Scope
from lakehouse.model.class_map import ClassMap

_MEANINGS: Final = {
    "images": "images that count: those with a label",
    "pixels": "pixels that a label gives a class",
    "mean_iou": "intersection over union, mean over the classes that occur",
    "pixel_accuracy": "the share of pixels that are called what the label says",
}


@dataclass(frozen=True)
class Segmentation:
    """What was found. Made by `evaluate()`."""

    classes: tuple[str, ...]
    frames: pl.DataFrame
    pixels: pl.DataFrame
    """As PIXELS."""
    rows: tuple[pl.DataFrame, pl.DataFrame]
    """Labels and inferences as they came."""

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says."""
        return _MEANINGS

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        return []

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Mean IoU and pixel accuracy."""
        pixels = self.pixels
        if frames is not None:
            pixels = pixels.filter(pl.col("frame_id").is_in(frames.implode()))
        by_class = self._areas(pixels, [])
        known = by_class["iou"].drop_nulls().to_numpy()
        right, labelled = int(by_class["tp"].sum()), int(pixels["pixels"].sum())
        return {
            "images": pixels.select(UNIT).n_unique(),
            "pixels": labelled,
            "mean_iou": float(np.mean(known)) if len(known) else None,
            "pixel_accuracy": right / labelled if labelled else None,
        }

    def per_class(self) -> pl.DataFrame:
        """Pixels that are right, wrong and missed, and IoU, of each class."""
        names = pl.Series("class_name", self.classes, dtype=pl.String).to_frame()
        found = self._areas(self.pixels, [])
        joined = names.join(found, on="class_name", how="left", maintain_order="left")
        return joined.with_columns(
            pl.col("labels", "inferences", "tp", "fp", "fn").fill_null(0)
        )

    def per_frame(self) -> pl.DataFrame:
        """Mean IoU and pixel accuracy of each frame, and whether it was seen."""
        areas = self._areas(self.pixels, ["frame_id"])
        counts = areas.group_by("frame_id").agg(
            pixels=pl.col("labels").sum(),
            right=pl.col("tp").sum(),
            # Sorted before, so that the sum is the same in any order.
            mean_iou=pl.col("iou").sort().mean(),
        )
        return (
            self.frames.select("frame_id", "seen")
            .join(counts, on="frame_id", how="left", maintain_order="left")
            .select(
                "frame_id",
                "seen",
                pl.col("pixels").fill_null(0),
                "mean_iou",
                pixel_accuracy=pl.col("right") / pl.col("pixels"),
            )
        )

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """Pixels of each image by class, or by pair of classes."""
        return self.pixels if across_classes else self._areas(self.pixels, list(UNIT))

    def confusion(self) -> pl.DataFrame:
        """How many pixels of each class were called which."""
        return matrix(self.pixels, self.classes, "pixels")

    def curve(self) -> pl.DataFrame:
        """There is none.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(
            "Masks carry no confidence, so there is no precision-recall curve: "
            "per_class() and confusion() tell what is wrong.",
            kind="metrics.curve",
        )

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.rows

    def _areas(self, pixels: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """Pixels and IoU of each class that occurs, in each group; sorted."""
        keys = [*by, "class_name"]
        right = pl.col("label_class") == pl.col("inference_class")
        marked = pixels.with_columns(tp=pl.when(right).then("pixels").otherwise(0))
        theirs = marked.group_by(*by, class_name="label_class").agg(
            labels=pl.col("pixels").sum(), tp=pl.col("tp").sum()
        )
        mine = pixels.group_by(*by, class_name="inference_class").agg(
            inferences=pl.col("pixels").sum()
        )
        counts = (
            theirs.join(mine, on=keys, how="full", coalesce=True)
            .filter(pl.col("class_name").is_in(self.classes))
            .with_columns(pl.col("labels", "inferences", "tp").fill_null(0))
            .with_columns(
                fp=pl.col("inferences") - pl.col("tp"),
                fn=pl.col("labels") - pl.col("tp"),
            )
        )
        union = pl.col("labels") + pl.col("fp")
        columns = [*keys, "labels", "inferences", "tp", "fp", "fn"]
        return counts.select(*columns, iou=pl.col("tp") / union).sort(keys)


class MaskError(ValueError):
    """A mask cannot be read, or holds no class ids."""


def read_mask(url: str) -> npt.NDArray[np.int64]:
    """The class ids of a mask file.

    Args:
        url: A path, or a URL that fsspec knows.

    Returns:
        `int64[height, width]`.

    Raises:
        MaskError: If there is no such file, or it is no image of whole numbers.
    """
    image = import_extra("PIL.Image", "metrics", "Masks need Pillow")
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        picture = image.open(io.BytesIO(filesystem.cat_file(path)))
        values: npt.NDArray[Any] = np.asarray(picture)
    except (OSError, ValueError, ImportError, SyntaxError) as error:
        raise MaskError(f"cannot be read: {error}") from error
    if values.ndim != 2 or values.dtype.kind not in {"b", "u", "i"}:  # noqa: PLR2004 - height, width
        raise MaskError(
            f"is an image of mode {picture.mode}, not of one class id a pixel"
        )
    return values.astype(np.int64)


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
        pair = _read_mask(row, faults)
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


def _read_mask(row: dict[str, Any], faults: Faults) -> tuple[Ids, Ids] | None:
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
