"""Semantic segmentation: what masks call each pixel, against what labels do.

Everything is counted in pixels, over all images together, so the figures are
exact in any order: intersection over union of a class is tp / (tp + fp + fn).
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.errors import InvalidInputError, LakehouseError, import_extra
from lakehouse.metrics.counts import BACKGROUND, confusion_matrix
from lakehouse.metrics.inputs import (
    UNIT,
    Rows,
    add_row_problems,
    check_keys,
    read_columns,
)
from lakehouse.metrics.options import NOT_EVALUATED, Options, Scope
from lakehouse.model.class_map import ClassMap
from lakehouse.model.problems import Problems
from lakehouse.storage.media import Media

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

ClassIds = npt.NDArray[np.int64]
"""`int64[height, width]`: the class id of each pixel."""

_NEEDED: Final = ("frame_id", "label_id", "mask_url")
_OPTIONAL: Final = ("label_type", "coordinate_frame")
_LABEL_TYPE: Final = "SEMANTIC_LABEL_URL_2D"

_NO_CLASS: Final = -1  # the id of a pixel that no inference gives a class

# bincount takes as much memory as the greatest code, and no sorting: up to here
# that is 32 MB. Ids of 16 bits on both sides may need more; they are sorted.
_GREATEST_CODE_COUNTED_DIRECTLY: Final = 1 << 22

_MEANINGS: Final = {
    "images": "images that count: those with a label",
    "pixels": "pixels that a label gives a class",
    "mean_iou": "intersection over union, mean over the classes that occur",
    "pixel_accuracy": "the share of pixels that are called what the label says",
}


def segment(
    labels: Rows,
    inferences: Rows,
    scope: Scope,
    options: Options,
    problems: Problems,
    *,
    media: Media,
) -> tuple["Segmentation", dict[str, int]]:
    """Compare masks with masks, pixel by pixel.

    An image that was seen and has no mask of the model's counts as missed
    throughout. An image without a label's mask is left out.

    Args:
        labels: Rows of labels.
        inferences: Rows of inferences.
        scope: Which frames count.
        options: What was asked for.
        problems: What is wrong so far.
        media: Reads the masks.

    Returns:
        The evidence, and how many rows were left out, by reason.

    Raises:
        InvalidInputError: If anything is wrong, in `problems`, in the rows, or in
            the files: all masks that cannot be read or differ in size are named.
    """
    truth, left_out = _read(labels, "labels", scope, problems)
    predictions, also = _read(inferences, "inferences", scope, problems)
    # Before any file is read: a run over thousands of masks ends at once, not late.
    problems.raise_if_any(NOT_EVALUATED, kind="metrics.input")
    predictions = predictions.rename({"label_id": "inference_id"})
    masks = (
        truth.rename({"mask_url": "label_url"})
        .join(
            predictions.rename({"mask_url": "inference_url"}),
            on=UNIT,
            how="left",
        )
        # Images are read in one order, so that problems are listed alike in every run.
        .sort(UNIT)
    )
    pixels, without_class = count_pixels(masks, _names_by_id(options), problems, media)
    problems.raise_if_any(NOT_EVALUATED, kind="metrics.input")
    evidence = Segmentation(
        classes=_classes(pixels, options),
        frames=scope.frames,
        pixels=pixels,
        rows=(truth, predictions),
    )
    without_labels = scope.frames.join(truth, on="frame_id", how="anti")
    stray = predictions.join(truth, on=UNIT, how="anti")
    counts = {
        "frames without labels": without_labels.height,
        "inferences on images without labels": stray.height,
        "pixels without a class": without_class,
    }
    return evidence, left_out | also | counts


def _read(
    rows: Rows, table: str, scope: Scope, problems: Problems
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The masks on frames that count, one an image; and how many are left out."""
    in_scope = scope.filter(read_columns(rows, table, _NEEDED, _OPTIONAL, problems))
    is_mask = (pl.col("label_type") == _LABEL_TYPE).fill_null(value=True)
    kept = in_scope.filter(is_mask)
    check_keys(kept, table, problems)
    add_row_problems(
        problems,
        table,
        kept.filter(pl.struct(UNIT).is_duplicated()),
        "mask_url",
        rule="mask.many",
        requirement="an image has one mask of class ids.",
        hint="Keep one.",
    )
    others = in_scope.height - kept.height
    return kept.drop("label_type"), {f"{table} of other types": others}


