"""The run of a load: cut, written apart, sent part by part, skipped where known."""

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol, TypedDict

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.model.ids import new_upload_id
from lakehouse.model.operations import Operations
from lakehouse.types import Progress, SourceLike, silent
from lakehouse.uploads.cutting import Parts, cut
from lakehouse.uploads.sources import Lines, Rows, Source, SourceFiles, find_files
from lakehouse.uploads.upload import Upload


class Load:
    """Made by `dataset.load()`."""

    def __init__(self, load_id: str, uploads: Sequence[Upload], known: int) -> None:
        self.id = load_id
        """Give it to `dataset.load(load_id=…)` to go on where a load broke off."""
        self.uploads = list(uploads)
        """One upload a part, in order of the frame ids."""
        self.known = known
        """How many parts were there already, from a load that broke off."""

    @property
    def status(self) -> str:
        """PENDING, DONE, PARTIAL (some frames rejected) or FAILED (all of them)."""
        found = {upload.status for upload in self.uploads}
        if "PENDING" in found:
            return "PENDING"
        return found.pop() if len(found) == 1 else "PARTIAL"

    @property
    def counts(self) -> dict[str, int]:
        """Frames created, replaced, modified, deleted, unchanged and rejected."""
        return _added_up([upload.counts for upload in self.uploads])

    @property
    def label_counts(self) -> dict[str, int]:
        """Labels created, replaced, modified, deleted, unchanged and rejected."""
        return _added_up([upload.label_counts for upload in self.uploads])

    def errors(self) -> pl.DataFrame:
        """Every problem of every upload, with its `upload_id`, one a row."""
        told = [
            upload.errors().select(pl.lit(upload.id).alias("upload_id"), pl.all())
            for upload in self.uploads
        ]
        return pl.concat(told)

    def wait(self, timeout: timedelta = timedelta(minutes=5)) -> "Load":
        """Wait until every upload is settled.

        Args:
            timeout: How long for each, at most.

        Raises:
            WaitTimeoutError: If one was not in time.
        """
        for upload in self.uploads:
            upload.wait(timeout)
        return self

    def __repr__(self) -> str:
        told = ", ".join(
            f"{count} {name}" for name, count in self.counts.items() if count
        )
        return (
            f"<Load {self.id} {self.status}, {len(self.uploads)} uploads: "
            f"{told or 'nothing changed'}>"
        )


def _added_up(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for one in counts for name in one)
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return {name: total[name] for name in names}


PART_BYTES: Final = 128 * 1024**2
"""About how much of a source becomes one upload: its merge takes about ten times that."""

Draft = Callable[..., Operations]
"""Makes operations of the tables of a part, in the order of the sources."""


class LoadOptions(TypedDict, total=False):
    """What every load takes; `dataset.load` tells their meaning."""

    load_id: str | None
    part_bytes: int
    storage_options: Mapping[str, str]
    message: str | None
    metadata: Mapping[str, Any]
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Request:
    """The options of a load, with what they are when left out."""

    load_id: str | None = None
    part_bytes: int = PART_BYTES
    storage_options: Mapping[str, str] | None = None
    message: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    progress: Progress = silent


class LoadTarget(Protocol):
    """A dataset or an inference set, as a load sees it."""

    name: str

    @property
    def mode(self) -> str:
        """STREAMING, or BATCH."""
        ...

    @property
    def storage_options(self) -> Mapping[str, str]:
        """How to reach the store that it lies in."""
        ...

    def upload(self, upload_id: str) -> Upload:
        """The upload of that id; NotFoundError if there is none."""
        ...

    def submit(
        self,
        operations: Operations,
        *,
        message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        upload_id: str | None = None,
    ) -> Upload:
        """Stage operations, and merge them unless merging is deferred."""
        ...


