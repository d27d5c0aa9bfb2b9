"""Frames that are there twice, or nearly: of one image URL, or with near vectors.

All pairs are compared. Vectors are *lifted* by two numbers each, so that one product
of matrices in single precision is the distance of every pair; those within its
rounding error of the threshold, or nearer, are measured in double precision.
"""

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.similarity.corpus import Corpus, Doubles, Floats, Rows, Vectors
from lakehouse.similarity.index import UNIT_ROUNDOFF_32, Metric, distances_of, unit
from lakehouse.similarity.query import check_distance
from lakehouse.storage import collect

PAIR: Final = ["frame_id", "other_frame_id"]

MOST_PAIRS: Final = 10_000_000
"""More pairs than that help nobody, and fill the memory."""

_BLOCK: Final = (
    4_096  # rows: a block of products is 64 MB, one of doubles for them 8 MB
)
_BEYOND_ALL: Final = 1e30  # no product of lifted rows, which are scaled, is as small


# ----------------------------------- FRAMES --------------------------------- #


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
    check_distance(threshold, metric)
    images = collect(frames.select("frame_id", "image_url"))
    # Every pair once, and no frame with itself.
    same = same_images(images, images).filter(
        pl.col("frame_id") < pl.col("other_frame_id")
    )
    near = near_pairs(corpus, None, threshold, metric)
    return (
        same.with_columns(same_url=pl.lit(value=True))
        .join(near, on=PAIR, how="full", coalesce=True)
        .with_columns(pl.col("same_url").fill_null(value=False))
        .sort(PAIR)
        .select(*PAIR, "same_url", "distance")
    )


def same_images(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Pairs of frames with the same image URL: `frame_id`, `other_frame_id`.

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
    # Counted before they are made: one URL of 100,000 frames is 10 billion pairs.
    both = counts[0].join(counts[1], on="image_url", how="inner")
    require_few(int((both["len"].cast(pl.Int64) * both["len_right"]).sum()))
    others = other.select("image_url", other_frame_id="frame_id")
    return one.join(others, on="image_url", how="inner").select(PAIR)


def near_pairs(
    one: Corpus, other: Corpus | None, threshold: float | None, metric: Metric
) -> pl.DataFrame:
    """Pairs of frames whose vectors are near: `frame_id`, `other_frame_id`, `distance`.

    Args:
        one: Vectors of frames.
        other: Vectors of other frames; None for pairs within the first.
        threshold: The greatest distance; None for no pairs.
        metric: Which distance.
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


# ---------------------------------- VECTORS --------------------------------- #


class Pairs(NamedTuple):
    """Pairs of rows of two sets of vectors, and their distances, by index."""

    one: Rows
    other: Rows
    distances: Doubles


def close_pairs(
    one: Vectors, other: Vectors | None, threshold: float, metric: Metric
) -> Pairs:
    """The pairs whose distance is at most the threshold, by rows.

    Args:
        one: Vectors.
        other: Others of the same dimension; None for pairs within the first, each
            once, the lesser row first.
        threshold: The greatest distance.
        metric: Which distance.

    Raises:
        InvalidInputError: If there are more than `MOST_PAIRS`.
    """
    second = one if other is None else other
    left, right, scale = _lifted(one.matrix, second.matrix, metric)
    limit = -((threshold / scale) ** 2) / 2 if metric == "euclidean" else -threshold
    # The least product of a near pair, lowered by the error of products, and by one
    # step of float32 for its own rounding: a pair too many is measured and dropped,
    # one too few would be missing.
    least = np.float32(max(limit - _product_error(left, right), -_BEYOND_ALL))
    least = np.nextafter(least, np.float32(-np.inf))
    parts = [Pairs(np.array([], np.int64), np.array([], np.int64), np.array([]))]
    for top in range(0, len(left), _BLOCK):
        # Within one set the blocks below the diagonal would give each pair again.
        first = 0 if other is not None else top
        for start in range(first, len(right), _BLOCK):
            near = left[top : top + _BLOCK] @ right[start : start + _BLOCK].T >= least
            if other is None and start == top:
                near = np.triu(near, 1)
            rows, others = (axis.astype(np.int64) for axis in np.nonzero(near))
            rows, others = rows + top, others + start
            distances = _distances(one, second, rows, others, metric)
            is_near = distances <= threshold
            parts.append(Pairs(rows[is_near], others[is_near], distances[is_near]))
            require_few(sum(len(part.one) for part in parts), threshold)
    one_rows = np.concatenate([part.one for part in parts])
    other_rows = np.concatenate([part.other for part in parts])
    all_distances = np.concatenate([part.distances for part in parts])
    order = np.lexsort((other_rows, one_rows))
    return Pairs(one_rows[order], other_rows[order], all_distances[order])


def nearest_seed(
    vectors: Floats, seeds: Floats, metric: Metric
) -> tuple[Rows, Doubles]:
    """For each vector the seed that is nearest, and how far it is.

    Of seeds that are equally near in single precision it may be any.

    Args:
        vectors: `float32[vectors, dimension]`
        seeds: `float32[seeds, dimension]`, one at least.
        metric: Which distance.

    Returns:
        The row of the seed and the distance, of each vector.
    """
    left, right, _ = _lifted(vectors, seeds, metric)
    rows = [
        np.argmax(left[start : start + _BLOCK] @ right.T, axis=1)
        for start in range(0, len(left), _BLOCK)
    ]
    nearest = np.concatenate(rows).astype(np.int64) if rows else np.array([], np.int64)
    return nearest, distances_of(vectors, seeds[nearest], metric)


def require_few(pairs: int, threshold: float | None = None) -> None:
    """Refuse a list of pairs that is too long to be read.

    Raises:
        InvalidInputError: If there are more than `MOST_PAIRS` pairs.
    """
    if pairs <= MOST_PAIRS:
        return
    if threshold is None:
        message = f"More than {MOST_PAIRS:,} pairs have one image_url."
        hint = "Filter the snapshot."
    else:
        message = f"More than {MOST_PAIRS:,} pairs are within {threshold}."
        hint = (
            "Lower the threshold: snapshot.similar() shows which distances there are."
        )
    raise InvalidInputError(f"{message} {hint}", kind="similarity.pairs")


def _distances(
    one: Vectors, other: Vectors, rows: Rows, others: Rows, metric: Metric
) -> Doubles:
    """The distances of pairs of rows, a block at a time."""
    parts = [
        distances_of(
            one.matrix[rows[start : start + _BLOCK]],
            other.matrix[others[start : start + _BLOCK]],
            metric,
        )
        for start in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate(parts) if parts else np.array([], np.float64)


def _lifted(one: Floats, other: Floats, metric: Metric) -> tuple[Floats, Floats, float]:
    """Matrices whose product is -|x-y|²/2, or cosine - 1; and what x was divided by.

    They are `float32[vectors, dimension + 2]`, or one column more for cosine:
    -|x-y|²/2 is x·y with -|x|²/2 times 1, and 1 times -|y|²/2, added.
    """
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


def _product_error(left: Floats, right: Floats) -> float:
    """The greatest rounding error of the product of two lifted matrices."""
    # Two more roundings: of the halves, and of unit vectors, to single precision.
    terms = (left.shape[1] + 4) * UNIT_ROUNDOFF_32
    longest = [
        np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64)).max(initial=0.0)
        for part in (left, right)
    ]
    return float(terms / (1.0 - terms) * longest[0] * longest[1])
