"""Leakage: what a model is tested on, and was trained on as well.

Frames of one side are looked for in the other: by their ids, by their images, by
vectors that are near, and by a group, such as a patient, that both have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from lakehouse.errors import Problem
from lakehouse.model.problems import Problems
from lakehouse.similarity.corpus import Corpus
from lakehouse.similarity.duplicates import PAIR, near_pairs, same_images
from lakehouse.similarity.index import Metric
from lakehouse.similarity.query import distance_problems, require_same_model
from lakehouse.storage import collect

_REASONS: Final = ("frame_id", "image_url", "embedding")


@dataclass(frozen=True, slots=True)
class Side:
    """One of two sets of frames."""

    frames: pl.LazyFrame
    corpus: Corpus
    """The vectors of these frames."""

    @property
    def where(self) -> str:
        """The version that the frames are of, in words."""
        return self.corpus.where


@dataclass(frozen=True, slots=True)
class Leakage:
    """What two sets of frames have in common. Made by `snapshot.leakage(other)`."""

    one: str
    """The first set, in words."""
    other: str
    """The second."""
    counts: Mapping[str, int]
    """Frames of `one` and of `other`."""
    pairs: pl.DataFrame = field(repr=False)
    """A row a pair: `frame_id`, `other_frame_id`, `same_frame_id`, `same_url`,
    `distance` (null unless near)."""
    groups: pl.DataFrame = field(repr=False)
    """A row a group that both have: `group`, `frames`, `other_frames`."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is in both."""
        return not self.pairs.height and not self.groups.height

    def summary(self) -> pl.DataFrame:
        """How much leaks, and why.

        Returns:
            A row a reason: `reason` (frame_id, image_url, embedding, group), `pairs`
            (of groups: groups), and how many `frames` and `other_frames` are concerned.
        """
        held = (
            pl.col("same_frame_id"),
            pl.col("same_url"),
            pl.col("distance").is_not_null(),
        )
        rows = [
            _row(reason, self.pairs.filter(condition))
            for reason, condition in zip(_REASONS, held, strict=True)
        ]
        sums = {name: self.groups[name].sum() for name in ("frames", "other_frames")}
        rows.append({"reason": "group", "pairs": self.groups.height, **sums})
        return pl.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "one": self.one,
            "other": self.other,
            "counts": dict(self.counts),
            "is_clean": self.is_clean,
            "summary": self.summary().to_dicts(),
        }

    def __repr__(self) -> str:
        told = ", ".join(
            f"{row['reason']} {row['pairs']:,}"
            for row in self.summary().iter_rows(named=True)
            if row["pairs"]
        )
        return f"<Leakage {self.one} → {self.other}: {told or 'none'}>"


def leakage_between(
    one: Side, other: Side, *, threshold: float | None, by: str | None, metric: Metric
) -> Leakage:
    """What two sets of frames have in common; `Snapshot.leakage` has the arguments."""
    Problems(distance_problems(threshold, metric)).raise_if_any()
    Problems(
        [fault for side in (one, other) for fault in _column_faults(side, by)]
    ).raise_if_any(lead="These frames cannot be compared so.")
    if threshold is not None:
        require_same_model(one.corpus.spec, one.where, other.corpus.spec, other.where)
    columns = ["frame_id", "image_url", *([by] if by else [])]
    first, second = (collect(side.frames.select(columns)) for side in (one, other))
    return Leakage(
        one.where,
        other.where,
        {"one": first.height, "other": second.height},
        _pairs(first, second, near_pairs(one.corpus, other.corpus, threshold, metric)),
        _groups(first, second, by),
    )


def _pairs(one: pl.DataFrame, other: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """All pairs, each once, with every reason that it is one."""
    same = one.select("frame_id").join(other.select("frame_id"), on="frame_id")
    same = same.with_columns(
        other_frame_id="frame_id", same_frame_id=pl.lit(value=True)
    )
    urls = same_images(one, other).with_columns(same_url=pl.lit(value=True))
    return (
        same.join(urls, on=PAIR, how="full", coalesce=True)
        .join(near, on=PAIR, how="full", coalesce=True)
        .with_columns(pl.col("same_frame_id", "same_url").fill_null(value=False))
        .sort(PAIR)
        .select(*PAIR, "same_frame_id", "same_url", "distance")
    )


def _groups(one: pl.DataFrame, other: pl.DataFrame, by: str | None) -> pl.DataFrame:
    if by is None:
        schema = {"group": pl.String, "frames": pl.UInt32, "other_frames": pl.UInt32}
        return pl.DataFrame(schema=schema)
    sides = [
        rows.drop_nulls(by).group_by(group=by).len(name)
        for rows, name in ((one, "frames"), (other, "other_frames"))
    ]
    return sides[0].join(sides[1], on="group", how="inner").sort("group")


def _row(reason: str, pairs: pl.DataFrame) -> dict[str, Any]:
    return {
        "reason": reason,
        "pairs": pairs.height,
        "frames": pairs["frame_id"].n_unique(),
        "other_frames": pairs["other_frame_id"].n_unique(),
    }


def _column_faults(side: Side, by: str | None) -> list[Problem]:
    known = side.frames.collect_schema().names()
    if by is None or by in known:
        return []
    told = f"Frames of {side.where} have no column {by!r}."
    fields = ", ".join(name for name in known if name.startswith("user__"))
    hint = f"There are {fields}." if fields else "They have no metadata."
    return [Problem(None, None, "by", "similarity.column", told, hint)]
