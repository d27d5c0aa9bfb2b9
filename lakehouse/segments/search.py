"""A segment and vectors: what resembles an element, or any of them.

Whoever searches a version searches what it holds. An element that the version
has otherwise than it was added is refused there, with both ways out; what it was
is in its own version, and that one can be searched.
"""

from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.change_log import content
from lakehouse.model.problems import raise_if_any
from lakehouse.segments.elements import Readable
from lakehouse.segments.home import Place
from lakehouse.segments.refs import key_of, meant
from lakehouse.segments.staleness import frozen, otherwise_at
from lakehouse.similarity import Corpus, Metric
from lakehouse.similarity.corpus import Vectors
from lakehouse.similarity.duplicates import nearest_seed
from lakehouse.similarity.query import metric_problems, require_same_model
from lakehouse.storage import collect
from lakehouse.types import ElementType
from lakehouse.versions.snapshot import HasVersions, Snapshot

_SHOWN: Final = 5


class Searching(Readable):
    """The searching half of a segment."""

    def similar(
        self,
        *,
        frame_id: str | None = None,
        label_id: str | None = None,
        dataset: str | None = None,
        inference_set: str | None = None,
        k: int = 10,
        metric: Metric = "euclidean",
        exact: bool | None = None,
    ) -> pl.DataFrame:
        """What the latest version has that resembles an element; the element left out.

        `snapshot.similar(…, within=segment)` searches the segment's elements instead.

        Args:
            frame_id: The element's frame.
            label_id: The element's label, or inference.
            dataset: The element's dataset, where several have one of these ids.
            inference_set: Its inference set, likewise.
            k: How many neighbours.
            metric: `euclidean` or `cosine`.
            exact: As `snapshot.similar` takes it.

        Returns:
            As `snapshot.similar` does.

        Raises:
            InvalidInputError: If there is no such element, or it is out of date:
                refresh it, or search in the version that it belongs to.
            NotFoundError: If it has no vector.
        """
        named = {"frame_id": frame_id, "label_id": label_id, "dataset": dataset}
        named |= {"inference_set": inference_set}
        ids = {name: value for name, value in named.items() if value is not None}
        if not ids.keys() & set(key_of(self._kind)):
            raise InvalidInputError(
                f"Name an element: {' and '.join(f'{one}=' for one in key_of(self._kind))}.",
                kind="similarity.query",
            )
        refs = pl.DataFrame(ids)
        row = meant(refs, self._rows(), self._kind, where=f"segment {self.name!r}")
        place = Place(row["dataset"].item(), row["inference_set"].item())
        collection = self._home.collection(place)
        latest = Snapshot.resolve(collection, collection.head().content_version)
        self._require_as_added(latest.corpus(self._kind), row)
        found = row.row(0, named=True)
        return latest.similar(
            frame_id=found["frame_id"],
            label_id=found["label_id"] or None,
            k=k,
            metric=metric,
            exact=exact,
        )

    def candidates(
        self,
        source: Snapshot | HasVersions,
        *,
        k: int | None = 100,
        metric: Metric = "euclidean",
        unlabelled: bool = True,
    ) -> pl.DataFrame:
        """The frames that are most like what the segment holds: what to label next.

        Each frame is measured by the element that is nearest to it, as that element
        was when it was added. A segment of frames ranks the frames of any version; one
        of labels or inferences ranks those of an inference set, by what it says there.

        Args:
            source: A snapshot, or a dataset or inference set: its latest version.
            k: How many frames; None for all.
            metric: `euclidean` or `cosine`.
            unlabelled: Leave out frames that have labels in the latest version of
                their dataset; frames of the segment itself are left out in any case.

        Returns:
            A row a frame, nearest first: `frame_id`, `distance`, and the element that
            is nearest: `like_dataset`, `like_frame_id`, `like_label_id` (not of
            frames).

        Raises:
            NotFoundError: If there are no vectors, on either side.
            InvalidInputError: If vectors are of different models, or the source is of
                another project.
        """
        raise_if_any(metric_problems(metric))
        snapshot = source if isinstance(source, Snapshot) else source.latest()
        place = self._home.place_of(snapshot)
        kind: ElementType = self._kind
        if kind != "frame":
            kind = "inference" if place.inference_set else "label"
        corpus = snapshot.corpus(kind)
        seeds = self._seeds(corpus)
        there = corpus.part()
        rows, distances = nearest_seed(there.matrix, Vectors.of(seeds).matrix, metric)
        # `Vectors.of` sorts by all columns but the vector, as `_seeds` did.
        like = seeds.drop("embedding")[rows]
        ranked = (
            there.keys.select("frame_id")
            .with_columns(distance=pl.Series(distances, dtype=pl.Float64))
            .hstack(like)
            .sort("distance", "frame_id", *like.columns)
            .unique("frame_id", keep="first", maintain_order=True)
            .filter(~pl.col("frame_id").is_in(self.frame_ids(place.dataset)))
        )
        if unlabelled:
            ranked = ranked.join(self._labelled(place), on="frame_id", how="anti")
        return ranked if k is None else ranked.head(k)

    def keys_in(self, corpus: Corpus) -> pl.DataFrame:
        """The keys of its elements in a version: what `similar(within=…)` searches.

        Raises:
            InvalidInputError: If it holds nothing of the kind, or the version has
                elements otherwise than they were added.
        """
        if corpus.element_type != self._kind:
            raise InvalidInputError(
                f"Segment {self.name!r} holds {self._kind}s, and {corpus.element_type}s "
                "are searched.",
                kind="segment.element_type",
            )
        place = self._home.place_at(corpus.collection)
        mine = self._rows(place.dataset, place.inference_set)
        if not mine.height:
            raise InvalidInputError(
                f"Segment {self.name!r} has no elements of {place}.",
                kind="segment.no_elements",
            )
        self._require_as_added(corpus, mine)
        return mine.select(key_of(self._kind))

    def _require_as_added(self, corpus: Corpus, mine: pl.DataFrame) -> None:
        """Refuse to search a version that has elements otherwise than their own has."""
        key = key_of(self._kind)
        wanted = mine.select(*key, "version")
        stale = otherwise_at(corpus.collection, self._kind, wanted, corpus.version)
        if not stale.height:
            return
        shown = ", ".join(
            f"{row[key[-1]]!r} of version {row['version']} ({row['reason']})"
            for row in stale.head(_SHOWN).iter_rows(named=True)
        )
        more = ", …" if stale.height > _SHOWN else ""
        at = stale["version"].to_list()[-1]
        raise InvalidInputError(
            f"{stale.height:,} elements of segment {self.name!r} are out of date in "
            f"{corpus.where}: {shown}{more}. segment.refresh() moves them to the latest "
            "version, and segment.remove() takes out those that were deleted; or search "
            f"in the version that they belong to: dataset.at({at}).similar(…).",
            kind="segment.out_of_date",
        )

    def _seeds(self, corpus: Corpus) -> pl.DataFrame:
        """The vectors of the elements as they were: `like_…` ids and `embedding`."""
        key = key_of(self._kind)
        table = "frame_embeddings" if self._kind == "frame" else "label_embeddings"
        parts: list[pl.DataFrame] = []
        for place, mine in self._by_place(self._rows()):
            collection = self._home.collection(place)
            newest = collection.head().version
            spec = collection.embedding_spec(table, newest)
            require_same_model(spec, str(place), corpus.spec, corpus.where)
            found = frozen(collection, table, mine.select(*key, "version"))
            names = {"like_dataset": pl.lit(place.dataset)}
            names |= {f"like_{name}": pl.col(name) for name in key}
            parts.append(found.select("embedding", **names))
        seeds = pl.concat(parts) if parts else pl.DataFrame()
        if not seeds.height:
            raise NotFoundError(
                f"No element of segment {self.name!r} has a vector.",
                kind="embedding.none",
            )
        ids = [name for name in seeds.columns if name != "embedding"]
        return seeds.drop_nulls("embedding").sort(ids).select(*ids, "embedding")

    def _labelled(self, place: Place) -> pl.DataFrame:
        """The frames of a dataset that have labels now: `frame_id`."""
        collection = self._home.collection(place._replace(inference_set=""))
        now = collection.head().version
        labels = content(collection, "labels", now, columns=["frame_id"])
        return collect(labels.unique())
