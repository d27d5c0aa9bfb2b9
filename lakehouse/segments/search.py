"""A segment and vectors: what resembles an element, or any of them.

A search of a version sees the elements as that version has them. An element that
the version has differently than it was added is refused, with both ways out: move
it to the latest version, or search in the version that it belongs to.
"""

from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.change_log import content
from lakehouse.segments.context import Place, SegmentHandle
from lakehouse.segments.elements import rows_by_place
from lakehouse.segments.refs import matching_rows
from lakehouse.segments.row import read_row
from lakehouse.segments.staleness import differing_at, frozen
from lakehouse.similarity import Corpus, Metric
from lakehouse.similarity.corpus import Vectors
from lakehouse.similarity.duplicates import nearest_seed
from lakehouse.similarity.query import check_distance, require_same_model
from lakehouse.storage import collect
from lakehouse.types import ElementType
from lakehouse.versions.snapshot import HasVersions, Snapshot, snapshot_at

_SHOWN: Final = 5
"""Elements that a message lists."""


def similar(
    segment: SegmentHandle,
    ids: dict[str, str],
    *,
    k: int,
    metric: Metric,
    exact: bool | None,
) -> pl.DataFrame:
    """The neighbours of an element in the latest version; the element left out.

    Args:
        segment: The segment.
        ids: Those of the element's ids that were given, by column.
        k: How many neighbours.
        metric: `euclidean` or `cosine`.
        exact: As `snapshot.similar` takes it.

    Raises:
        InvalidInputError: If there is no such element, or it is out of date.
        NotFoundError: If it has no vector.
    """
    key = segment.key
    if not ids.keys() & set(key):
        raise InvalidInputError(
            f"Name an element: {' and '.join(f'{name}=' for name in key)}.",
            kind="similarity.query",
        )
    where = f"segment {read_row(segment)['name']!r}"
    rows = segment.rows()
    match = matching_rows(pl.DataFrame(ids), rows, segment.element_type, where=where)
    element = match.row(0, named=True)
    place = Place(element["dataset"], element["inference_set"])
    collection = segment.context.collection(place)
    latest = snapshot_at(collection, collection.head().content_version)
    _require_as_added(segment, latest.corpus(segment.element_type), match)
    return latest.similar(
        frame_id=element["frame_id"],
        label_id=element["label_id"] or None,
        k=k,
        metric=metric,
        exact=exact,
    )


def candidates(
    segment: SegmentHandle,
    source: Snapshot | HasVersions,
    *,
    k: int | None,
    metric: Metric,
    unlabelled: bool,
) -> pl.DataFrame:
    """The frames of a version by their distance from the segment's nearest element.

    Raises:
        NotFoundError: If there are no vectors, on either side.
        InvalidInputError: If vectors are of different models, or the source is of
            another project.
    """
    check_distance(None, metric)
    snapshot = source if isinstance(source, Snapshot) else source.latest()
    place = segment.context.place_of(snapshot)
    kind: ElementType = segment.element_type
    if kind != "frame":
        # Labels compare with inferences too: whichever of the two the place holds.
        kind = "inference" if place.inference_set else "label"
    corpus = snapshot.corpus(kind)
    seeds = _seeds(segment, corpus)
    part = corpus.part()
    rows, distances = nearest_seed(part.matrix, Vectors.of(seeds).matrix, metric)
    # `Vectors.of` sorts by all columns but the vector, as `_seeds` did.
    like = seeds.drop("embedding")[rows]
    own = segment.rows(place.dataset).get_column("frame_id").unique()
    # A frame of several labels counts with its nearest, so sort before `unique`.
    ranked = (
        part.keys.select("frame_id")
        .with_columns(distance=pl.Series(distances, dtype=pl.Float64))
        .hstack(like)
        .sort("distance", "frame_id", *like.columns)
        .unique("frame_id", keep="first", maintain_order=True)
        .filter(~pl.col("frame_id").is_in(own.implode()))
    )
    if unlabelled:
        dataset = segment.context.collection(place._replace(inference_set=""))
        # The labels of now, whatever version is searched: what to label next.
        now = dataset.head().version
        labels = content(dataset, "labels", now, columns=["frame_id"])
        ranked = ranked.join(collect(labels.unique()), on="frame_id", how="anti")
    return ranked if k is None else ranked.head(k)


def keys_in(segment: SegmentHandle, corpus: Corpus) -> pl.DataFrame:
    """The keys of the segment's elements in a version: what `within=` searches.

    Raises:
        InvalidInputError: If the segment holds nothing of the kind, or the version
            has elements differently than they were added.
    """
    name = read_row(segment)["name"]
    if corpus.element_type != segment.element_type:
        raise InvalidInputError(
            f"Segment {name!r} holds {segment.element_type}s, and "
            f"{corpus.element_type}s are searched.",
            kind="segment.element_type",
        )
    place = segment.context.place_at(corpus.collection)
    rows = segment.rows(place.dataset, place.inference_set)
    if not rows.height:
        raise InvalidInputError(
            f"Segment {name!r} has no elements of {place}.", kind="segment.no_elements"
        )
    _require_as_added(segment, corpus, rows)
    return rows.select(segment.key)


def _require_as_added(
    segment: SegmentHandle, corpus: Corpus, rows: pl.DataFrame
) -> None:
    """Refuse to search a version that has elements differently than they were added."""
    key = segment.key
    wanted = rows.select(*key, "version")
    stale = differing_at(
        corpus.collection, segment.element_type, wanted, corpus.version
    )
    if not stale.height:
        return
    shown = ", ".join(
        f"{row[key[-1]]!r} of version {row['version']} ({row['reason']})"
        for row in stale.head(_SHOWN).iter_rows(named=True)
    )
    more = ", …" if stale.height > _SHOWN else ""
    # The message names one version that can be searched instead.
    at = stale["version"].to_list()[-1]
    raise InvalidInputError(
        f"{stale.height:,} elements of segment {read_row(segment)['name']!r} are out of "
        f"date in {corpus.where}: {shown}{more}. segment.refresh() moves them to the "
        "latest version, and segment.remove() takes out those that were deleted; or "
        f"search in the version that they belong to: dataset.at({at}).similar(…).",
        kind="segment.out_of_date",
    )


def _seeds(segment: SegmentHandle, corpus: Corpus) -> pl.DataFrame:
    """The vectors of the elements as they were: `like_…` ids and `embedding`."""
    key = segment.key
    is_frame = segment.element_type == "frame"
    table = "frame_embeddings" if is_frame else "label_embeddings"
    parts: list[pl.DataFrame] = []
    for place, of_place in rows_by_place(segment.rows()):
        collection = segment.context.collection(place)
        spec = collection.embedding_spec(table, collection.head().version)
        # Distances between vectors of two models mean nothing.
        require_same_model(spec, str(place), corpus.spec, corpus.where)
        vectors = frozen(collection, table, of_place.select(*key, "version"))
        # Renamed, as they stand beside the ids of the frames that are ranked.
        names = {"like_dataset": pl.lit(place.dataset)}
        names |= {f"like_{name}": pl.col(name) for name in key}
        parts.append(vectors.select("embedding", **names))
    seeds = pl.concat(parts) if parts else pl.DataFrame()
    if not seeds.height:
        raise NotFoundError(
            f"No element of segment {read_row(segment)['name']!r} has a vector.",
            kind="embedding.none",
        )
    ids = [name for name in seeds.columns if name != "embedding"]
    return seeds.drop_nulls("embedding").sort(ids).select(*ids, "embedding")
