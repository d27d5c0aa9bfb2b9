"""What a search asks: which vector, how many neighbours, by which distance.

All that is wrong with it is told at once. Vectors of different models are never
compared: where both models are known they must be the same, and the dimension
must be the same in any case.
"""

import difflib
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError, Problem
from lakehouse.ledger.change_log import content
from lakehouse.merging.types import EmbeddingSpec
from lakehouse.model.contracts import Kind
from lakehouse.model.problems import Problems
from lakehouse.similarity.corpus import Corpus, Floats, Rows
from lakehouse.similarity.index import Found, Metric, looked_at, nearest, neighbours_of
from lakehouse.storage import collect
from lakehouse.types import ElementType

VectorLike = Sequence[float] | npt.NDArray[Any]
"""Numbers of one vector."""

_LEAD = "Nothing can be searched so."
_FEW = 10_000


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, as the caller gave it."""

    frame_id: str | None
    label_id: str | None
    vector: VectorLike | None
    model: str | None
    k: int
    metric: Metric

    def __post_init__(self) -> None:
        """Refuse what makes no sense, whatever is searched."""
        Problems(
            [
                *self._subject_faults(),
                *self._count_faults(),
                *metric_problems(self.metric),
            ]
        ).raise_if_any(lead=_LEAD)

    def element_type_in(self, kind: Kind) -> ElementType:
        """The type of what is searched for when the caller does not say it."""
        if self.label_id is None:
            return "frame"
        return "label" if kind == "dataset" else "inference"

    def vector_in(self, corpus: Corpus) -> tuple[Floats, int | None]:
        """The vector to search with, and its own row if it is one of the corpus.

        Raises:
            NotFoundError: If the element is not in the version, or has no vector.
            InvalidInputError: If a label id is of several frames, or the vector is of
                another dimension or model.
        """
        if self.vector is not None:
            given = np.asarray(self.vector, dtype=np.float32)
            said = EmbeddingSpec(len(given), self.model)
            require_same_model(said, "the vector given", corpus.spec, corpus.where)
            return given, None
        require_same_model(
            EmbeddingSpec(None, self.model), "the query", corpus.spec, corpus.where
        )
        named = {"frame_id": self.frame_id, "label_id": self.label_id}
        keys = {name: value for name, value in named.items() if value is not None}
        rows = corpus.rows_of(pl.DataFrame(keys))
        if not len(rows):
            raise self._unknown(corpus)
        if len(rows) > 1:
            frames = corpus.vectors().keys[rows]["frame_id"].head(5).to_list()
            raise InvalidInputError(
                f"Label {self.label_id!r} could be of any of {len(rows)} frames in "
                f"{corpus.where}: {frames}. Give frame_id= as well.",
                kind="element.ambiguous",
            )
        return corpus.vectors().matrix[rows[0]], int(rows[0])

    def _subject_faults(self) -> list[Problem]:
        by_id = self.frame_id is not None or self.label_id is not None
        if by_id == (self.vector is not None):
            told = "An id and a vector were given." if by_id else "Nothing was given."
            return [_fault("query", told, "Give frame_id=, label_id=, or vector=.")]
        if self.vector is None:
            return []
        if not all(_is_finite(number) for number in self.vector):
            told = "The vector has something that is no finite number."
            return [_fault("vector", told, "Send finite numbers only.")]
        return []

    def _count_faults(self) -> list[Problem]:
        k: Any = self.k
        if isinstance(k, int) and not isinstance(k, bool) and k > 0:
            return []
        return [
            _fault("k", f"{self.k!r} is no number of neighbours.", "Give 1 or more.")
        ]

    def _unknown(self, corpus: Corpus) -> NotFoundError:
        """The element is not there, or has no vector: which of the two, and why."""
        own = "frame_id" if self.label_id is None else "label_id"
        told = f"{corpus.element_type.capitalize()} {self.label_id or self.frame_id!r}"
        table = corpus.table.replace("_embeddings", "s")
        frames = None if self.frame_id is None else pl.Series([self.frame_id])
        there = collect(
            content(
                corpus.collection, table, corpus.read_version,
                keys=frames, columns=corpus.key,
            )
        )  # fmt: skip
        if there.filter(pl.col(own) == getattr(self, own)).height:
            return NotFoundError(
                f"{told} in {corpus.where} has no vector. dataset.modify() with a "
                "column `embedding` gives it one.",
                kind="embedding.missing",
            )
        known = corpus.vectors().keys.get_column(own).head(_FEW).to_list()
        near = difflib.get_close_matches(str(getattr(self, own)), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        return NotFoundError(
            f"{told} is not in {corpus.where}. {hint}".strip(), kind="element.unknown"
        )


def metric_problems(metric: object) -> list[Problem]:
    """What is wrong with the name of a distance.

    >>> [str(fault) for fault in metric_problems("cosin")]
    ["metric: 'cosin' is no distance. It is one of euclidean, cosine."]
    """
    known = get_args(Metric)
    if metric in known:
        return []
    hint = f"It is one of {', '.join(known)}."
    return [_fault("metric", f"{metric!r} is no distance.", hint)]


def distance_problems(threshold: Any, metric: object) -> list[Problem]:  # noqa: ANN401 - whatever was passed
    """What is wrong with a threshold of distances (None for no threshold), and a metric."""
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is None or (is_number and math.isfinite(threshold) and threshold >= 0):
        return metric_problems(metric)
    message = f"{threshold!r} is no distance."
    problem = _fault("threshold", message, "Give a number from 0 on, or none.")
    return [problem, *metric_problems(metric)]


def require_same_model(
    one: EmbeddingSpec, its: str, other: EmbeddingSpec, where: str
) -> None:
    """Refuse to compare vectors of different models.

    Args:
        one: Of some vectors; what is None is not known.
        its: What they are, in words.
        other: Of the others.
        where: Where the others are, in words.

    Raises:
        InvalidInputError: If the dimensions, or the models that are known, differ.
    """
    hint = "Only vectors of one model can be compared."
    faults = [
        _fault(
            "embedding",
            f"{its} {told} {mine!r}, {where} {told} {theirs!r}.",
            hint,
            rule,
        )
        for mine, theirs, told, rule in (
            (one.dimension, other.dimension, "has dimension", "embedding.dimension"),
            (one.model, other.model, "is of model", "embedding.model"),
        )
        if None not in {mine, theirs} and mine != theirs
    ]
    Problems(faults).raise_if_any(lead="These vectors cannot be compared.")


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float | np.number) and math.isfinite(float(number))


def _fault(
    path: str, message: str, hint: str, rule: str = "similarity.query"
) -> Problem:
    return Problem(None, None, path, rule, message, hint)


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
