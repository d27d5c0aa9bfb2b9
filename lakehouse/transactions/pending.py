"""Which staged uploads come next, and which of them share a version.

Uploads are taken in the order of their ids. A run of uploads that touch no
common frame is merged at once; the first that overlaps waits for the next
version, and so does everything behind it.
"""

from collections.abc import Mapping, Sequence
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

_SMALL_ROWS: Final = 1_000
_READ_TOGETHER: Final = 64


@dataclass(frozen=True)
class Pending:
    """A staged upload with its rows, or with the reason why they cannot be read."""

    manifest: Manifest
    operations: Operations
    damage: str | None = None

    @cached_property
    def frame_ids(self) -> pl.Series:
        """The frames it touches, each once."""
        return frame_ids(self.operations)


def next_group(
    collection: Collection, version: int, at_hand: dict[str, Operations]
) -> list[Pending]:
    """The uploads of the next version: unsettled at `version`, in order, disjoint.

    Rows read are remembered in `at_hand`, so that an attempt made again does
    not read them again.
    """
    group: list[Pending] = []
    touched = _Touched()
    shapes: dict[tuple[str, str], tuple[str, pl.DataType]] = {}
    fresh: set[tuple[str, str]] = set()
    rows = 0
    waiting = unsettled(collection, version)
    manifests = _load_small(collection, waiting[:GROUP_UPLOADS], at_hand)
    for upload_id in waiting:
        pending = _load(collection, upload_id, at_hand, manifests.get(upload_id))
        if pending is None:
            continue
        size = pending.operations.frames.height + pending.operations.labels.height
        full = rows + size > GROUP_ROWS or len(group) >= GROUP_UPLOADS
        shape = _shape(pending.operations)
        alike = all(shapes.get(name, seen) == seen for name, seen in shape.items())
        open_fields = _open_fields(collection, version, shape)
        # Who fixes a new field's type is only known once its upload is settled.
        unsure = not fresh.isdisjoint(open_fields)
        is_batch = pending.manifest.mode == "BATCH"
        if group and (full or unsure or not alike or is_batch):
            break
        if is_batch:
            return [_loaded_once(collection, version, pending)]
        if not touched.take(pending):
            break
        fresh |= open_fields
        group.append(pending)
        shapes |= shape
        rows += size
    return group


def _loaded_once(collection: Collection, version: int, pending: Pending) -> Pending:
    """An upload to a BATCH collection, which fails if another landed before it.

    Only here is it known: two may have been acknowledged side by side.
    """
    uploads = collection.scan("uploads", version, columns=["upload_id", "status"])
    landed = collect(uploads.filter(pl.col("status") != "FAILED"))["upload_id"]
    if not len(landed):
        return pending
    reason = (
        f"It is a BATCH {collection.layout.kind.replace('_', ' ')} and was loaded by "
        f"upload {landed[0]}: it does not change any more."
    )
    return Pending(pending.manifest, Operations.empty(), damage=reason)


class _Touched:
    """The frames that a group touches; made into a set when a second upload comes."""

    def __init__(self) -> None:
        self._frames: set[str] = set()
        self._first: Pending | None = None

    def take(self, pending: Pending) -> bool:
        """Take an upload's frames in, unless one of them is there."""
        if self._first is None:
            self._first = pending
            return True
        if not self._frames:
            self._frames.update(self._first.frame_ids.to_list())
        mine = pending.frame_ids.to_list()
        if not self._frames.isdisjoint(mine):
            return False
        self._frames.update(mine)
        return True


def _shape(operations: Operations) -> dict[tuple[str, str], tuple[str, pl.DataType]]:
    """The type of every field sent: fields that differ must not be stacked."""
    return {
        (part, name.removeprefix(MIXED)): (name, dtype)
        for part in ("frames", "labels")
        for name, dtype in getattr(operations, part).schema.items()
    }


def _open_fields(
    collection: Collection, version: int, shape: Mapping[tuple[str, str], object]
) -> set[tuple[str, str]]:
    """The fields sent whose type, or whose vectors' dimension, is not fixed yet."""
    found: set[tuple[str, str]] = set()
    for part, name in shape:
        if name.startswith(PREFIX):
            if name not in collection.metadata_types(part, version):
                found.add((part, name))
        elif name == "embedding":
            table = f"{part.removesuffix('s')}_embeddings"
            if collection.embedding_spec(table, version).dimension is None:
                found.add((part, name))
    return found


def _load_small(
    collection: Collection, upload_ids: Sequence[str], at_hand: dict[str, Operations]
) -> dict[str, Manifest]:
    """Read the rows of many small uploads at once; what fails is read alone later.

    Returns:
        Their manifests, by upload.
    """
    wanted: list[Manifest] = []
    for upload_id in upload_ids:
        if upload_id in at_hand:
            continue
        try:
            manifest = collection.staging.manifest(upload_id)
        except LakehouseError:
            continue
        if manifest.frame_count + manifest.label_count <= _SMALL_ROWS:
            wanted.append(manifest)
    for start in range(0, len(wanted) if len(wanted) > 1 else 0, _READ_TOGETHER):
        batch = wanted[start : start + _READ_TOGETHER]
        with suppress(LakehouseError, pl.exceptions.PolarsError):
            at_hand |= collection.staging.read_together(batch)
    return {manifest.upload_id: manifest for manifest in wanted}


def _load(
    collection: Collection,
    upload_id: str,
    at_hand: dict[str, Operations],
    manifest: Manifest | None,
) -> Pending | None:
    """The upload, or None when it was never acknowledged or is settled and swept."""
    staging = collection.staging
    try:
        manifest = manifest or staging.manifest(upload_id)
    except NotFoundError:
        return None
    if upload_id not in at_hand:
        try:
            at_hand[upload_id] = staging.read_prepared(manifest)
        except NotFoundError:
            if unsettled(collection, collection.head().version).count(upload_id):
                return _damaged(manifest, "its staged rows are gone")
            return None
        except (StorageError, FormatError):
            raise
        except (LakehouseError, pl.exceptions.PolarsError) as error:
            return _damaged(manifest, str(error))
    return Pending(manifest, at_hand[upload_id])


def _damaged(manifest: Manifest, reason: str) -> Pending:
    return Pending(manifest, Operations.empty(), damage=reason)
