"""Detection: boxes or polygons of inferences against those of labels.

Two matchings, for two questions. *Within a class*, by confidence, as COCO does:
true and false positives, precision, recall, average precision. *Across classes*,
by overlap: the confusion matrix, and why a label was missed. Neither matches a
label or an inference twice.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from lakehouse.metrics.averages import averages, class_averages
from lakehouse.metrics.counting import counted, matrix, of_all, rates
from lakehouse.metrics.explained import Matched
from lakehouse.metrics.precision import CURVE
from lakehouse.metrics.ranking import Ranking

__all__ = ["Detection"]

_COCO: Final = {
    "AP": "average precision: mean over classes and IoU 0.50 to 0.95 (COCO's mAP)",
    "AP50": "average precision at IoU 0.50, mean over classes",
    "AP75": "average precision at IoU 0.75, mean over classes",
    "AP_small": "AP of labels up to 32² px²",
    "AP_medium": "AP of labels from 32² to 96² px²",
    "AP_large": "AP of labels from 96² px²",
    "AR_small": "average recall of labels up to 32² px²",
    "AR_medium": "average recall of labels from 32² to 96² px²",
    "AR_large": "average recall of labels from 96² px²",
}
_COUNTS: Final = {
    "labels": "labels that count",
    "inferences": "inferences that reach the confidence and count",
    "tp": "true positives, matched within their class",
    "fp": "false positives: inferences that match no label of their class",
    "fn": "false negatives: labels that no inference of their class matches",
    "precision": "tp / (tp + fp), over all classes together",
    "recall": "tp / (tp + fn), over all classes together",
    "f1": "2 tp / (2 tp + fp + fn), over all classes together",
}


@dataclass(frozen=True)
class Detection:
    """What was found. Made by `evaluate()`."""

    classes: tuple[str, ...]
    frames: pl.DataFrame
    images: pl.Series
    """The frame of each image."""
    matched: Matched
    ranking: Ranking

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says."""
        text = (
            "average recall: mean over classes and IoU 0.50 to 0.95, with the surest "
            "{} of a class and image"
        )
        most = sorted({1, 10, self.ranking.most})
        recalls = {f"AR{few}": text.format(few) for few in most}
        return _COUNTS | _COCO | recalls

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        crowded = self.ranking.crowded
        if not crowded:
            return []
        note = (
            f"{crowded} images have more than {self.ranking.most} inferences of a class: "
            "AP and AR leave the less sure ones out (max_detections)."
        )
        return [note]

    @cached_property
    def _outcomes(self) -> pl.DataFrame:
        return self.matched.outcomes()

    @cached_property
    def _confusions(self) -> pl.DataFrame:
        return self.matched.confusions()

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """Counts and rates at the thresholds; COCO's averages, at any confidence."""
        rows, images = self._outcomes, None
        if frames is not None:
            rows = rows.filter(pl.col("frame_id").is_in(frames.implode()))
            images = self.images.is_in(frames.implode()).to_numpy()
        counts = rates(counted(rows, [])).row(0, named=True)
        return {**counts, **averages(self.ranking, images)}

    def per_class(self) -> pl.DataFrame:
        """Counts, rates and COCO's averages of each class."""
        counts = counted(self._outcomes, ["class_name"])
        names = pl.Series(self.classes, dtype=pl.String)
        return rates(of_all("class_name", names, counts)).with_columns(
            pl.Series(name, values, pl.Float64)
            for name, values in class_averages(self.ranking).items()
        )

    def per_frame(self) -> pl.DataFrame:
        """Counts and rates of each frame, and whether the model saw it."""
        counts = counted(self._outcomes, ["frame_id"])
        rows = rates(of_all("frame_id", self.frames["frame_id"], counts))
        return rows.insert_column(1, self.frames["seen"])

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """The rows behind the summary, or those behind the confusion matrix."""
        return self._confusions if across_classes else self._outcomes

    def confusion(self) -> pl.DataFrame:
        """How often each class was taken for which: matched across classes."""
        return matrix(self._confusions, self.classes)

    def curve(self) -> pl.DataFrame:
        """101 points a class, of precision at the IoU asked for."""
        walks = zip(self.classes, self.ranking.walks(""), strict=True)
        found = [one.table(name) for name, one in walks if one is not None]
        return pl.concat([pl.DataFrame(schema=CURVE), *found])

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The labels and inferences that were evaluated."""
        return self.matched.label_rows, self.matched.inference_rows
