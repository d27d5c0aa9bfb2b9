"""What differs between two evaluations of one task, and what caused it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lakehouse.metrics.inputs import UNIT
from lakehouse.metrics.rendering import as_html
from lakehouse.model.labels import BOX

if TYPE_CHECKING:
    from lakehouse.metrics.result import Metrics

_SHAPE: Final = (*BOX, "polygons")

_CAUSE: Final = (
    "item",
    "cause",
    "class_this",
    "class_other",
    "outcome_this",
    "outcome_other",
)


@dataclass(frozen=True, repr=False)
class Comparison:
    """`this` and `other`; a delta is `other` less `this`. Made by `metrics.compare()`."""

    this: "Metrics"
    other: "Metrics"

    def summary(self) -> pl.DataFrame:
        """`metric`, `this`, `other`, `delta`, `meaning`: every figure of either."""
        joined = _full_join(
            self.this.summary().rename({"value": "this"}),
            self.other.summary().rename({"value": "other"}),
            ["metric"],
        )
        delta = (pl.col("other") - pl.col("this")).alias("delta")
        meaning = pl.coalesce("meaning", "meaning_other")
        return joined.select("metric", "this", "other", delta, meaning)

    def per_class(self) -> pl.DataFrame:
        """`class_name`, `metric`, `this`, `other`, `delta`: every figure of each class."""
        sides = [
            metrics.per_class()
            .unpivot(index="class_name", variable_name="metric", value_name=name)
            .with_columns(pl.col(name).cast(pl.Float64))
            for metrics, name in ((self.this, "this"), (self.other, "other"))
        ]
        # A class of one side alone stays, with nulls on the other.
        joined = _full_join(sides[0], sides[1], ["class_name", "metric"])
        return joined.with_columns(delta=pl.col("other") - pl.col("this"))

    def frames(self) -> pl.DataFrame:
        """The frames whose figures differ, by id.

        Returns:
            `frame_id`, and for every figure of `per_frame()` it is in `this` and in
            `other`: `tp`, `tp_other`, …; null where the frame does not count.
        """
        this = self.this.per_frame()
        joined = _full_join(this, self.other.per_frame(), ["frame_id"])
        figures = [name for name in this.columns if name != "frame_id"]
        # `ne_missing`, since null is a value here: the frame does not count on that
        # side.
        differ = pl.any_horizontal(
            pl.col(name).ne_missing(pl.col(f"{name}_other")) for name in figures
        )
        pairs = [column for name in figures for column in (name, f"{name}_other")]
        return joined.filter(differ).select("frame_id", *pairs).sort("frame_id")

    def changes(self) -> pl.DataFrame:
        """The labels and inferences whose outcome differs, and why.

        A label's cause is a change of the label where there is one (`label added`,
        `label removed`, `label class changed`, `label moved`, `label ignored`), else
        why it is missed in one of the two (see `Metrics.matches`). False positives
        are followed by the inference's id: `inference added`, `inference removed`,
        `inference class changed`, `inference moved`, else why it is one. A frame
        that counts in one of the two alone is the cause `frame left out`.

        Returns:
            `frame_id`, `item` (label or inference), `id`, `class_this`,
            `class_other`, `outcome_this`, `outcome_other`, `cause`; an outcome is
            null where there is none. Of masks: `frame_id`, `coordinate_frame`,
            `class_name`, `iou`, `iou_other`.
        """
        return self._changes

    def causes(self) -> pl.DataFrame:
        """What explains the difference, counted: the most frequent first.

        Returns:
            `item`, `cause`, `class_this`, `class_other`, `outcome_this`,
            `outcome_other` and `count`, of the rows of `changes()`. Of masks there
            are none: pixels have no history.
        """
        rows = self.changes()
        if "cause" not in rows.columns:
            return pl.DataFrame(schema=dict.fromkeys((*_CAUSE, "count"), pl.String))
        counts = rows.group_by(_CAUSE).agg(count=pl.len())
        return counts.sort(
            "count", *_CAUSE, descending=[True, *(False for _ in _CAUSE)]
        )

    @property
    def notes(self) -> list[str]:
        """What a reader should know: whether both were asked the same."""
        asked = {
            "labels of version": (
                self.this.source.get("labels"),
                self.other.source.get("labels"),
            ),
            **{
                name: (value, self.other.parameters.get(name))
                for name, value in self.this.parameters.items()
            },
        }
        return [
            f"{name}: {this} and {other}."
            for name, (this, other) in asked.items()
            if this != other
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as values that JSON knows."""
        return {
            "this": dict(self.this.source),
            "other": dict(self.other.source),
            "notes": self.notes,
            "summary": self.summary().to_dicts(),
            "per_class": self.per_class().to_dicts(),
            "causes": self.causes().to_dicts(),
        }

    @cached_property
    def _changes(self) -> pl.DataFrame:
        this, other = self.this, self.other
        tables = [this.matches(), other.matches()]
        # Masks have pixels, not outcomes.
        if "outcome" not in tables[0].columns:
            return _changed_areas(*tables)
        shared = this.frames.join(other.frames, on="frame_id", how="semi")
        contents = [this.evidence.content(), other.evidence.content()]
        return _changed_outcomes(tables, contents, shared["frame_id"])

    def __repr__(self) -> str:
        return f"<Comparison of {self.this!r} with {self.other!r}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self), self.summary(), self.notes)


