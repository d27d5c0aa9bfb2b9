"""A snapshot: one version of a collection, resolved once and never changing.

It can be pickled and read in another process, and reads the same rows whatever is
written later. Rows come as LazyFrames in the columns that were
sent, so what a snapshot returns can be written again unchanged.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.formats import Export, FormatName, Source, export
from lakehouse.ledger.change_log import content, upload_versions
from lakehouse.ledger.collection import Collection
from lakehouse.model.class_map import ClassMap
from lakehouse.model.contracts import LIVE_TABLES, Layout
from lakehouse.similarity import (
    Corpus,
    Leakage,
    Metric,
    Query,
    Side,
    VectorLike,
    Within,
    duplicate_frames,
    leakage_between,
    search,
)
from lakehouse.storage import collect, collect_all
from lakehouse.storage.media import Media
from lakehouse.types import ElementType, Progress, silent
from lakehouse.versions.lock import condition_text, lock_of

if TYPE_CHECKING:
    from PIL.Image import Image

_NAMED_FRAMES: Final = 5  # in an error; a list of all would hide the cause
_HIDDEN: Final = ("row_hash", "upload_id")
"""Columns that the lake adds; users do not see them."""


@dataclass(frozen=True, slots=True)
class TableAt:
    """Where a plain engine finds a table: open `uri` at `version`."""

    uri: str
    version: int


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """The frames and labels of one version. Made by `dataset.at()`."""

    version: int
    """The version that was asked for."""
    time: datetime
    """The time of its ledger entry, UTC."""
    author: str | None
    """Who made it."""
    message: str | None
    """The reason that was given."""
    fingerprint: str
    """Equal for equal rows, whatever their history: hexadecimal text."""
    rows: Mapping[str, int]
    """Rows of each live table."""
    _read_version: int = field(repr=False)
    """The newest entry with the same content.

    Compaction moves rows to new files: the newest entry names the fewest of them.
    """
    _collection: Collection = field(repr=False, compare=False)
    _frames_where: pl.Expr | None = field(default=None, repr=False, compare=False)
    _labels_where: pl.Expr | None = field(default=None, repr=False, compare=False)
    _chosen: dict[str, pl.Series] = field(
        default_factory=dict[str, pl.Series], repr=False, compare=False
    )
    """The ids of the chosen frames, once they were read: a version never changes."""

    def __repr__(self) -> str:
        """Place, version, number of rows, and the conditions of a filtered part."""
        place = self._collection.path.replace("/datasets/", "/")
        place = place.replace("/inference_sets/", "/")
        rows = f"{self.rows['frames']:,} frames, {self.rows['labels']:,} labels"
        conditions = [
            f"{table} where {condition}"
            for table, condition in (
                ("frames", self._frames_where), ("labels", self._labels_where),
            )
            if condition is not None
        ]  # fmt: skip
        # Counting a part reads it, and a repr must not.
        part = f"; only {', '.join(conditions)}" if conditions else ""
        return f"<Snapshot of {place} at version {self.version}: {rows}{part}>"

    # --------------------------------- ROWS --------------------------------- #

    def frames(self, *, provenance: bool = False) -> pl.LazyFrame:
        """The frames, one row each, in the columns that were sent.

        Args:
            provenance: Add `version` and `upload_id` of the last change of each row.
        """
        rows = self._scan("frames", provenance=provenance)
        return rows if self._frames_where is None else rows.filter(self._frames_where)

    def labels(self, *, provenance: bool = False) -> pl.LazyFrame:
        """The labels, one row each, in the columns that were sent.

        Args:
            provenance: Add `version` and `upload_id` of the last change of each row.
        """
        rows = self._scan_chosen("labels", provenance=provenance)
        return rows if self._labels_where is None else rows.filter(self._labels_where)

    def inferences(self, *, provenance: bool = False) -> pl.LazyFrame:
        """The inferences of an inference set: `labels()` by their own name.

        Args:
            provenance: Add `version` and `upload_id` of the last change of each row.

        Raises:
            InvalidInputError: If this is a version of a dataset.
        """
        if self._collection.layout.kind == "dataset":
            raise InvalidInputError(
                "A dataset has labels, and no inferences: snapshot.labels() reads them. "
                "Inferences are in the versions of an inference set.",
                kind="snapshot.no_inferences",
            )
        return self.labels(provenance=provenance)

    def frame_embeddings(self, *, provenance: bool = False) -> pl.LazyFrame:
        """The frames' vectors: `frame_id`, `embedding` (float32 list)."""
        return self._scan_chosen("frame_embeddings", provenance=provenance)

    def label_embeddings(self, *, provenance: bool = False) -> pl.LazyFrame:
        """The labels' vectors: `frame_id`, `label_id`, `embedding` (float32 list)."""
        if self._labels_where is None:
            return self._scan_chosen("label_embeddings", provenance=provenance)
        key = ["frame_id", "label_id"]
        # Vectors are long: the keys are read first, so that only theirs are.
        keys = collect(self.labels().select(key))
        frame_ids = keys.get_column("frame_id").unique()
        rows = self._scan("label_embeddings", provenance=provenance, keys=frame_ids)
        return rows.join(keys.lazy(), on=key, how="semi", maintain_order="left")

    def filter(
        self, frames: pl.Expr | None = None, labels: pl.Expr | None = None
    ) -> "Snapshot":
        """The part of the snapshot that meets the conditions.

        Args:
            frames: Over the frames' columns; labels and vectors of the frames
                left out are left out too.
            labels: Over the labels' columns.
        """
        return replace(
            self,
            _frames_where=_both(self._frames_where, frames),
            _labels_where=_both(self._labels_where, labels),
            _chosen={},
        )

    def _scan_chosen(self, table: str, *, provenance: bool) -> pl.LazyFrame:
        """The rows of the chosen frames; other files and row groups are not read."""
        if self._frames_where is None:
            return self._scan(table, provenance=provenance)
        # Read now, not in the plan: a join would read the whole table to find out
        # that it needs a few rows, and ids prune files and row groups.
        if "frame_id" not in self._chosen:
            chosen = collect(self.frames().select("frame_id"))
            self._chosen["frame_id"] = chosen.get_column("frame_id")
        ids = self._chosen["frame_id"]
        return self._scan(table, provenance=provenance, keys=ids)

    def _scan(
        self, table: str, *, provenance: bool, keys: pl.Series | None = None
    ) -> pl.LazyFrame:
        rows = content(self._collection, table, self._read_version, keys=keys)
        rows = rows.drop("row_hash")
        if not provenance:
            return rows.drop("upload_id")
        # Rows keep the upload that wrote them; its version is in another table.
        uploads = upload_versions(self._collection)
        return rows.join(uploads, on="upload_id", how="left", maintain_order="left")

    # ------------------------------ SIMILARITY ------------------------------ #

    def corpus(self, element_type: ElementType) -> Corpus:
        """The vectors of its frames, labels or inferences, as `similar` searches them.

        Raises:
            InvalidInputError: If it holds none of these.
        """
        chosen = None
        if self._labels_where is not None and element_type != "frame":
            chosen = self.labels().select("frame_id", "label_id")
        elif self._frames_where is not None:
            chosen = self.frames().select("frame_id")
        return Corpus(
            self._collection, element_type, self.version, self._read_version, chosen
        )

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
            element_type = query.element_type_in(self._collection.layout.kind)
        return search(self.corpus(element_type), query, within=within, exact=exact)

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
        return duplicate_frames(
            self.frames(), self.corpus("frame"), threshold=threshold, metric=metric
        )

    def leakage(
        self,
        other: "Snapshot",
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
        sides = [Side(part.frames(), part.corpus("frame")) for part in (self, other)]
        return leakage_between(*sides, threshold=threshold, by=by, metric=metric)

    # --------------------------------- FACTS -------------------------------- #

    @property
    def counts(self) -> dict[str, int]:
        """How many frames and labels there are."""
        if not self.is_filtered:
            return {"frames": self.rows["frames"], "labels": self.rows["labels"]}
        frames, labels = collect_all(
            [self.frames().select(pl.len()), self.labels().select(pl.len())]
        )
        return {"frames": frames.item(), "labels": labels.item()}

    @property
    def is_filtered(self) -> bool:
        """Whether it is only a part of its version: see `filter`."""
        return self._frames_where is not None or self._labels_where is not None

    @property
    def class_map(self) -> ClassMap:
        """The classes as the project had them when the version was made.

        Rows keep the name that their class had when they were written; the id of a
        class never changes.
        """
        classes: ClassMap = self._collection.classes()
        # Entries of early lakes do not record which class map was valid.
        version = self._collection.ledger.read(self.version).class_map
        return classes if version is None else classes.as_of(version)

    @property
    def schema(self) -> dict[str, pl.Schema]:
        """The columns of each table, as this version has them."""
        return {
            table: pl.Schema(
                {
                    name: dtype
                    for name, dtype in self._collection.state(
                        table, self._read_version
                    ).schema.items()
                    if name not in _HIDDEN
                }
            )
            for table in LIVE_TABLES
        }

    @property
    def tables(self) -> dict[str, TableAt]:
        """The live tables, for Spark, DuckDB, Polars or deltalake.

        Raises:
            NotFoundError: If garbage collection removed the version's files: plain
                engines cannot read it any more, `frames()` and `labels()` can.
        """
        # Plain engines read files, and know nothing of the change log.
        content_version = self._collection.ledger.read(
            self._read_version
        ).content_version
        if self._collection.is_closed(content_version):
            raise NotFoundError(
                f"The files of version {self.version} were collected. Its rows are in "
                "the change log: snapshot.frames() and snapshot.labels() read them, and "
                f"dataset.restore({self.version}) makes them the latest version again.",
                kind="version.collected",
            )
        return {
            table: TableAt(
                self._collection.store.uri(self._collection.table_path(table)),
                self._read_version,
            )
            for table in LIVE_TABLES
        }

    def lock(self, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """A record of this content, from which `lakehouse.open_lock` opens it again.

        It holds the version, and of each table the number of rows and their
        fingerprint; of a filtered snapshot its conditions too. JSON can hold it, so
        `mlflow.log_dict(snapshot.lock(), "data.json")` keeps it with a model.

        Args:
            path: A file to write it to as well; an existing one is replaced.

        Raises:
            InvalidInputError: If a condition calls Python code.
        """
        collection = self._collection
        # A lock outlives this machine: the version must outlive a power cut of it.
        collection.ledger.make_durable(self.version)
        whole = lock_of(
            collection.store.root,
            collection.path,
            collection.ledger.read(self.version),
            collection.layout,
            self.fingerprint,
        )
        conditions = {"frames": self._frames_where, "labels": self._labels_where}
        filters = {
            table: condition_text(condition)
            for table, condition in conditions.items()
            if condition is not None
        }
        selected = self.counts if self.is_filtered else {}
        fields = replace(whole, filters=filters, selected=selected).to_dict()
        if path is not None:
            text = json.dumps(fields, ensure_ascii=False, indent=2)
            Path(path).write_text(f"{text}\n", encoding="utf-8")
        return fields

    def export(
        self,
        path: str | os.PathLike[str],
        format: FormatName,  # noqa: A002 - users call it so
        *,
        media: bool | None = None,
        split: str | None = None,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> Export:
        """Write the frames and labels, filtered or not, as files of another tool.

        Args:
            path: A folder to make, on a local disk; for COCO also one `.json` file.
            format: `coco`, `voc`, `yolo`, `csv`, `parquet`, `imagefolder` (Hugging
                Face) or `webdataset`.
            media: Whether images are copied, too; by default for formats that need
                them: yolo, imagefolder, webdataset.
            split: The metadata field that holds the split of a frame (train, val);
                yolo, imagefolder and webdataset keep splits in folders of their own.
            overwrite: Replace existing files at `path`, once all new ones are written.
            progress: Called with a stage, how much of it is done, and how much
                there is.

        Returns:
            The files written, and in `losses` the fields that the format cannot hold:
            without losses, `dataset.import_from` reads the same rows.

        Raises:
            InvalidInputError: If there is no such format or field, or images cannot
                be read: all of them are named, and nothing is written.
            AlreadyExistsError: If `path` exists.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
        >>> upload = dataset.add([{"frame_id": "f1", "image_url": "f1.png"}])
        >>> dataset.latest().export(tempfile.mkdtemp() + "/coco", "coco")
        <Export coco: 1 frames, 0 labels; nothing lost>
        """
        source = Source(
            frames=self.frames(),
            labels=self.labels(),
            frame_embeddings=self.frame_embeddings(),
            label_embeddings=self.label_embeddings(),
            classes=self._collection.classes(),
            media=self._collection.media,
        )
        return export(
            source,
            Path(path),
            format_name=format,
            media=media,
            split=split,
            overwrite=overwrite,
            progress=progress,
        )

    def plot(self, frame_id: str) -> "Image":
        """A picture of a frame with its labels drawn.

        Raises:
            NotFoundError: If the frame is not in this version.
        """
        from lakehouse.drawing.frames import draw_frame  # noqa: PLC0415 - needs an extra

        frame, labels = self.frame(frame_id)
        title = f"{frame_id}, version {self.version}"
        classes: ClassMap = self._collection.classes()
        media = self._collection.media
        return draw_frame(frame, labels, classes, title=title, media=media)

    def frame(self, frame_id: str) -> tuple[dict[str, Any], pl.DataFrame]:
        """One frame and its labels.

        Raises:
            NotFoundError: If the frame is not in this version.
        """
        # By key, so that files of other frames are not read.
        keys = pl.Series("frame_id", [frame_id], dtype=pl.String)
        frames = content(self._collection, "frames", self._read_version, keys=keys)
        labels = content(self._collection, "labels", self._read_version, keys=keys)
        rows, frame_labels = collect_all([frames.drop(_HIDDEN), labels.drop(_HIDDEN)])
        if not rows.height:
            raise NotFoundError(
                f"Frame {frame_id!r} is not in version {self.version}. "
                f"dataset.history({frame_id!r}) says whether it ever existed.",
                kind="frame.unknown",
            )
        return rows.row(0, named=True), frame_labels.sort("label_id")

    def frames_of(self, frame_ids: Iterable[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Several frames and their labels, sorted by their ids.

        Only files and row groups that can hold them are read, as by `frame`.

        Raises:
            NotFoundError: If frames are not in this version; the first are named.
        """
        if isinstance(frame_ids, str):
            raise InvalidInputError(
                f"frames_of() takes several ids, and {frame_ids!r} is one: "
                f"snapshot.frame({frame_ids!r}).",
                kind="frame.ids",
            )
        keys = pl.Series("frame_id", list(frame_ids), dtype=pl.String).unique()
        frames = content(self._collection, "frames", self._read_version, keys=keys)
        labels = content(self._collection, "labels", self._read_version, keys=keys)
        rows, frame_labels = collect_all([frames.drop(_HIDDEN), labels.drop(_HIDDEN)])
        missing = keys.filter(~keys.is_in(rows.get_column("frame_id").implode()))
        if len(missing):
            named = ", ".join(map(repr, missing.sort().head(_NAMED_FRAMES)))
            raise NotFoundError(
                f"{len(missing)} of {len(keys)} frames are not in version "
                f"{self.version}: {named}. dataset.history(frame_id) says whether one "
                "ever existed.",
                kind="frame.unknown",
            )
        return rows.sort("frame_id"), frame_labels.sort("frame_id", "label_id")

    # A collection has locks and caches: another process opens one of its own.
    def __reduce__(self) -> tuple[Any, ...]:
        conditions = (self._frames_where, self._labels_where)
        rows = dict(self.rows)
        facts = (self.version, self.time, self.author, self.message, self.fingerprint)
        origin = (
            self._collection.store,
            self._collection.path,
            self._collection.classes(),
            self._collection.layout,
            self._collection.media,
        )
        return _rebuild, (origin, facts, self._read_version, rows, conditions)


def snapshot_at(collection: Collection, version: int) -> Snapshot:
    """The snapshot of a version that is known to exist."""
    entry = collection.ledger.read(version)
    return Snapshot(
        version=version,
        time=entry.time,
        author=entry.author,
        message=entry.message,
        fingerprint=combined(entry.fingerprint),
        rows=MappingProxyType(dict(entry.rows)),
        _read_version=collection.same_content(version),
        _collection=collection,
    )


def _rebuild(
    origin: tuple[Any, str, ClassMap, Layout, Media],
    facts: tuple[Any, ...],
    read_version: int,
    rows: dict[str, int],
    conditions: tuple[pl.Expr | None, pl.Expr | None],
) -> Snapshot:
    store, path, classes, layout, media = origin
    collection = Collection(store, path, lambda: classes, layout, media=media)
    version, time, author, message, fingerprint = facts
    return Snapshot(
        version=version,
        time=time,
        author=author,
        message=message,
        fingerprint=fingerprint,
        _read_version=read_version,
        rows=MappingProxyType(rows),
        _collection=collection,
        _frames_where=conditions[0],
        _labels_where=conditions[1],
    )


def combined(fingerprints: Mapping[str, str]) -> str:
    """The fingerprint of all live tables as one: 32 hexadecimal digits."""
    text = "\n".join(f"{table} {fingerprints[table]}" for table in LIVE_TABLES)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _both(first: pl.Expr | None, second: pl.Expr | None) -> pl.Expr | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


class HasCollection(Protocol):
    """A snapshot, a dataset or an inference set."""

    @property
    def _collection(self) -> Collection: ...


def collection_of(source: HasCollection) -> Collection:
    """The tables and the ledger behind a snapshot, a dataset or an inference set.

    No public attribute leads there, so the rooms of the package ask here.
    """
    # The one place that reaches inside, besides tests.
    return source._collection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def read_version_of(snapshot: Snapshot) -> int:
    """The entry that a snapshot is read at: the newest with the same content."""
    return snapshot._read_version  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class HasVersions(Protocol):
    """The part of a dataset or an inference set that its readers use."""

    name: str

    def latest(self) -> Snapshot:
        """The newest version as a snapshot."""
        ...
