"""A load: sources are cut into parts, and each part is sent as one upload."""

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
from lakehouse.storage import check_options
from lakehouse.types import Progress, SourceLike, silent
from lakehouse.uploads.cutting import Parts, cut
from lakehouse.uploads.sources import Lines, Rows, Source, SourceFiles, find_files
from lakehouse.uploads.upload import Upload


class Load:
    """The uploads of one load. Made by `dataset.load()`."""

    def __init__(self, load_id: str, uploads: Sequence[Upload], known: int) -> None:
        self.id = load_id
        """Give it to `dataset.load(load_id=…)` to continue an interrupted load."""
        self.uploads = list(uploads)
        """One upload a part, in order of the frame ids."""
        self.known = known
        """How many parts an interrupted load had sent before."""

    @property
    def status(self) -> str:
        """PENDING, DONE, PARTIAL (some frames rejected) or FAILED (all of them)."""
        # One that waits makes the whole load wait: its outcome is not known.
        statuses = {upload.status for upload in self.uploads}
        if "PENDING" in statuses:
            return "PENDING"
        return statuses.pop() if len(statuses) == 1 else "PARTIAL"

    @property
    def counts(self) -> dict[str, int]:
        """Frames created, replaced, modified, deleted, unchanged and rejected."""
        return _sum_counts([upload.counts for upload in self.uploads])

    @property
    def label_counts(self) -> dict[str, int]:
        """Labels created, replaced, modified, deleted, unchanged and rejected."""
        return _sum_counts([upload.label_counts for upload in self.uploads])

    def errors(self) -> pl.DataFrame:
        """Every problem of every upload, with its `upload_id`, one a row."""
        return pl.concat(
            upload.errors().select(pl.lit(upload.id).alias("upload_id"), pl.all())
            for upload in self.uploads
        )

    def wait(self, timeout: timedelta = timedelta(minutes=5)) -> "Load":
        """Wait until every upload is settled.

        Args:
            timeout: The longest wait for each upload.

        Raises:
            WaitTimeoutError: If an upload is not settled in time.
        """
        for upload in self.uploads:
            upload.wait(timeout)
        return self

    def __repr__(self) -> str:
        changes = ", ".join(
            f"{count} {name}" for name, count in self.counts.items() if count
        )
        return (
            f"<Load {self.id} {self.status}, {len(self.uploads)} uploads: "
            f"{changes or 'nothing changed'}>"
        )


def _sum_counts(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for one in counts for name in one)
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return {name: total[name] for name in names}


PART_BYTES: Final = 128 * 1024**2
"""Bytes of a source that become one upload; its merge needs about ten times as much."""

DraftPart = Callable[..., Operations]
"""Makes operations of the tables of a part, in the order of the sources."""


class LoadOptions(TypedDict, total=False):
    """The options of a load; `dataset.load` explains them."""

    load_id: str | None
    part_bytes: int
    storage_options: Mapping[str, str]
    message: str | None
    metadata: Mapping[str, Any]
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Request:
    """The options of a load, with their defaults."""

    load_id: str | None = None
    part_bytes: int = PART_BYTES
    storage_options: Mapping[str, str] | None = None
    message: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    progress: Progress = silent