def _full_join(this: pl.DataFrame, other: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """All rows of either, in the order of the first."""
    return this.join(
        other,
        on=on,
        how="full",
        coalesce=True,
        suffix="_other",
        maintain_order="left_right",
    )


# ------------------------- WHICH OUTCOMES DIFFER, AND WHY ----------------------- #


def _changed_outcomes(
    outcomes: Sequence[pl.DataFrame],
    contents: Sequence[tuple[pl.DataFrame, pl.DataFrame]],
    shared: pl.Series,
) -> pl.DataFrame:
    """Labels and false positives whose outcome differs.

    Args:
        outcomes: Of both, as OUTCOMES.
        contents: The labels and inferences of both, as they were evaluated.
        shared: The frames that count in both.
    """
    # A true positive is one row with both ids: it is among the labels and the inferences.
    labels = [rows.filter(pl.col("label_id").is_not_null()) for rows in outcomes]
    inferences = [
        rows.filter(
            pl.col("inference_id").is_not_null() & (pl.col("outcome") != "IGNORED")
        )
        for rows in outcomes
    ]
    parts = [
        _differing(labels, [content[0] for content in contents], "label", shared),
        _differing(
            inferences, [content[1] for content in contents], "inference", shared
        ).filter(
            (pl.col("outcome_this") == "FP").fill_null(value=False)
            | (pl.col("outcome_other") == "FP").fill_null(value=False)
        ),
    ]
    # Of a frame labels come first: "label" is behind "inference" in the alphabet.
    return pl.concat(parts).sort(
        "frame_id", "item", "id", descending=[False, True, False]
    )


def _differing(
    outcomes: Sequence[pl.DataFrame],
    contents: Sequence[pl.DataFrame],
    item: str,
    shared: pl.Series,
) -> pl.DataFrame:
    """Rows of one kind whose outcomes differ."""
    key = ["frame_id", f"{item}_id"]
    sides = [
        rows.select(*key, "outcome", "reason")
        # Full, since content without an outcome counts too: an inference below the
        # threshold is there on both sides, and was neither added nor removed.
        .join(_class_and_shape(content, key), on=key, how="full", coalesce=True)
        .rename(
            {name: f"{name}_{side}" for name in ("outcome", "reason", "class", "shape")}
        )
        for rows, content, side in zip(
            outcomes, contents, ("this", "other"), strict=True
        )
    ]
    joined = sides[0].join(sides[1], on=key, how="full", coalesce=True)
    differ = pl.col("outcome_this").ne_missing(pl.col("outcome_other"))
    return joined.filter(differ).select(
        "frame_id",
        pl.lit(item).alias("item"),
        pl.col(f"{item}_id").alias("id"),
        "class_this",
        "class_other",
        "outcome_this",
        "outcome_other",
        _cause(item, shared).alias("cause"),
    )


def _class_and_shape(content: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Class and geometry of each row, the geometry as a value to compare."""
    columns = [name for name in _SHAPE if name in content.columns]
    shape = pl.struct(columns) if columns else pl.lit("")
    return content.select(
        *key, pl.col("class_name").alias("class"), shape.alias("shape")
    )


def _cause(item: str, shared: pl.Series) -> pl.Expr:
    """The first thing that explains the difference.

    Changes of the content come first: where a label moved, the reason that matching
    gives ("no inference") is only what follows from it.
    """
    is_added = pl.col("class_this").is_null()
    is_removed = pl.col("class_other").is_null()
    is_ignored = [
        pl.col(f"outcome_{side}").eq_missing("IGNORED") for side in ("this", "other")
    ]
    not_counted = [pl.col(f"outcome_{side}").is_null() for side in ("this", "other")]
    return (
        pl.when(~pl.col("frame_id").is_in(shared.implode()))
        .then(pl.lit("frame left out"))
        .when(is_added)
        .then(pl.lit(f"{item} added"))
        .when(is_removed)
        .then(pl.lit(f"{item} removed"))
        .when(pl.col("class_this") != pl.col("class_other"))
        .then(pl.lit(f"{item} class changed"))
        .when(pl.col("shape_this").ne_missing(pl.col("shape_other")))
        .then(pl.lit(f"{item} moved"))
        .when(is_ignored[0] | is_ignored[1])
        .then(pl.lit(f"{item} ignored"))
        .when(not_counted[0] | not_counted[1])
        .then(pl.lit("low confidence"))
        .otherwise(pl.coalesce("reason_other", "reason_this"))
    )


def _changed_areas(this: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Frames and classes of masks whose IoU differs."""
    key = [*UNIT, "class_name"]
    sides = [rows.select(*key, "iou") for rows in (this, other)]
    joined = sides[0].join(sides[1], on=key, how="full", coalesce=True, suffix="_other")
    return joined.filter(pl.col("iou").ne_missing(pl.col("iou_other"))).sort(key)
