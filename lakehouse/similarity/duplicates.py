"""Frames that are there twice, or nearly: one image, or vectors that are near."""

import polars as pl

from lakehouse.similarity.corpus import Corpus
from lakehouse.similarity.distances import Metric
from lakehouse.similarity.pairs import close_pairs, require_few
from lakehouse.storage import collect

__all__ = ["near_pairs", "pairs_of_frames", "same_images"]

PAIR = ["frame_id", "other_frame_id"]


def pairs_of_frames(
    frames: pl.LazyFrame, corpus: Corpus | None, threshold: float | None, metric: Metric
) -> pl.DataFrame:
    """Pairs of frames of one version that show the same, or nearly.

    Args:
        frames: Their `frame_id` and `image_url`.
        corpus: Their vectors; None looks at images alone.
        threshold: The greatest distance.
        metric: Which.

    Returns:
        `frame_id`, `other_frame_id`, `same_url`, `distance`: null unless near.
    """
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
    one: Corpus | None, other: Corpus | None, threshold: float | None, metric: Metric
) -> pl.DataFrame:
    """Pairs of frames whose vectors are near: `frame_id`, `other_frame_id`, `distance`.

    Args:
        one: Vectors; None for no pairs.
        other: Those of others; None for pairs among the first.
        threshold: The greatest distance; None for no pairs.
        metric: Which.
    """
    if one is None or threshold is None:
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
