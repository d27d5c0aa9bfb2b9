"""Frames that are there twice, or nearly: one image, or vectors that are near."""

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.model.problems import Problems
from lakehouse.similarity.corpus import Corpus, Doubles, Floats, Rows, Vectors
from lakehouse.similarity.index import Metric, between, unit
from lakehouse.similarity.query import distance_problems
from lakehouse.storage import collect

MOST_PAIRS: Final = 10_000_000
"""More pairs than that help nobody, and fill the memory."""

_BLOCK: Final = 4_096
_ROUNDING: Final = 2.0**-24
_FAR: Final = 1e30


class Pairs(NamedTuple):
    """Rows of two sets of vectors, and how far they are."""

    one: Rows
    other: Rows
    distances: Doubles


def close_pairs(
    one: Vectors, other: Vectors | None, threshold: float, metric: Metric
) -> Pairs:
    """The pairs whose distance is at most the threshold, by rows.

    Args:
        one: Vectors.
        other: Others of the same dimension; None for pairs among the first, each
            once, the lesser row first.
        threshold: The greatest distance.
        metric: Which.

    Raises:
        InvalidInputError: If there are more than `MOST_PAIRS`.
    """
    second = one if other is None else other
    left, right, scale = _lifted(one.matrix, second.matrix, metric)
    limit = -((threshold / scale) ** 2) / 2 if metric == "euclidean" else -threshold
    # No product of lifted rows is as small as that; and rounding leaves none out.
    least = np.float32(max(limit - _error(left, right), -_FAR))
    limit = np.nextafter(least, np.float32(-np.inf))
    found = [Pairs(np.array([], np.int64), np.array([], np.int64), np.array([]))]
    for top in range(0, len(left), _BLOCK):
        first = 0 if other is not None else top
        for start in range(first, len(right), _BLOCK):
            near = left[top : top + _BLOCK] @ right[start : start + _BLOCK].T >= limit
            if other is None and start == top:
                near = np.triu(near, 1)
            rows, others = (place.astype(np.int64) for place in np.nonzero(near))
            rows, others = rows + top, others + start
            near_by = _distances(one, second, rows, others, metric)
            kept = near_by <= threshold
            found.append(Pairs(rows[kept], others[kept], near_by[kept]))
            require_few(sum(len(part.one) for part in found), threshold)
    one_rows = np.concatenate([part.one for part in found])
    other_rows = np.concatenate([part.other for part in found])
    distances = np.concatenate([part.distances for part in found])
    order = np.lexsort((other_rows, one_rows))
    return Pairs(one_rows[order], other_rows[order], distances[order])


def nearest_seed(
    vectors: Floats, seeds: Floats, metric: Metric
) -> tuple[Rows, Doubles]:
    """For each vector the seed that is nearest, and how far it is.

    Of seeds that are equally near in single precision any may be told.

    Args:
        vectors: float32[vectors, dimension]
        seeds: float32[seeds, dimension], one at least.
        metric: Which distance.
    """
    left, right, _ = _lifted(vectors, seeds, metric)
    rows = [
        np.argmax(left[start : start + _BLOCK] @ right.T, axis=1)
        for start in range(0, len(left), _BLOCK)
    ]
    nearest = np.concatenate(rows).astype(np.int64) if rows else np.array([], np.int64)
    return nearest, between(vectors, seeds[nearest], metric)


def require_few(pairs: int, threshold: float | None = None) -> None:
    """Refuse to list what nobody could read.

    Raises:
        InvalidInputError: If there are more than `MOST_PAIRS` pairs.
    """
    if pairs <= MOST_PAIRS:
        return
    told = "have one image_url" if threshold is None else f"are within {threshold}"
    way = (
        "Filter the snapshot."
        if threshold is None
        else "Lower the threshold: snapshot.similar() shows which distances there are."
    )
    raise InvalidInputError(
        f"More than {MOST_PAIRS:,} pairs {told}. {way}", kind="similarity.pairs"
    )


