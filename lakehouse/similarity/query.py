"""A search: which vector, how many neighbours, by which distance, and the answer.

All that is wrong with a query is reported at once. Vectors of different models are
never compared: where both models are known they must be the same, and the dimension
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

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.change_log import content
from lakehouse.merging.types import EmbeddingSpec
from lakehouse.model.contracts import Kind
from lakehouse.model.problems import Problems
from lakehouse.similarity.corpus import Corpus, Floats, Rows
from lakehouse.similarity.index import (
    Metric,
    Neighbours,
    index_of,
    measured_count,
    nearest,
)
from lakehouse.storage import collect
from lakehouse.types import ElementType

VectorLike = Sequence[float] | npt.NDArray[Any]
"""Numbers of one vector."""

NUMBERS_WITHOUT_INDEX: Final = 1 << 24
"""Numbers in all vectors together (64 MB) up to which a search is exact by default:
three times as many take 45 ms a query, and an index of them 5 to 13 s to make."""

LEAST_INDEXED_DIMENSION: Final = 32
"""Shorter vectors are compared quickly, and their codes are too coarse."""

_IDS_COMPARED_FOR_A_HINT: Final = 10_000  # difflib compares them one by one


class Within(Protocol):
    """A part of a version that is searched alone, such as a segment."""

    def keys_in(self, corpus: Corpus) -> pl.DataFrame:
        """The keys of what is searched.

        Raises:
            InvalidInputError: If it is not in the version as it should be.
        """
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, as the caller gave it."""

    frame_id: str | None
    label_id: str | None
    vector: VectorLike | None
    model: str | None
    k: int
    metric: Metric

    def __post_init__(self) -> None:
        """Refuse what is wrong with any version."""
        problems = Problems()
        self._check_subject(problems)
        k: Any = self.k
        if not isinstance(k, int) or isinstance(k, bool) or k <= 0:
            _add(problems, "k", f"{k!r} is no number of neighbours.", "Give 1 or more.")
        check_metric(self.metric, problems)
        problems.raise_if_any("This search is not possible.")

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
            vector = np.asarray(self.vector, dtype=np.float32)
            spec = EmbeddingSpec(len(vector), self.model)
            require_same_model(spec, "the vector given", corpus.spec, corpus.where)
            return vector, None
        require_same_model(
            EmbeddingSpec(None, self.model), "the query", corpus.spec, corpus.where
        )
        ids = {"frame_id": self.frame_id, "label_id": self.label_id}
        keys = {name: value for name, value in ids.items() if value is not None}
        rows = corpus.rows_of(pl.DataFrame(keys))
        if not len(rows):
            raise self._missing_element(corpus)
        if len(rows) > 1:
            frames = corpus.vectors().keys[rows]["frame_id"].head(5).to_list()
            raise InvalidInputError(
                f"Label {self.label_id!r} could be of any of {len(rows)} frames in "
                f"{corpus.where}: {frames}. Give frame_id= as well.",
                kind="element.ambiguous",
            )
        return corpus.vectors().matrix[rows[0]], int(rows[0])

    def _check_subject(self, problems: Problems) -> None:
        by_id = self.frame_id is not None or self.label_id is not None
        if by_id == (self.vector is not None):
            message = (
                "An id and a vector were given." if by_id else "Nothing was given."
            )
            _add(problems, "query", message, "Give frame_id=, label_id=, or vector=.")
        elif self.vector is not None and not all(map(_is_finite, self.vector)):
            message = "The vector has something that is no finite number."
            _add(problems, "vector", message, "Send finite numbers only.")

    def _missing_element(self, corpus: Corpus) -> NotFoundError:
        """The element is not there, or has no vector: which of the two, and a hint."""
        own = "frame_id" if self.label_id is None else "label_id"
        own_id = self.frame_id if self.label_id is None else self.label_id
        element = f"{corpus.element_type.capitalize()} {own_id!r}"
        table = corpus.table.replace("_embeddings", "s")
        frames = None if self.frame_id is None else pl.Series([self.frame_id])
        existing = collect(
            content(
                corpus.collection, table, corpus.read_version,
                keys=frames, columns=corpus.key,
            )
        )  # fmt: skip
        if existing.filter(pl.col(own) == own_id).height:
            return NotFoundError(
                f"{element} in {corpus.where} has no vector. dataset.modify() with a "
                "column `embedding` gives it one.",
                kind="embedding.missing",
            )
        ids = corpus.vectors().keys.get_column(own).head(_IDS_COMPARED_FOR_A_HINT)
        near = difflib.get_close_matches(str(own_id), ids.to_list(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        return NotFoundError(
            f"{element} is not in {corpus.where}. {hint}".strip(),
            kind="element.unknown",
        )


# ---------------------------------- SEARCH ---------------------------------- #


def search(
    corpus: Corpus, query: Query, *, within: Within | None, exact: bool | None
) -> pl.DataFrame:
    """The elements that resemble a query, nearest first; itself left out.

    Args:
        corpus: Where to search.
        query: What is searched for.
        within: Only this part of it.
        exact: True compares with every vector; None does so unless there are many
            and faiss is there; False requires faiss.

    Returns:
        The key, and `distance`.

    Raises:
        NotFoundError: If there are no vectors, or not the one in question.
        InvalidInputError: If the query cannot be compared, or the part is not as it
            should be.
        LakehouseError: If `exact=False` and faiss is not installed.
    """
    only = _rows_within(corpus, within)
    vector, own_row = query.vector_in(corpus)
    k = query.k + (own_row is not None)
    neighbours = _neighbours(corpus, vector, k, query.metric, only, exact=exact)
    is_other = neighbours.rows != (-1 if own_row is None else own_row)
    rows = neighbours.rows[is_other][: query.k]
    distances = neighbours.distances[is_other][: query.k]
    keys: pl.DataFrame = corpus.vectors().keys[rows]
    return keys.with_columns(distance=pl.Series(distances, dtype=pl.Float64))


def _neighbours(
    corpus: Corpus, vector: Floats, k: int, metric: Metric, only: Rows | None, *,
    exact: bool | None,
) -> Neighbours:  # fmt: skip
    vectors = corpus.vectors()
    is_large = vectors.matrix.size > NUMBERS_WITHOUT_INDEX and _has_faiss()
    is_exact = not is_large if exact is None else exact
    count, dimension = vectors.matrix.shape
    # An index is of all vectors of a version; a part is searched exactly. So is what
    # would be measured entirely anyway.
    if (
        is_exact
        or only is not None
        or dimension < LEAST_INDEXED_DIMENSION
        or measured_count(count, k) >= count
    ):
        return nearest(vectors, vector, k, metric, only)
    return index_of(vectors, metric).nearest(vectors, vector, k)


def _rows_within(corpus: Corpus, within: Within | None) -> Rows | None:
    """The rows that are searched, ascending; None for all."""
    chosen = corpus.chosen_rows()
    if within is None:
        return chosen
    rows = corpus.rows_of(within.keys_in(corpus))
    return rows if chosen is None else np.intersect1d(rows, chosen)


def _has_faiss() -> bool:
    return importlib.util.find_spec("faiss") is not None


# ---------------------------------- CHECKS ---------------------------------- #


def check_metric(metric: object, problems: Problems) -> None:
    """The name of a distance is known.

    >>> problems = Problems()
    >>> check_metric("cosin", problems)
    >>> [str(problem) for problem in problems]
    ["metric: 'cosin' is no distance. It is one of euclidean, cosine."]
    """
    known = get_args(Metric)
    if metric not in known:
        hint = f"It is one of {', '.join(known)}."
        _add(problems, "metric", f"{metric!r} is no distance.", hint)


def check_distance(threshold: Any, metric: object) -> None:  # noqa: ANN401 - whatever was passed
    """A threshold is a distance, or None for no threshold; its metric is known.

    Raises:
        InvalidInputError: If one of them is not.
    """
    problems = Problems()
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    is_valid = is_number and math.isfinite(threshold) and threshold >= 0
    if threshold is not None and not is_valid:
        message = f"{threshold!r} is no distance."
        _add(problems, "threshold", message, "Give a number from 0 on, or none.")
    check_metric(metric, problems)
    problems.raise_if_any("These frames cannot be compared.")


def require_same_model(
    one: EmbeddingSpec, one_name: str, other: EmbeddingSpec, other_name: str
) -> None:
    """Refuse to compare vectors of different models.

    Args:
        one: Of some vectors; what is None is not known.
        one_name: What they are, in words.
        other: Of the others.
        other_name: What they are, in words.

    Raises:
        InvalidInputError: If the dimensions, or the models that are known, differ.
    """
    problems = Problems()
    for value, other_value, verb, rule in (
        (one.dimension, other.dimension, "has dimension", "embedding.dimension"),
        (one.model, other.model, "is of model", "embedding.model"),
    ):
        if None not in {value, other_value} and value != other_value:
            _add(
                problems,
                "embedding",
                f"{one_name} {verb} {value!r}, {other_name} {verb} {other_value!r}.",
                "Only vectors of one model can be compared.",
                rule,
            )
    problems.raise_if_any("These vectors cannot be compared.")


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float | np.number) and math.isfinite(float(number))


def _add(
    problems: Problems,
    path: str,
    message: str,
    hint: str,
    rule: str = "similarity.query",
) -> None:
    problems.add(path, rule=rule, message=message, hint=hint)