def _names_by_id(options: Options) -> dict[int, str] | None:
    """Class id to name, of the classes that count; None if all ids do."""
    if options.classes is None:
        return None
    if isinstance(options.classes, ClassMap):
        # A pixel holds the id of its class: names are looked up in the map, ignored
        # ones are none.
        known = options.classes.classes
        return {one.class_id: one.name for one in known if not one.ignore_in_eval}
    # Names alone: a pixel's number is the place of its class in the list.
    return dict(enumerate(options.classes))


def _classes(pixels: pl.DataFrame, options: Options) -> tuple[str, ...]:
    names = _names_by_id(options)
    if names is not None:
        return tuple(names[class_id] for class_id in sorted(names))
    occurring = {*pixels["label_class"], *pixels["inference_class"]} - {BACKGROUND}
    # Without names a class is called by its number: as text, 10 would come before 2.
    return tuple(sorted(occurring, key=int))


# ---------------------------------- FIGURES --------------------------------- #


@dataclass(frozen=True)
class Segmentation:
    """The evidence of a segmentation. Made by `evaluate()`."""

    classes: tuple[str, ...]
    frames: pl.DataFrame
    pixels: pl.DataFrame
    """In the columns PIXELS."""
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
        # A class that occurs in no chosen image is left out of the mean; 0 would punish
        # for it.
        defined = by_class["iou"].drop_nulls().to_numpy()
        right, labelled = int(by_class["tp"].sum()), int(pixels["pixels"].sum())
        return {
            "images": pixels.select(UNIT).n_unique(),
            "pixels": labelled,
            "mean_iou": float(np.mean(defined)) if len(defined) else None,
            "pixel_accuracy": right / labelled if labelled else None,
        }

    def per_class(self) -> pl.DataFrame:
        """Pixels that are right, wrong and missed, and IoU, of each class."""
        names = pl.Series("class_name", self.classes, dtype=pl.String).to_frame()
        areas = self._areas(self.pixels, [])
        joined = names.join(areas, on="class_name", how="left", maintain_order="left")
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
        return confusion_matrix(self.pixels, self.classes, "pixels")

    def curve(self) -> pl.DataFrame:
        """There is none.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(
            "Masks carry no confidence, so there is no precision-recall curve: "
            "per_class() and confusion() show what is wrong.",
            kind="metrics.curve",
        )

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.rows

    def _areas(self, pixels: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """Pixels and IoU of each class that occurs, in each group; sorted."""
        keys = [*by, "class_name"]
        is_right = pl.col("label_class") == pl.col("inference_class")
        marked = pixels.with_columns(tp=pl.when(is_right).then("pixels").otherwise(0))
        truth = marked.group_by(*by, class_name="label_class").agg(
            labels=pl.col("pixels").sum(), tp=pl.col("tp").sum()
        )
        predictions = pixels.group_by(*by, class_name="inference_class").agg(
            inferences=pl.col("pixels").sum()
        )
        counts = (
            truth.join(predictions, on=keys, how="full", coalesce=True)
            # BACKGROUND is what the inference gives no class, and no class to be
            # measured.
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


# ----------------------------------- MASKS ---------------------------------- #


def count_pixels(
    masks: pl.DataFrame,
    names: Mapping[int, str] | None,
    problems: Problems,
    media: Media,
) -> tuple[pl.DataFrame, int]:
    """Count pixels, image by image.

    Args:
        masks: `frame_id`, `coordinate_frame`, `label_id`, `label_url`, and
            `inference_id` and `inference_url`, null where there is no inference.
        names: Class id to name; None: every id is a class, named by its number.
        problems: Gets masks that cannot be read, or differ in size.
        media: Reads the masks.

    Returns:
        Pixels in the columns PIXELS, and how many were left out: those that the
        label gives no class. What the inference gives no class is BACKGROUND.
    """
    # One image in memory at a time: masks of a dataset are larger than its tables.
    rows: list[tuple[Any, ...]] = []
    without_class = 0
    for row in masks.iter_rows(named=True):
        pair = _read_pair(row, problems, media)
        if pair is None:
            continue
        for label_id, inference_id, count in _count_pairs_of_ids(*pair):
            label_class = _name(label_id, names)
            if label_class is None:
                without_class += count
                continue
            inference_class = _name(inference_id, names) or BACKGROUND
            unit = (row[column] for column in UNIT)
            rows.append((*unit, label_class, inference_class, count))
    table = pl.DataFrame(rows, schema=PIXELS, orient="row")
    keys = [name for name in PIXELS if name != "pixels"]
    # Two ids may have one name, and none of several ids is BACKGROUND.
    return table.group_by(keys).agg(pl.col("pixels").sum()).sort(keys), without_class


def _read_pair(
    row: dict[str, Any], problems: Problems, media: Media
) -> tuple[ClassIds, ClassIds] | None:
    """The masks of an image; None if one of them is wrong."""
    label = _read_side(row, "label", problems, media)
    if row["inference_url"] is None:
        # Seen, and no mask of the model's: every pixel that has a class is missed.
        return None if label is None else (label, np.full_like(label, _NO_CLASS))
    inference = _read_side(row, "inference", problems, media)
    if label is None or inference is None:
        return None
    if label.shape != inference.shape:
        problems.add(
            _path(row, "inference"),
            rule="mask.size",
            message=f"is {_size(inference)} pixels, and the mask of label "
            f"{row['label_id']!r} is {_size(label)}.",
            hint="Write it in the size of the label's mask.",
        )
        return None
    return label, inference


def _read_side(
    row: dict[str, Any], side: str, problems: Problems, media: Media
) -> ClassIds | None:
    url = row[f"{side}_url"]
    if url is None:
        problems.add(
            _path(row, side),
            rule="mask.missing",
            message="is null.",
            hint="Give the mask's URL.",
        )
        return None
    try:
        return read_mask(url, media)
    except MaskError as error:
        problems.add(
            _path(row, side),
            rule="mask.unreadable",
            message=f"{url} {error}.",
            hint="Repair the file.",
        )
        return None


def _path(row: dict[str, Any], side: str) -> str:
    return f"{side}s[{row['frame_id']!r}, {row[f'{side}_id']!r}].mask_url"


def _size(mask: ClassIds) -> str:
    height, width = mask.shape
    return f"{width} x {height}"


def _count_pairs_of_ids(
    label: ClassIds, inference: ClassIds
) -> Iterator[tuple[int, int, int]]:
    """Pairs of a label's id and an inference's, and how many pixels have them."""
    # One number for each pair; ids of inferences start at -1, so one is added.
    span = int(inference.max(initial=_NO_CLASS)) + 2
    # int64: ids of 16 bits on both sides give codes below 2^33.
    codes = (label * span + (inference - _NO_CLASS)).ravel()
    if len(codes) and int(codes.max()) < _GREATEST_CODE_COUNTED_DIRECTLY:
        counts = np.bincount(codes)
        present = np.flatnonzero(counts)
        pixels = counts[present]
    else:
        present, pixels = np.unique(codes, return_counts=True)
    for code, count in zip(present.tolist(), pixels.tolist(), strict=True):
        yield code // span, code % span + _NO_CLASS, count


def _name(class_id: int, names: Mapping[int, str] | None) -> str | None:
    if names is None:
        return str(class_id) if class_id != _NO_CLASS else None
    return names.get(class_id)


class MaskError(ValueError):
    """A mask cannot be read, or holds no class ids."""


def read_mask(url: str, media: Media) -> ClassIds:
    """The class ids of a mask file.

    Args:
        url: The name of the mask.
        media: Reads it.

    Returns:
        `int64[height, width]`.

    Raises:
        MaskError: If there is no such file, or it is no image of whole numbers.
    """
    image = import_extra("PIL.Image", "metrics", "Masks need Pillow")
    try:
        picture = image.open(io.BytesIO(media.read(url)))
        # Of a palette image NumPy gets the indices, which are the ids, not the colours.
        values: npt.NDArray[Any] = np.asarray(picture)
    except LakehouseError as error:
        reason = str(error).removesuffix(".")
        raise MaskError(f"is not read: {reason}") from error
    # Pillow refuses a small file that unfolds to a giant image by an error of its own.
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise MaskError(f"cannot be read: {error}") from error
    if values.ndim != 2 or values.dtype.kind not in {"b", "u", "i"}:  # noqa: PLR2004 - height, width
        raise MaskError(
            f"is an image of mode {picture.mode}, not of one class id a pixel"
        )
    return values.astype(np.int64)