def _distances(
    one: Vectors, other: Vectors, rows: Rows, others: Rows, metric: Metric
) -> Doubles:
    """The distances of pairs of rows, a block at a time."""
    parts = [
        between(
            one.matrix[rows[start : start + _BLOCK]],
            other.matrix[others[start : start + _BLOCK]],
            metric,
        )
        for start in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate(parts) if parts else np.array([], np.float64)


def _lifted(one: Floats, other: Floats, metric: Metric) -> tuple[Floats, Floats, float]:
    """Matrices whose product is −‖x−y‖²/2, or cosine − 1; and what x was divided by."""
    if metric == "cosine":
        left, right = (unit(part.astype(np.float64)) for part in (one, other))
        ones = np.ones
        return (
            np.column_stack([left, ones(len(left))]).astype(np.float32),
            np.column_stack([right, -ones(len(right))]).astype(np.float32),
            1.0,
        )
    # A power of two changes no digit, and keeps squares from running over.
    most = max(float(np.abs(part).max(initial=0.0)) for part in (one, other))
    scale = 2.0 ** np.ceil(np.log2(most)) if most > 0 else 1.0
    left, right = (part.astype(np.float64) / scale for part in (one, other))
    halves = [-np.einsum("ij,ij->i", part, part) / 2 for part in (left, right)]
    return (
        np.column_stack([left, halves[0], np.ones(len(left))]).astype(np.float32),
        np.column_stack([right, np.ones(len(right)), halves[1]]).astype(np.float32),
        float(scale),
    )


def _error(left: Floats, right: Floats) -> float:
    """The greatest rounding error of the product of two lifted matrices."""
    # Two more roundings: of the halves, and of unit vectors, to single precision.
    terms = (left.shape[1] + 4) * _ROUNDING
    longest = [
        np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64)).max(initial=0.0)
        for part in (left, right)
    ]
    return float(terms / (1.0 - terms) * longest[0] * longest[1])


PAIR = ["frame_id", "other_frame_id"]


def duplicate_frames(
    frames: pl.LazyFrame, corpus: Corpus, *, threshold: float | None, metric: Metric
) -> pl.DataFrame:
    """Pairs of frames of one version that show the same image, or nearly.

    Args:
        frames: Their `frame_id` and `image_url`.
        corpus: Their vectors.
        threshold: The greatest distance; None compares image URLs alone.
        metric: Which distance.

    Returns:
        `frame_id`, `other_frame_id`, `same_url`, `distance`: null unless near.

    Raises:
        InvalidInputError: If the threshold or the metric is no distance, or there are
            too many pairs to list.
    """
    Problems(distance_problems(threshold, metric)).raise_if_any()
    images = collect(frames.select("frame_id", "image_url"))
    found = same_images(images, images).filter(
        pl.col("frame_id") < pl.col("other_frame_id")
    )
    near = near_pairs(corpus, None, threshold, metric)
    return (
        found.with_columns(same_url=pl.lit(value=True))
        .join(near, on=PAIR, how="full", coalesce=True)
        .with_columns(pl.col("same_url").fill_null(value=False))
        .sort(PAIR)
        .select(*PAIR, "same_url", "distance")
    )


def same_images(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Pairs of frames that name the same image: `frame_id`, `other_frame_id`.

    Args:
        one: `frame_id` and `image_url`.
        other: The same of others.

    Raises:
        InvalidInputError: If there are too many to list.
    """
    counts = [
        rows.drop_nulls("image_url").group_by("image_url").len()
        for rows in (one, other)
    ]
    both = counts[0].join(counts[1], on="image_url", how="inner")
    require_few(int((both["len"].cast(pl.Int64) * both["len_right"]).sum()))
    others = other.select("image_url", other_frame_id="frame_id")
    return one.join(others, on="image_url", how="inner").select(PAIR)


def near_pairs(
    one: Corpus, other: Corpus | None, threshold: float | None, metric: Metric
) -> pl.DataFrame:
    """Pairs of frames whose vectors are near: `frame_id`, `other_frame_id`, `distance`.

    Args:
        one: Vectors.
        other: Those of others; None for pairs among the first.
        threshold: The greatest distance; None for no pairs.
        metric: Which.
    """
    if threshold is None:
        schema = dict.fromkeys(PAIR, pl.String()) | {"distance": pl.Float64()}
        return pl.DataFrame(schema=schema)
    first = one.part()
    second = None if other is None else other.part()
    pairs = close_pairs(first, second, threshold, metric)
    names = first.keys["frame_id"], (second or first).keys["frame_id"]
    return pl.DataFrame(
        {
            "frame_id": names[0][pairs.one],
            "other_frame_id": names[1][pairs.other],
            "distance": pairs.distances,
        },
        schema_overrides={"distance": pl.Float64},
    )
