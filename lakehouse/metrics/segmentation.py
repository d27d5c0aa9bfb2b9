"""Semantic segmentation: what masks call each pixel, against what labels do.

Everything is counted in pixels, over all images together, so the figures are
exact in any order: intersection over union of a class is tp / (tp + fp + fn).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.metrics.counting import matrix
from lakehouse.metrics.tables import UNIT

__all__ = ["Segmentation"]

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
