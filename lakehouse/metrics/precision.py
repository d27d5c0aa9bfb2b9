"""Average precision and recall, as COCO computes them.

Inferences of a class are sorted by confidence; walking down, each step has a
recall and a precision. Precision is made to fall only, and is read at the 101
recalls 0, 0.01 … 1; their mean is the average precision of a class at one IoU
(pycocotools, `COCOeval.accumulate`). AP is the mean over classes with labels
and over the IoUs 0.50, 0.55 … 0.95.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Codes, Flags, Floats, Ints
from lakehouse.metrics.matching import FALSE, TRUE

__all__ = ["CURVE", "RECALLS", "THRESHOLDS", "Walk", "walk"]

CURVE: Final = pl.Schema(
    {
        "class_name": pl.String,
        "recall": pl.Float64,
        "precision": pl.Float64,
        "confidence": pl.Float64,
    }
)
"""The columns of curves."""

THRESHOLDS: Final[Floats] = np.linspace(0.5, 0.95, 10)
"""The IoUs that AP is the mean over."""

RECALLS: Final[Floats] = np.linspace(0.0, 1.0, 101)
"""The recalls at which precision is read."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Down the inferences of one class, the surest first."""

    precision: Floats
    """`float64[ious, 101]`: the best precision at each recall or more; 0 beyond."""
    recall: Floats
    """`float64[ious]`: the recall in the end."""
    confidence: Floats
    """`float64[ious, 101]`: where each recall is reached; NaN beyond."""

    def table(self, class_name: str) -> pl.DataFrame:
        """The curve at the first IoU, in the columns CURVE."""
        return pl.DataFrame(
            {
                "class_name": [class_name] * len(RECALLS),
                "recall": RECALLS,
                "precision": self.precision[0],
                "confidence": self.confidence[0],
            },
            schema=CURVE,
        ).with_columns(pl.col("confidence").fill_nan(None))


def walk(became: Codes, confidence: Floats, labels: int) -> Walk:
    """Precision and recall of one class.

    Args:
        became: `uint8[ious, inferences]`: FALSE, TRUE or IGNORED; surest first.
        confidence: Of each inference, falling.
        labels: How many labels count, 1 or more.

    >>> walk(np.array([[1, 0, 1]], np.uint8), np.array([0.9, 0.8, 0.7]), 2).recall
    array([1.])
    """
    true = np.cumsum(became == TRUE, axis=1)
    false = np.cumsum(became == FALSE, axis=1)
    recall = true / labels
    # COCO's guard against 0 / 0, kept so that the figures are its to the last bit.
    precision = true / (false + true + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    shape = (len(became), len(RECALLS))
    at, where = np.zeros(shape), np.full(shape, np.nan)
    for place, steps in enumerate(recall):
        reached: Ints = np.searchsorted(steps, RECALLS, "left")
        within: Flags = reached < len(steps)
        at[place, within] = precision[place, reached[within]]
        where[place, within] = confidence[reached[within]]
    last = recall[:, -1] if became.shape[1] else np.zeros(len(became))
    return Walk(at, last, where)
