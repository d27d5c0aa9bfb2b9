"""Leakage: what a model was trained on and is tested on as well.

Frames of one side are searched for in the other: by their ids, by their image URLs,
by near vectors, and by a group, such as a patient, that both have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from lakehouse.model.problems import Problems
from lakehouse.similarity.corpus import Corpus
from lakehouse.similarity.duplicates import PAIR, near_pairs, same_images
from lakehouse.similarity.index import Metric
from lakehouse.similarity.query import check_distance, require_same_model
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
        """How much leaks, by reason.

        Returns:
            A row a reason: `reason` (frame_id, image_url, embedding, group), `pairs`
            (of groups: groups), and how many `frames` and `other_frames` are concerned.
        """
        conditions = (
            pl.col("same_frame_id"),
            pl.col("same_url"),
            pl.col("distance").is_not_null(),
        )
        rows = [
            _row(reason, self.pairs.filter(condition))
            for reason, condition in zip(_REASONS, conditions, strict=True)
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
        reasons = ", ".join(
            f"{row['reason']} {row['pairs']:,}"
            for row in self.summary().iter_rows(named=True)
            if row["pairs"]
        )
        return f"<Leakage {self.one} → {self.other}: {reasons or 'none'}>"


def leakage_between(
    one: Side, other: Side, *, threshold: float | None, by: str | None, metric: Metric
) -> Leakage:
    """What two sets of frames have in common; `Snapshot.leakage` has the arguments."""
    check_distance(threshold, metric)
    problems = Problems()
    for side in (one, other):
        _check_column(side, by, problems)
    problems.raise_if_any("These frames cannot be compared.")
    # The models matter only where vectors are compared.
    if threshold is not None:
        require_same_model(one.corpus.spec, one.where, other.corpus.spec, other.where)
    columns = ["frame_id", "image_url", *([by] if by else [])]
    # Two small columns of each side: all the rest of the comparison is joins of these.
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


def _check_column(side: Side, by: str | None, problems: Problems) -> None:
    known = side.frames.collect_schema().names()
    if by is None or by in known:
        return
    fields = ", ".join(name for name in known if name.startswith("user__"))
    problems.add(
        "by",
        rule="similarity.column",
        message=f"Frames of {side.where} have no column {by!r}.",
        hint=f"There are {fields}." if fields else "They have no metadata.",
    )