class LoadTarget(Protocol):
    """The part of a dataset or an inference set that a load uses."""

    name: str

    @property
    def mode(self) -> str:
        """STREAMING, or BATCH."""
        ...

    @property
    def storage_options(self) -> Mapping[str, str]:
        """The connection settings of its store."""
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
    draft: DraftPart,
    options: LoadOptions,
) -> Load:
    """Load sources part by part.

    Args:
        target: The target of the uploads.
        sources: Paths, folders, patterns, or lazy tables; None is left out.
        draft: Makes operations of the tables of a part.
        options: The options of the load.

    Raises:
        InvalidInputError: If a source cannot be read as a table with frame ids; if
            rows of some parts are refused (the others are loaded); or if
            `load_id` is of a load of other files.
    """
    request = _Request(**options)
    _check_load_id(request.load_id)
    load_id = request.load_id or new_upload_id()
    storage_options = request.storage_options
    if storage_options is None:
        storage_options = target.storage_options
    check_options(storage_options)
    given = [source for source in sources if source is not None]
    if not given:
        raise InvalidInputError("There is no source to load.", kind="load.empty")
    files = [
        source
        if isinstance(source, pl.LazyFrame)
        else find_files(os.fspath(source), storage_options)
        for source in given
    ]
    opened = [_open_source(source) for source in files]
    # Unknown columns are refused here, before anything is read or sent.
    draft(*[source.head() for source in opened])
    # First pass: ids alone. Second pass: rows, written to the files of their parts.
    bounds, rows = cut(opened, request.part_bytes)
    note = {"id": load_id, "parts": len(bounds) + 1, "source": _signature(files)}
    with tempfile.TemporaryDirectory(prefix="lakehouse-load-") as folder:
        parts = Parts(Path(folder), opened, bounds)
        # Refused before the second pass, which takes most of the time.
        if target.mode == "BATCH" and len(parts) > 1:
            raise _batch_error(target.name, len(parts))
        # Ids of uploads follow from the load's own, so the target says what was sent.
        known = _known_parts(target, note)
        parts.write(set(range(len(parts))) - known.keys(), rows, request.progress)
        return _send_parts(target, request, draft, parts, known=known, note=note)


def _send_parts(
    target: LoadTarget,
    request: _Request,
    draft: DraftPart,
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
        # A part with unreadable rows does not stop the others; all are reported at
        # the end.
        try:
            operations = draft(*parts.tables(part))
        except InvalidInputError as error:
            refused.append(f"Part {part + 1}: {error}")
            continue
        # The rows are in memory now: the disk need not hold them until the end.
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
            "labels; the others are loaded. Correct the rows and load again: what was "
            "loaded counts as unchanged.\n" + "\n".join(refused),
            kind="load.refused",
        )
    return Load(note["id"], uploads, len(known))


def _open_source(source: SourceFiles | pl.LazyFrame) -> Source:
    if isinstance(source, pl.LazyFrame):
        return Rows(source)
    return Lines(source) if source.kind == "jsonl" else Rows.of_files(source)


def _signature(files: Sequence[SourceFiles | pl.LazyFrame]) -> str | None:
    """Equal for the same files; None if a source is a lazy table, which has none."""
    signatures = [one.signature for one in files if isinstance(one, SourceFiles)]
    return "-".join(signatures) if len(signatures) == len(files) else None


def _check_load_id(load_id: str | None) -> None:
    """Refuse text that is not the id of a load."""
    if load_id is None:
        return
    try:
        uuid.UUID(load_id)
    except (ValueError, AttributeError, TypeError):
        raise InvalidInputError(
            f"{load_id!a} is no id of a load. Give the id of the interrupted load, or "
            "leave load_id out for a new one.",
            kind="load.id",
        ) from None


def _part_id(load_id: str, part: int) -> str:
    """The id of a part's upload: the load's own plus the number of the part."""
    return str(uuid.UUID(int=uuid.UUID(load_id).int + part))


def _known_parts(target: LoadTarget, note: Mapping[str, Any]) -> dict[int, str]:
    """The parts that were sent before, with the ids of their uploads.

    Raises:
        InvalidInputError: If an upload with such an id belongs to another load.
    """
    known: dict[int, str] = {}
    for part in range(note["parts"]):
        upload_id = _part_id(note["id"], part)
        try:
            recorded = target.upload(upload_id).metadata.get("load")
        except NotFoundError:
            continue
        # The same id with other parts would mix the rows of two loads.
        if recorded != dict(note) | {"part": part}:
            raise InvalidInputError(
                f"Load {note['id']} had other files, or other parts. Give the same "
                "files and the same part_bytes, or leave load_id out for a new load.",
                kind="load.other_source",
            )
        # A lazy table may have changed: its parts are sent again, and rows that are
        # equal count as unchanged.
        if note["source"] is not None:
            known[part] = upload_id
    return known


def _batch_error(name: str, parts: int) -> InvalidInputError:
    return InvalidInputError(
        f"{name!r} is BATCH: it is loaded all or nothing, by one upload, and this "
        f"source is {parts}. Give a larger part_bytes if memory allows, or load a "
        "STREAMING dataset.",
        kind="load.batch",
    )
