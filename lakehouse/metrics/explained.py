"""Matches as tables: what became of every label and inference, and why.

A false negative's reason is `other class` (an inference of another class lies on
it), `low confidence` (its match is below the threshold), `taken` (what overlaps
it matches another label) or `no inference`. A false positive's is `other class`,
`duplicate` (the label it overlaps is matched) or `no label`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.metrics.arrays import Codes, Flags, Ints, Texts
from lakehouse.metrics.counting import BACKGROUND, CONFUSIONS, OUTCOMES, in_order
from lakehouse.metrics.matching import FALSE, IGNORED
from lakehouse.metrics.overlap import Pairs, Side
from lakehouse.metrics.tables import UNIT

__all__ = ["Matched"]


@dataclass(frozen=True, slots=True)
class Matched:
    """Both matchings at the thresholds asked for, beside the rows they are about."""

    label_rows: pl.DataFrame
    inference_rows: pl.DataFrame
    """With `inference_id`; both are sorted as their sides are."""
    labels: Side
    sure: Flags
    """Inferences that reach the threshold of confidence."""
    became: Codes
    """What became of each inference, whatever its confidence."""
    within: Pairs
    """Pairs of one class that overlap enough."""
    matched: Pairs
    """Those that match within their class, whatever their confidence."""
    across: Pairs
    """Pairs of any classes that match by overlap; sure ones alone."""

    def outcomes(self) -> pl.DataFrame:
        """A row for each label and each sure inference, in the columns OUTCOMES."""
        pairs = self.matched.where(self.sure[self.matched.inference])
        met = np.zeros(len(self.labels), np.bool_)
        met[pairs.label] = True
        missed = np.flatnonzero(~met & ~self.labels.crowd)
        wrong = np.flatnonzero(self.sure & (self.became == FALSE))
        parts = [
            _beside(
                self._label(pairs.label), self._inference(pairs.inference)
            ).with_columns(
                outcome=pl.lit("TP"), iou=pl.Series(pairs.iou, dtype=pl.Float64)
            ),
            self._label(missed).with_columns(
                outcome=pl.lit("FN"), reason=pl.Series(self._why_missed()[missed])
            ),
            self._inference(wrong).with_columns(
                outcome=pl.lit("FP"), reason=pl.Series(self._why_wrong()[wrong])
            ),
            self._label(np.flatnonzero(self.labels.crowd)).with_columns(
                outcome=pl.lit("IGNORED")
            ),
            self._inference(
                np.flatnonzero(self.sure & (self.became == IGNORED))
            ).with_columns(outcome=pl.lit("IGNORED")),
        ]
        return in_order(parts, OUTCOMES, "class_name")

    def confusions(self) -> pl.DataFrame:
        """A row for each label that counts and each sure inference: CONFUSIONS.

        What matches nothing is beside BACKGROUND. Inferences on what is ignored
        are left out.
        """
        met, used = self._across_flags()
        missed = np.flatnonzero(~met & ~self.labels.crowd)
        wrong = np.flatnonzero(self.sure & ~used & (self.became != IGNORED))
        told = [
            frame.rename({"class_name": name})
            for frame, name in (
                (self._label(self.across.label), "label_class"),
                (self._inference(self.across.inference), "inference_class"),
                (self._label(missed), "label_class"),
                (self._inference(wrong), "inference_class"),
            )
        ]
        nothing = pl.lit(BACKGROUND)
        parts = [
            _beside(told[0], told[1]).with_columns(
                iou=pl.Series(self.across.iou, dtype=pl.Float64)
            ),
            told[2].with_columns(inference_class=nothing),
            told[3].with_columns(label_class=nothing),
        ]
        return in_order(parts, CONFUSIONS, "label_class")

    def _label(self, places: Ints) -> pl.DataFrame:
        return self.label_rows.select(*UNIT, "class_name", "label_id")[places]

    def _inference(self, places: Ints) -> pl.DataFrame:
        columns = (*UNIT, "class_name", "inference_id", "confidence")
        return self.inference_rows.select(columns)[places]

    def _across_flags(self) -> tuple[Flags, Flags]:
        met = np.zeros(len(self.labels), np.bool_)
        used = np.zeros(len(self.sure), np.bool_)
        met[self.across.label] = True
        used[self.across.inference] = True
        return met, used

    def _confused(self) -> Pairs:
        """Pairs across classes whose classes differ."""
        label = self.label_rows["class_name"].gather(self.across.label)
        inference = self.inference_rows["class_name"].gather(self.across.inference)
        return self.across.where((label != inference).to_numpy())

    def _why_missed(self) -> Texts:
        why = np.full(len(self.labels), "no inference", np.object_)
        why[self.within.label[self.sure[self.within.inference]]] = "taken"
        unsure = ~self.sure[self.matched.inference]
        why[self.matched.label[unsure]] = "low confidence"
        why[self._confused().label] = "other class"
        return why

    def _why_wrong(self) -> Texts:
        why = np.full(len(self.sure), "no label", np.object_)
        on_labels = ~self.labels.crowd[self.within.label]
        why[self.within.inference[on_labels]] = "duplicate"
        why[self._confused().inference] = "other class"
        return why


def _beside(label: pl.DataFrame, inference: pl.DataFrame) -> pl.DataFrame:
    """Matched rows as one; what both have is taken from the label."""
    extra = [name for name in inference.columns if name not in label.columns]
    return label.hstack(inference.select(extra))
