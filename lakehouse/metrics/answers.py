"""A classifier's answers beside the truth, image by image."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from lakehouse.metrics.classification import Classification
from lakehouse.metrics.counting import BACKGROUND, CONFUSIONS, OUTCOMES, in_order
from lakehouse.metrics.tables import UNIT

__all__ = ["Answers"]

_PAIR: Final = ["image", "class_name"]
_SURE: Final = [False, True, False]


@dataclass(frozen=True)
class Answers:
    """Labels and inferences, by image."""

    places: pl.DataFrame
    """`image` and its UNIT, sorted."""
    truth: pl.DataFrame
    """Labels that count, with `image`."""
    inferences: pl.DataFrame
    """With `image` and `inference_id`."""
    ignored: pl.DataFrame
    """Labels that are ignored, with `image`."""
    classes: tuple[str, ...]
    several: bool
    """Whether an image may have several labels."""
    negative: str | None
    """What an image without an answer is called."""
    confidence: float

    @cached_property
    def scores(self) -> pl.DataFrame:
        """The surest inference of each image and class; ties by id."""
        order = [*_PAIR, "confidence", "inference_id"]
        ordered = self.inferences.sort(order, descending=[False, False, True, False])
        return ordered.unique(_PAIR, keep="first", maintain_order=True)

    @cached_property
    def answers(self) -> pl.DataFrame:
        """What the model says: `image`, `class_name`, `inference_id`, `confidence`."""
        columns = [*_PAIR, "inference_id", "confidence"]
        sure = self.scores.filter(pl.col("confidence") >= self.confidence).select(
            columns
        )
        if self.several:
            return sure.join(self.ignored, on=_PAIR, how="anti")
        rank = pl.col("class_name").cast(pl.Enum(self.classes)).to_physical()
        best = sure.sort("image", "confidence", rank, descending=_SURE).unique(
            "image", keep="first", maintain_order=True
        )
        if self.negative is None:
            return best
        silent = self.places.join(best, on="image", how="anti").select(
            "image", pl.lit(self.negative).alias("class_name")
        )
        return pl.concat([best, silent], how="diagonal")

    def outcomes(self) -> pl.DataFrame:
        """Answers and labels of each class: TP, FP, FN, IGNORED."""
        told = self.truth.select(*_PAIR, "label_id", is_label=True)
        said = self.answers.with_columns(is_answer=True)
        joined = told.join(said, on=_PAIR, how="full", coalesce=True)
        met, answered = (
            pl.col("is_label").is_not_null(),
            pl.col("is_answer").is_not_null(),
        )
        weak = self.scores.select(*_PAIR, is_weak=True)
        others = self.answers.select("image", has_answer=True).unique()
        judged = (
            joined.join(weak, on=_PAIR, how="left")
            .join(others, on="image", how="left")
            .with_columns(
                outcome=pl.when(met & answered)
                .then(pl.lit("TP"))
                .when(met)
                .then(pl.lit("FN"))
                .otherwise(pl.lit("FP"))
            )
            .with_columns(reason=self._reason())
        )
        return in_order(
            [self._placed(judged), *self._set_aside()], OUTCOMES, "class_name"
        )

    def confusions(self) -> pl.DataFrame:
        """Each label beside the answer for its image."""
        if self.several:
            rows = self.outcomes().filter(pl.col("outcome") != "IGNORED")
            wrong, missed = (pl.col("outcome") == name for name in ("FP", "FN"))
            name, nothing = pl.col("class_name"), pl.lit(BACKGROUND)
            beside = rows.with_columns(
                label_class=pl.when(wrong).then(nothing).otherwise(name),
                inference_class=pl.when(missed).then(nothing).otherwise(name),
            )
        else:
            said = self.answers.rename({"class_name": "inference_class"})
            beside = self._placed(
                self.truth.select(
                    "image", pl.col("class_name").alias("label_class"), "label_id"
                )
                .join(said, on="image", how="left")
                .with_columns(pl.col("inference_class").fill_null(BACKGROUND))
            )
        return in_order([beside], CONFUSIONS, "label_class")

    def held(
        self, frames: pl.DataFrame, rows: tuple[pl.DataFrame, pl.DataFrame]
    ) -> Classification:
        """All of it, to be asked for figures.

        Args:
            frames: The frames that count.
            rows: Labels and inferences as they came.
        """
        outcomes = self.outcomes()
        wrong = outcomes.filter(pl.col("outcome").is_in(["FP", "FN"])).select(UNIT)
        right = self.places.join(
            wrong.unique().with_columns(right=False),
            on=UNIT,
            how="left",
            maintain_order="left",
        )
        return Classification(
            classes=self.classes,
            positive=None if self.negative is None else self.classes[-1],
            frames=frames,
            images=right.select(*UNIT, pl.col("right").fill_null(value=True)),
            truth=self.truth.select(_PAIR),
            scores=self.scores.select(*_PAIR, "confidence"),
            ignored=self.ignored.select(_PAIR),
            outcomes=outcomes,
            confusions=self.confusions(),
            rows=rows,
        )

    def _reason(self) -> pl.Expr:
        """Why an outcome is FP or FN."""
        missed, wrong = (pl.col("outcome") == name for name in ("FN", "FP"))
        other = pl.lit("no label" if self.several else "other class")
        answered = pl.lit(not self.several) & pl.col("has_answer").is_not_null()
        return (
            pl.when(missed & answered)
            .then(pl.lit("other class"))
            .when(missed & pl.col("is_weak").is_not_null())
            .then(pl.lit("low confidence"))
            .when(missed)
            .then(pl.lit("no inference"))
            .when(wrong)
            .then(other)
        )

    def _set_aside(self) -> list[pl.DataFrame]:
        """Ignored labels, and answers of their classes."""
        if not self.several:
            return []
        sure = self.scores.filter(pl.col("confidence") >= self.confidence)
        said = sure.join(self.ignored, on=_PAIR, how="semi")
        aside = pl.lit("IGNORED")
        return [rows.with_columns(outcome=aside) for rows in (self.ignored, said)]

    def _placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(self.places, on="image", how="left")
