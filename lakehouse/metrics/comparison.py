"""Two evaluations side by side: what differs, and which rows explain it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lakehouse.metrics.changes import changed_areas, changed_outcomes
from lakehouse.metrics.showing import as_html

_CAUSE: Final = (
    "item",
    "cause",
    "class_this",
    "class_other",
    "outcome_this",
    "outcome_other",
)

if TYPE_CHECKING:
    from lakehouse.metrics.result import Metrics

__all__ = ["Comparison"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """`this` and `other`; a delta is `other` less `this`. Made by `metrics.compare()`."""

    this: "Metrics"
    other: "Metrics"

    def summary(self) -> pl.DataFrame:
        """`metric`, `this`, `other`, `delta`, `meaning`: every figure of either."""
        theirs = self.other.summary().rename({"value": "other"})
        mine = self.this.summary().rename({"value": "this"})
        joined = _joined(mine, theirs, ["metric"])
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
        joined = _joined(sides[0], sides[1], ["class_name", "metric"])
        return joined.with_columns(delta=pl.col("other") - pl.col("this"))

    def frames(self) -> pl.DataFrame:
        """The frames whose figures differ, by id.

        Returns:
            `frame_id`, and for every figure of `per_frame()` it is in `this` and in
            `other`: `tp`, `tp_other`, …; null where the frame does not count.
        """
        mine, theirs = self.this.per_frame(), self.other.per_frame()
        joined = _joined(mine, theirs, ["frame_id"])
        figures = [name for name in mine.columns if name != "frame_id"]
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
        """What explains the difference, counted: the commonest first.

        Returns:
            `item`, `cause`, `class_this`, `class_other`, `outcome_this`,
            `outcome_other` and `count`, of the rows of `changes()`. Of masks there
            are none: pixels have no history.
        """
        rows = self.changes()
        if "cause" not in rows.columns:
            return pl.DataFrame(schema=dict.fromkeys((*_CAUSE, "count"), pl.String))
        counted = rows.group_by(_CAUSE).agg(count=pl.len())
        return counted.sort(
            "count", *_CAUSE, descending=[True, *(False for _ in _CAUSE)]
        )

    @property
    def notes(self) -> list[str]:
        """What a reader should know: whether both were asked the same."""
        pairs = {
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
            f"{name}: {mine} and {theirs}."
            for name, (mine, theirs) in pairs.items()
            if mine != theirs
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
        tables = [one.matches() for one in (self.this, self.other)]
        if "outcome" not in tables[0].columns:
            return changed_areas(*tables)
        both = [one.frames.select("frame_id") for one in (self.this, self.other)]
        shared = both[0].join(both[1], on="frame_id", how="semi")
        contents = [one.evidence.content() for one in (self.this, self.other)]
        return changed_outcomes(tables, contents, shared["frame_id"])

    def __repr__(self) -> str:
        return f"<Comparison of {self.this!r} with {self.other!r}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self), self.summary(), self.notes)


def _joined(mine: pl.DataFrame, theirs: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """All rows of either, in the order of the first."""
    return mine.join(
        theirs,
        on=on,
        how="full",
        coalesce=True,
        suffix="_other",
        maintain_order="left_right",
    )
