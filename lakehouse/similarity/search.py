"""The search itself: exact where that is quick, approximate where it was not."""

import importlib.util
from typing import Final, Protocol

import numpy as np
import polars as pl

from lakehouse.similarity.corpus import Corpus
from lakehouse.similarity.distances import Found, nearest
from lakehouse.similarity.query import Query
from lakehouse.similarity.vectors import Floats, Rows

__all__ = ["Within", "search"]

LARGE: Final = 1 << 24
"""Numbers in all vectors together up to which a search is exact unless said."""

_LEAST_DIMENSION: Final = 32
"""Shorter vectors are compared quickly, and their codes are too coarse."""


class Within(Protocol):
    """A part of a version that is searched alone, such as a segment."""

    def keys_in(self, corpus: Corpus) -> pl.DataFrame:
        """The keys of what is searched.

        Raises:
            InvalidInputError: If it is not in the version as it should be.
        """
        ...


def search(
    corpus: Corpus, query: Query, *, within: Within | None, exact: bool | None
) -> pl.DataFrame:
    """The elements that resemble a query, nearest first; itself left out.

    Args:
        corpus: Where to search.
        query: What is looked for.
        within: Only this part of it.
        exact: True compares with every vector; None does so unless there are many
            and faiss is there; False wants faiss.

    Returns:
        The key, and `distance`.

    Raises:
        NotFoundError: If there are no vectors, or not the one in question.
        InvalidInputError: If the query cannot be compared, or the part is not as it
            should be.
        LakehouseError: If `exact=False` and faiss is not installed.
    """
    among = _among(corpus, within)
    vector, own = query.vector_in(corpus)
    wanted = query.k + (own is not None)
    found = _found(corpus, query, vector, wanted, among, exact=exact)
    others = found.rows != (-1 if own is None else own)
    rows, distances = found.rows[others][: query.k], found.distances[others][: query.k]
    keys: pl.DataFrame = corpus.vectors().keys[rows]
    return keys.with_columns(distance=pl.Series(distances, dtype=pl.Float64))


def _found(
    corpus: Corpus, query: Query, vector: Floats, k: int, among: Rows | None, *,
    exact: bool | None,
) -> Found:  # fmt: skip
    vectors = corpus.vectors()
    is_large = vectors.matrix.size > LARGE and _has_faiss()
    if not (is_large if exact is None else not exact):
        return nearest(vectors, vector, k, query.metric, among)
    from lakehouse.similarity.approximate import (  # noqa: PLC0415 - needs an extra
        looked_at,
        neighbours_of,
    )

    count, dimension = vectors.matrix.shape
    if (
        among is not None
        or dimension < _LEAST_DIMENSION
        or looked_at(count, k) >= count
    ):
        return nearest(vectors, vector, k, query.metric, among)
    return neighbours_of(vectors, query.metric).nearest(vectors, vector, k)


def _among(corpus: Corpus, within: Within | None) -> Rows | None:
    """The rows that are searched; None for all."""
    chosen = corpus.chosen_rows()
    if within is None:
        return chosen
    mine = corpus.rows_of(within.keys_in(corpus))
    return mine if chosen is None else np.intersect1d(mine, chosen)


def _has_faiss() -> bool:
    return importlib.util.find_spec("faiss") is not None