def run_load(
    target: LoadTarget,
    sources: Sequence[SourceLike | None],
    draft: Draft,
    options: LoadOptions,
) -> Load:
    """Load sources part by part.

    Args:
        target: What the uploads go to.
        sources: Paths, folders, patterns, or lazy tables; those that are None are
            left out.
        draft: Makes operations of the tables of a part.
        options: How.

    Raises:
        InvalidInputError: If a source cannot be read as a table with frame ids; if
            rows of some parts are refused (the others are loaded); or if
            `load_id` is of a load of other files.
    """
    request = _Request(**options)
    load_id = _checked(request.load_id) or new_upload_id()
    known_options = target.storage_options
    where = (
        known_options if request.storage_options is None else request.storage_options
    )
    given = [one for one in sources if one is not None]
    if not given:
        raise InvalidInputError("There is no source to load.", kind="load.empty")
    files = [
        one if isinstance(one, pl.LazyFrame) else find_files(os.fspath(one), where)
        for one in given
    ]
    opened = [_opened(one) for one in files]
    draft(*[source.head() for source in opened])
    bounds, rows = cut(opened, request.part_bytes)
    note = {"id": load_id, "parts": len(bounds) + 1, "source": _signature(files)}
    with tempfile.TemporaryDirectory(prefix="lakehouse-load-") as folder:
        parts = Parts(Path(folder), opened, bounds)
        if target.mode == "BATCH" and len(parts) > 1:
            raise _too_large_for_batch(target.name, len(parts))
        known = _known(target, note)
        parts.write(set(range(len(parts))) - known.keys(), rows, request.progress)
        return _sent(target, request, draft, parts, known=known, note=note)


def _sent(
    target: LoadTarget,
    request: _Request,
    draft: Draft,
    parts: Parts,
    *,
    known: Mapping[int, str],
    note: Mapping[str, Any],
) -> Load:
    progress = request.progress
    uploads: list[Upload] = []
    refused: list[str] = []
    for part in range(len(parts)):
        progress("parts", part, len(parts))
        if part in known:
            uploads.append(target.upload(known[part]))
            continue
        try:
            operations = draft(*parts.tables(part))
        except InvalidInputError as error:
            refused.append(f"Part {part + 1}: {error}")
            continue
        parts.drop(part)
        upload = target.submit(
            operations,
            upload_id=_part_id(note["id"], part),
            message=request.message,
            metadata=dict(request.metadata) | {"load": dict(note) | {"part": part}},
        )
        uploads.append(upload)
    progress("parts", len(parts), len(parts))
    if refused:
        raise InvalidInputError(
            f"{len(refused)} of {len(parts)} parts could not be read as frames and "
            "labels; the others are loaded. Mend the rows and load again: what is "
            "there already counts as unchanged.\n" + "\n".join(refused),
            kind="load.refused",
        )
    return Load(note["id"], uploads, len(known))


def _opened(found: SourceFiles | pl.LazyFrame) -> Source:
    if isinstance(found, pl.LazyFrame):
        return Rows(found)
    return Lines(found) if found.kind == "jsonl" else Rows.of_files(found)


def _signature(files: Sequence[SourceFiles | pl.LazyFrame]) -> str | None:
    """What tells the sources from others; None if one is no file."""
    told = [one.signature for one in files if isinstance(one, SourceFiles)]
    return "-".join(told) if len(told) == len(files) else None


def _checked(load_id: str | None) -> str | None:
    """Refuse what is no id of a load."""
    if load_id is not None:
        try:
            uuid.UUID(load_id)
        except ValueError:
            raise InvalidInputError(
                f"{load_id!r} is no id of a load. Give the id of the one that broke "
                "off, or leave load_id out for a new one.",
                kind="load.id",
            ) from None
    return load_id


def _part_id(load_id: str, part: int) -> str:
    """The upload's id: the load's own for the first part, and the ids after it."""
    return str(uuid.UUID(int=uuid.UUID(load_id).int + part))


def _known(target: LoadTarget, note: Mapping[str, Any]) -> dict[int, str]:
    """The parts that are staged or settled already, with the ids of their uploads.

    Raises:
        InvalidInputError: If an upload with such an id is of another load.
    """
    known: dict[int, str] = {}
    for part in range(note["parts"]):
        upload_id = _part_id(note["id"], part)
        try:
            said = target.upload(upload_id).metadata.get("load")
        except NotFoundError:
            continue
        if said != dict(note) | {"part": part}:
            raise InvalidInputError(
                f"Load {note['id']} was of other files, or cut otherwise. Give the same "
                "files and the same part_bytes, or leave load_id out for a new load.",
                kind="load.other_source",
            )
        if note["source"] is not None:
            known[part] = upload_id
    return known


def _too_large_for_batch(name: str, parts: int) -> InvalidInputError:
    return InvalidInputError(
        f"{name!r} is BATCH: it is loaded all or nothing, by one upload, and this "
        f"source is {parts}. Give a larger part_bytes if memory allows, or load a "
        "STREAMING dataset.",
        kind="load.batch",
    )
