"""Which staged uploads come next, and which of them share a version.

Uploads are taken in the order in which they came: by the UUIDv7 in their manifest, which
is made later than that of every upload that waits. A run of uploads that touch no
common frame is merged at once; the first that overlaps waits for the next
version, and so does everything behind it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from lakehouse.errors import FormatError, LakehouseError, NotFoundError, StorageError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.settled import frame_ids, unsettled
from lakehouse.ledger.staging import Manifest
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import MIXED, Operations
from lakehouse.storage import collect

GROUP_ROWS: Final = 2_000_000
"""Uploads share a version up to this many staged rows; one upload may be larger."""

GROUP_UPLOADS: Final = 2_000
"""Uploads share a version up to this many."""

_SMALL_UPLOAD_ROWS: Final = 1_000
"""Up to so many rows, a staged file costs more to open than to read."""

_UPLOADS_PER_READ: Final = 64
"""So many small uploads are read by one query, side by side."""

Field = tuple[str, str]
"""A part of an upload (frames, labels), and the name of a column in it."""

Types = dict[Field, tuple[str, pl.DataType]]
"""Field to the name and type that its column has in the upload."""


@dataclass(frozen=True)
class Pending:
    """A staged upload with its rows, or with the reason why it fails as a whole."""

    manifest: Manifest
    operations: Operations
    error: str | None = None
    """Why nothing of it can land; None where its rows are judged one by one."""

    @cached_property
    def frame_ids(self) -> pl.Series:
        """The frames it touches, each once."""
        return frame_ids(self.operations)

    @property
    def row_count(self) -> int:
        """Rows of frames and labels."""
        return self.operations.frames.height + self.operations.labels.height


class PendingUploads:
    """The staged uploads of a collection that no entry has settled yet.

    Rows that were read are kept until their upload is settled: a merge that lost a
    race is planned again from the same rows, and need not read them again.

    Args:
        collection: Where they are staged.
        known: Upload id to rows that the caller staged itself a moment ago.
    """

    def __init__(
        self, collection: Collection, known: Mapping[str, Operations] | None = None
    ) -> None:
        self._collection = collection
        self._rows = dict(known or {})

    def forget(self, upload_ids: Iterable[str]) -> None:
        """Let go of the rows of uploads that are settled."""
        for upload_id in upload_ids:
            self._rows.pop(upload_id, None)

    def next_group(self, version: int) -> list[Pending]:
        """The uploads of the next version: unsettled at `version`, in order, disjoint."""
        group = _Group(self._collection, version)
        waiting = self._in_order(unsettled(self._collection, version))
        manifests = self._read_small(waiting[:GROUP_UPLOADS])
        for upload_id in waiting:
            pending = self._load(upload_id, manifests.get(upload_id))
            if pending is None:
                continue
            if pending.manifest.mode == "BATCH":
                # It has a version of its own: whether it may land at all depends on
                # what landed before it.
                if group.uploads:
                    break
                return [_if_loaded_once(self._collection, version, pending)]
            if not group.take(pending):
                # Later uploads must not overtake it, or their order would be lost.
                break
        return group.uploads

    def _in_order(self, upload_ids: Sequence[str]) -> list[str]:
        """The acknowledged ones of some uploads, in the order in which they came."""
        places = self._collection.staging.places(upload_ids)
        return sorted(places, key=lambda upload_id: (places[upload_id], upload_id))

    def _read_small(self, upload_ids: Sequence[str]) -> dict[str, Manifest]:
        """Read the rows of many small uploads at once; what fails is read alone later.

        Returns:
            Their manifests, by upload.
        """
        staging = self._collection.staging
        small: list[Manifest] = []
        for upload_id in upload_ids:
            if upload_id in self._rows:
                continue
            try:
                manifest = staging.manifest(upload_id)
            except LakehouseError:
                continue
            if manifest.frame_count + manifest.label_count <= _SMALL_UPLOAD_ROWS:
                small.append(manifest)
        for start in range(0, len(small) if len(small) > 1 else 0, _UPLOADS_PER_READ):
            batch = small[start : start + _UPLOADS_PER_READ]
            # One bad upload fails its whole batch; read alone, it fails alone.
            with suppress(LakehouseError, pl.exceptions.PolarsError):
                self._rows |= staging.read_many(batch)
        return {manifest.upload_id: manifest for manifest in small}

    def _load(self, upload_id: str, manifest: Manifest | None) -> Pending | None:
        """The upload; None when it was never acknowledged, or is settled and swept."""
        staging = self._collection.staging
        try:
            manifest = manifest or staging.manifest(upload_id)
        except NotFoundError:
            return None
        if upload_id not in self._rows:
            try:
                self._rows[upload_id] = staging.read_prepared(manifest)
            except NotFoundError:
                # Another merger may have settled and swept it since the head was
                # read. Only rows that are missing while nobody settled them are lost.
                newest = self._collection.head().version
                if upload_id in unsettled(self._collection, newest):
                    return _failed(manifest, "its staged rows are gone")
                return None
            except (StorageError, FormatError):
                # The store may recover, and a newer release may read it: no verdict.
                raise
            except (LakehouseError, pl.exceptions.PolarsError) as error:
                return _failed(manifest, str(error))
        return Pending(manifest, self._rows[upload_id])


class _Group:
    """Uploads that share a version: no frame in common, every field of one type.

    Args:
        collection: Where they are merged.
        version: The head entry, whose fields have types already.
    """

    def __init__(self, collection: Collection, version: int) -> None:
        self.uploads: list[Pending] = []
        self._collection = collection
        self._version = version
        self._rows = 0
        self._types: Types = {}
        self._open: set[Field] = set()
        self._frames: set[str] = set()

    def take(self, pending: Pending) -> bool:
        """Take an upload in, unless it must wait for the next version."""
        types = _types_of(pending.operations)
        open_fields = _open_fields(self._collection, self._version, types)
        if self.uploads and not self._fits(pending, types, open_fields):
            return False
        self.uploads.append(pending)
        self._rows += pending.row_count
        self._types |= types
        self._open |= open_fields
        return True

    def _fits(self, pending: Pending, types: Types, open_fields: set[Field]) -> bool:
        if self._rows + pending.row_count > GROUP_ROWS:
            return False
        if len(self.uploads) >= GROUP_UPLOADS:
            return False
        # Columns of several types cannot be stacked.
        if any(self._types.get(name, seen) != seen for name, seen in types.items()):
            return False
        # The first value that lands fixes a new field's type. Which upload that is
        # is only known once the earlier one was judged, so the later one waits.
        if not self._open.isdisjoint(open_fields):
            return False
        # A set is made only when a second upload comes: a large upload has millions
        # of frames, and is alone as a rule.
        if not self._frames:
            self._frames.update(self.uploads[0].frame_ids.to_list())
        frames = pending.frame_ids.to_list()
        if not self._frames.isdisjoint(frames):
            return False
        self._frames.update(frames)
        return True


def _types_of(operations: Operations) -> Types:
    return {
        (part, name.removeprefix(MIXED)): (name, dtype)
        for part in ("frames", "labels")
        for name, dtype in getattr(operations, part).schema.items()
    }


def _open_fields(
    collection: Collection, version: int, types: Mapping[Field, object]
) -> set[Field]:
    """The fields sent whose type, or whose vectors' dimension, is not fixed yet."""
    open_fields: set[Field] = set()
    for part, name in types:
        if name.startswith(PREFIX):
            if name not in collection.metadata_types(part, version):
                open_fields.add((part, name))
        elif name == "embedding":
            table = f"{part.removesuffix('s')}_embeddings"
            if collection.embedding_spec(table, version).dimension is None:
                open_fields.add((part, name))
    return open_fields


def _if_loaded_once(collection: Collection, version: int, pending: Pending) -> Pending:
    """An upload to a BATCH collection, which fails if another landed before it.

    Only here is it known: two may have been acknowledged side by side.
    """
    uploads = collection.scan("uploads", version, columns=["upload_id", "status"])
    landed = collect(uploads.filter(pl.col("status") != "FAILED"))["upload_id"]
    if not len(landed):
        return pending
    return _failed(
        pending.manifest,
        f"It is a BATCH {collection.layout.kind.replace('_', ' ')} and was loaded by "
        f"upload {landed[0]}: it does not change any more.",
    )


def _failed(manifest: Manifest, reason: str) -> Pending:
    return Pending(manifest, Operations.empty(), error=reason)
