"""What a version can be asked about its vectors: the part of a snapshot that searches."""

import math
from abc import ABC, abstractmethod
from typing import Any

import polars as pl

from lakehouse.errors import Problem
from lakehouse.ledger.collection import Collection
from lakehouse.model.problems import raise_if_any
from lakehouse.similarity.corpus import Corpus
from lakehouse.similarity.duplicates import pairs_of_frames
from lakehouse.similarity.index import Metric
from lakehouse.similarity.leakage import Leakage, Side, leakage_between
from lakehouse.similarity.query import Query, VectorLike, Within, metric_faults, search
from lakehouse.types import ElementType


class Searchable(ABC):
    """A version, or a part of one, with vectors of its frames and labels."""

    __slots__ = ()

    collection: Collection

    @abstractmethod
    def corpus(self, element_type: ElementType) -> Corpus:
        """The vectors of its frames, labels or inferences, as `similar` searches them.

        Raises:
            InvalidInputError: If it holds none of these.
        """

    @abstractmethod
    def frames(self, *, provenance: bool = False) -> pl.LazyFrame:
        """The frames, one row each."""

    def similar(
        self,
        *,
        frame_id: str | None = None,
        label_id: str | None = None,
        vector: VectorLike | None = None,
        k: int = 10,
        metric: Metric = "euclidean",
        element_type: ElementType | None = None,
        model: str | None = None,
        within: Within | None = None,
        exact: bool | None = None,
    ) -> pl.DataFrame:
        """The frames, or labels, whose vectors are nearest to one; itself left out.

        Args:
            frame_id: A frame of this version; with `label_id` the label's.
            label_id: A label of this version; alone where only one frame has it.
            vector: Any vector of the model that the version's are of.
            k: How many neighbours.
            metric: `euclidean`, or `cosine`: one minus the cosine of the angle.
            element_type: What a `vector` is compared with: `frame` when left out,
                `label`, or `inference`.
            model: What the vector is made with; refused if the version's are not.
            within: A segment: only its elements are searched.
            exact: True compares with every vector, which is what happens when left
                out too, unless there are many and faiss is installed. False wants
                faiss: a neighbour may be missing, and distances are true.

        Returns:
            `frame_id`, `label_id` (not of frames) and `distance`, nearest first.

        Raises:
            NotFoundError: If there is no such element, or it has no vector.
            InvalidInputError: If the vector is of another dimension or model, or
                elements of the segment are not in this version as they were added.
            LakehouseError: If `exact=False` and faiss is not installed.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("cells", classes=["cell"]).create_dataset(
        ...     "hela"
        ... )
        >>> rows = [
        ...     {"frame_id": f"f{n}", "image_url": "a.png", "embedding": [n, 0.0]}
        ...     for n in (1, 2, 4)
        ... ]
        >>> upload = dataset.add(rows)
        >>> dataset.latest().similar(frame_id="f1", k=2).rows()
        [('f2', 1.0), ('f4', 3.0)]
        """
        query = Query(frame_id, label_id, vector, model, k, metric)
        if element_type is None:
            is_dataset = self.collection.layout.kind == "dataset"
            of_labels: ElementType = "label" if is_dataset else "inference"
            element_type = "frame" if label_id is None else of_labels
        corpus = self.corpus(element_type)
        return search(corpus, query, within=within, exact=exact)

    def duplicates(
        self, threshold: float | None = None, *, metric: Metric = "euclidean"
    ) -> pl.DataFrame:
        """Pairs of frames that show the same image, or nearly.

        Every pair is compared: 20,000 frames take seconds, 200,000 minutes.

        Args:
            threshold: The greatest distance of vectors that are near; without it only
                images of the same URL count.
            metric: `euclidean` or `cosine`.

        Returns:
            A row a pair, sorted: `frame_id`, `other_frame_id`, `same_url`, `distance`
            (null unless near).

        Raises:
            NotFoundError: If there is a threshold, and frames have no vectors.
            InvalidInputError: If the threshold is no distance, or so many pairs are
                near that a list of them helps nobody.
        """
        raise_if_any(_distance_faults(threshold, metric))
        corpus = None if threshold is None else self.corpus("frame")
        return pairs_of_frames(self.frames(), corpus, threshold, metric)

    def leakage(
        self,
        other: "Searchable",
        *,
        threshold: float | None = None,
        by: str | None = None,
        metric: Metric = "euclidean",
    ) -> Leakage:
        """What this version and another have in common: train and test, say.

        Both may be parts of one version: `snapshot.filter(frames=…)`.

        Args:
            other: Another version, of this or another dataset.
            threshold: The greatest distance of vectors that are near; without it
                vectors are not compared.
            by: A metadata field, such as `user__patient`, of which no value may be
                on both sides.
            metric: `euclidean` or `cosine`.

        Returns:
            A report: `is_clean`, `summary()`, `pairs`, `groups`.

        Raises:
            NotFoundError: If there is a threshold, and frames have no vectors.
            InvalidInputError: If vectors are of different models, or there is no such
                field.
        """
        raise_if_any(_distance_faults(threshold, metric))
        sides = [
            Side(corpus.where, side.frames(), corpus)
            for side, corpus in ((side, side.corpus("frame")) for side in (self, other))
        ]
        return leakage_between(*sides, threshold=threshold, by=by, metric=metric)


def _distance_faults(threshold: Any, metric: object) -> list[Problem]:  # noqa: ANN401 - whatever was passed
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is None or (is_number and math.isfinite(threshold) and threshold >= 0):
        return metric_faults(metric)
    told, hint = f"{threshold!r} is no distance.", "Give a number from 0 on, or none."
    fault = Problem(None, None, "threshold", "similarity.query", told, hint)
    return [fault, *metric_faults(metric)]
