"""Staging: uploads that are durable and wait to be merged.

An upload is staged as Parquet parts and a manifest that is put last, if absent.
Once the manifest is there, the upload is acknowledged: the next merge settles it,
exactly once.

    staging/<upload_id>/
        frames-<token>-0.parquet  labels-…  problems-…  what was sent
        manifest.json                                   counts, content hash, author …
        settled.json                                    kept only for its rejected rows

The rows of a small upload are in the manifest itself: one object to write, to make
durable, to read and to sweep, where there would be three.

Part names carry a token of their own, so two processes that stage the same id
at once never write into each other's parts: the manifest names the right ones.
"""

import base64
import io
import itertools
import json
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from lakehouse.delta.log import Action, data_file_name
from lakehouse.delta.writer import add_action, file_rows, without_nulls
from lakehouse.errors import (
    FormatError,
    InvalidInputError,
    NotFoundError,
    StorageError,
)
from lakehouse.ledger.prepared import Prepared, as_sent
from lakehouse.model.contracts import Layout
from lakehouse.model.ids import can_be_staged, new_upload_id
from lakehouse.model.operations import OP, Operations
from lakehouse.model.problems import PROBLEM_SCHEMA
from lakehouse.storage import Store, collect_all
from lakehouse.storage.conditional import put_once
from lakehouse.types import Progress, silent

FORMAT: Final = 1
"""The format of manifests that this release writes, and the newest it reads."""

_WRITERS: Final = 2
"""Threads that write parts: one encodes while the disk syncs what the other wrote."""

_INLINE_ROWS: Final = 64
_INLINE_BYTES: Final = 64 * 1024
"""A part of up to so many rows and bytes is in the manifest.

About there a Parquet file's own frame costs as much as the rows. A manifest is read
whole whenever uploads are listed, so it must stay small.
"""

_ABANDONED: Final = "abandoned"
"""Kind and content hash of a manifest that says: this upload was never acknowledged."""

_PARTS: Final = ("frames", "labels", "problems")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a staged upload but its rows."""

    upload_id: str
    """A UUIDv7 of ours, or a text of the caller's: who the upload is, not when it came."""
    content_hash: str
    """Equal for equal rows, whatever their order: the same call made again."""
    submitted_at: datetime
    """UTC."""
    frame_count: int
    """Distinct frames named by the upload."""
    label_count: int
    """Label rows in the upload."""
    parts: dict[str, list[str]]
    """Part (frames, labels, problems) to file names; absent parts are empty."""
    rows: dict[str, str] = field(default_factory=dict[str, str])
    """Small parts: an Arrow stream, in base 64."""
    encoded_parts: dict[str, list[Action]] = field(
        default_factory=dict[str, list[Action]]
    )
    """Parts staged as files that their table can have as they are, and the actions
    that would add them. In the stored manifest the key is `images`."""
    classes: dict[str, int] = field(default_factory=dict[str, int])
    """Class names in encoded parts, and the ids that they were encoded with."""
    mode: str = "STREAMING"
    """STREAMING or BATCH, as the dataset is."""
    kind: str = "write"
    """What made the upload: `write`, `restore`, `revert`; or `abandoned`."""
    author: str | None = None
    message: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    on_error: str = "reject"
    """`reject` the frames at fault, or `abort` the whole upload."""
    based_on: int | None = None
    """Frames changed after this version are rejected."""
    retry_of: str | None = None
    """The upload whose rejected frames this one mends."""
    order: str = ""
    """UUIDv7 of ours, by which uploads are merged; the id where that is one of ours.
    Empty in manifests of earlier releases, which ordered by the id."""

    @property
    def place(self) -> str:
        """What uploads are sorted by."""
        return self.order or self.upload_id

    def encode(self) -> bytes:
        """The manifest's bytes, as they are put."""
        fields = asdict(self) | {"submitted_at": self.submitted_at.isoformat()}
        fields["images"] = fields.pop("encoded_parts")
        return json.dumps({"format": FORMAT} | fields, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Read a manifest back.

        Raises:
            FormatError: If a newer release wrote it, or it is damaged.
        """
        try:
            fields: dict[str, Any] = json.loads(data)
            written = int(fields.pop("format"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"This is not the manifest of a staged upload: {data[:80]!r}. Restore it "
                "from a backup, or remove the upload's folder and send its rows again.",
                kind="staging.damaged",
            ) from error
        if written > FORMAT:
            raise FormatError(
                f"Upload {fields.get('upload_id')} was staged in format {written}; "
                f"this release reads up to {FORMAT}. Upgrade the package.",
                kind="format.newer",
            )
        fields["submitted_at"] = datetime.fromisoformat(fields["submitted_at"])
        fields["encoded_parts"] = fields.pop("images", {})
        return cls(**fields)


class Staging:
    """The uploads of one collection that wait, or keep rejected rows."""

    def __init__(self, store: Store, path: str, layout: Layout) -> None:
        self._store = store
        self._layout = layout
        self._path = f"{path}/staging"
        self._settled: set[str] = set()
        self._newest = ""
        self._places: dict[str, str] = {}

    def new_id(self) -> str:
        """An upload id later than the place of every upload that waits here.

        So the order of acknowledged uploads survives clocks that disagree. An id that
        a caller chose is no time, and says nothing of when its upload came: its
        manifest does.
        """
        waiting = [
            name for name in self._store.names(self._path) if name not in self._settled
        ]
        newest = max(self.places(waiting).values(), default="")
        self._newest = new_upload_id(max(newest, self._newest) or None)
        return self._newest

    def places(self, upload_ids: Sequence[str]) -> dict[str, str]:
        """The places in the order of uploads of those of these that are acknowledged.

        One that is staged in a format that this release cannot read has its id's.
        """
        # A manifest never changes, so what was read once is kept: one request for each
        # upload that another process staged.
        unread = [name for name in upload_ids if name not in self._places]
        if self._store.at_once > 1 and len(unread) > 1:
            with ThreadPoolExecutor(self._store.at_once) as pool:
                list(pool.map(self._read_place, unread))
        else:
            for name in unread:
                self._read_place(name)
        known = self._places
        return {name: known[name] for name in upload_ids if name in known}

    def _read_place(self, upload_id: str) -> None:
        try:
            self._read_manifest(upload_id)
        except NotFoundError:
            return
        except FormatError:
            self._places[upload_id] = upload_id

    def stage(
        self,
        prepared: Prepared,
        manifest: Manifest,
        progress: Progress = silent,
        *,
        durable: bool = True,
    ) -> Manifest:
        """Stage an upload, and return the manifest that is in the store.

        Args:
            prepared: The rows of the upload.
            manifest: Everything else about it.
            progress: Called with `staging`, how many rows are staged, and of how many.
            durable: Whether the upload is acknowledged by this. It need not be durable
                where the same call merges it: its ledger entry will be.

        Raises:
            InvalidInputError: If the upload's id is taken by other content.
        """
        # In the names of this attempt's files: the same call made twice side by side
        # must not write into one file, and the loser deletes only its own.
        token = secrets.token_hex(4)
        own = replace(manifest, classes=dict(prepared.classes))
        parts = {name: getattr(prepared.operations, name) for name in _PARTS}
        count = _Counter(progress, sum(part.height for part in parts.values()))
        try:
            for name, rows in parts.items():
                if name in prepared.encoded_parts:
                    self._write_encoded(own, name, token, rows, count)
                elif rows.height:
                    self._write_rows(own, name, token, rows)
                    count.add(rows.height)
        except StorageError:
            with suppress(StorageError):
                self._delete_parts(own)
            raise
        path = self._file(manifest.upload_id, "manifest.json")
        # THE ACKNOWLEDGEMENT: the parts are durable before the manifest is there, and
        # from here on the upload will be merged, whatever happens to this process.
        written = self.paths(own)[1:] if durable else []
        if put_once(self._store, path, own.encode(), durable=durable, after=written):
            self._places[own.upload_id] = own.place
            return own
        # The id is taken. The same call was made twice, side by side or after a lost
        # answer, or somebody else uses it: then the content differs, and it is refused.
        existing = self._read_manifest(manifest.upload_id)
        self._delete_parts(own)
        require_same_content(existing.content_hash, own)
        # Another process may have put it a moment ago, or never meant to flush it.
        if durable:
            self._store.flush(self.paths(existing))
        return existing

    def paths(self, manifest: Manifest) -> list[str]:
        """The paths of a manifest and its parts."""
        names = [
            "manifest.json",
            *itertools.chain.from_iterable(manifest.parts.values()),
        ]
        return [self._file(manifest.upload_id, name) for name in names]

    def _delete_parts(self, manifest: Manifest) -> None:
        for path in self.paths(manifest)[1:]:
            self._store.delete(path)

    def _write_rows(
        self, manifest: Manifest, name: str, token: str, rows: pl.DataFrame
    ) -> None:
        """Stage rows as they were sent: in the manifest, or in a file beside it."""
        if (
            rows.height <= _INLINE_ROWS
            and len(stream := _stream(rows)) <= _INLINE_BYTES
        ):
            manifest.rows[name] = base64.b64encode(stream).decode()
            return
        manifest.parts[name] = [f"{name}-{token}-0.parquet"]
        path = self._file(manifest.upload_id, manifest.parts[name][0])
        self._store.write_table(path, rows)

    def _write_encoded(
        self,
        manifest: Manifest,
        name: str,
        token: str,
        rows: pl.DataFrame,
        count: "_Counter",
    ) -> None:
        """Stage rows as files that their table can have as they are."""
        rows = rows.rename({OP: "op"}).with_columns(
            upload_id=pl.lit(manifest.upload_id)
        )
        # Cut to the size that tables want their files to have, as these become theirs.
        step = file_rows(rows)
        parts = [rows.slice(start, step) for start in range(0, rows.height, step)]
        names = [f"{name}-{token}-{number}.parquet" for number in range(len(parts))]
        manifest.parts[name] = names

        def write(part: pl.DataFrame, file: str) -> Action:
            path = self._file(manifest.upload_id, file)
            written = self._store.write_table(path, without_nulls(part), durable=True)
            return add_action(file, written, part, self._layout.contract(name))

        with ThreadPoolExecutor(_WRITERS) as pool:
            for part, action in zip(parts, pool.map(write, parts, names), strict=True):
                manifest.encoded_parts.setdefault(name, []).append(action)
                count.add(part.height)

    def manifest(self, upload_id: str) -> Manifest:
        """The manifest of a staged upload.

        Raises:
            NotFoundError: If no such upload is staged.
        """
        if not can_be_staged(upload_id):
            raise missing_upload(upload_id)
        manifest = self._read_manifest(upload_id)
        if manifest.kind == _ABANDONED:
            raise missing_upload(upload_id)
        return manifest

    def _read_manifest(self, upload_id: str) -> Manifest:
        data = self._store.read(self._file(upload_id, "manifest.json"))
        manifest = Manifest.decode(data)
        self._places[upload_id] = manifest.place
        return manifest

    def abandon(self, upload_id: str) -> bool:
        """Declare that an upload was never acknowledged; False if it was.

        It takes the place of the manifest, so the declaration and a slow writer's
        acknowledgement cannot both succeed.
        """
        manifest = Manifest(
            upload_id=upload_id,
            content_hash=_ABANDONED,
            submitted_at=datetime.now(UTC),
            frame_count=0,
            label_count=0,
            parts={},
            kind=_ABANDONED,
        )
        path = self._file(upload_id, "manifest.json")
        put_once(self._store, path, manifest.encode(), durable=True)
        return self.is_abandoned(upload_id)

    def is_abandoned(self, upload_id: str) -> bool:
        """Whether it was declared that the upload was never acknowledged."""
        try:
            return self._read_manifest(upload_id).kind == _ABANDONED
        except NotFoundError:
            return False

    def read(self, manifest: Manifest) -> Operations:
        """The rows of a staged upload.

        Raises:
            NotFoundError: If they were settled and swept by another merger.
        """
        parts = self._parts(manifest)
        return Operations(**{name: as_sent(part) for name, part in parts.items()})

    def read_prepared(self, manifest: Manifest) -> Operations:
        """The rows of a staged upload, with the hashes of parts that are encoded."""
        return Operations(**self._parts(manifest))

    def read_many(self, manifests: Sequence[Manifest]) -> dict[str, Operations]:
        """The rows of several small uploads, read at once; by their ids.

        Raises:
            NotFoundError: If one was settled and swept by another merger.
        """
        places = [
            (manifest.upload_id, name, file)
            for manifest in manifests
            for name, files in manifest.parts.items()
            for file in files
        ]
        read = collect_all(
            self._store.scan([self._file(upload_id, file)])
            for upload_id, _, file in places
        )
        parts: dict[str, dict[str, pl.DataFrame]] = {
            manifest.upload_id: {
                name: _rows_in_manifest(manifest, name) for name in _PARTS
            }
            for manifest in manifests
        }
        for (upload_id, name, _), rows in zip(places, read, strict=True):
            parts[upload_id][name] = rows
        return {upload_id: Operations(**rows) for upload_id, rows in parts.items()}

    def share_encoded_parts(
        self, manifest: Manifest, name: str, table_path: str
    ) -> list[Action]:
        """Give the files of a part to a table; the actions that add them there.

        Hard links, or copies made by the store: staging can be swept afterwards.
        """
        adds: list[Action] = []
        for action in manifest.encoded_parts[name]:
            # A new name: those of staged files are unique within their upload only.
            add = action["add"] | {"path": data_file_name()}
            staged = self._file(manifest.upload_id, action["add"]["path"])
            self._store.share(staged, f"{table_path}/{add['path']}")
            adds.append({"add": add})
        return adds

    def _parts(self, manifest: Manifest) -> dict[str, pl.DataFrame]:
        return {
            name: (
                self._part(manifest, name)
                if name in manifest.parts
                else _rows_in_manifest(manifest, name)
            )
            for name in _PARTS
        }

    def _part(self, manifest: Manifest, name: str) -> pl.DataFrame:
        paths = [self._file(manifest.upload_id, file) for file in manifest.parts[name]]
        rows = pl.concat(
            collect_all(self._store.scan([path]) for path in paths), how="diagonal"
        )
        if name in manifest.encoded_parts:
            rows = rows.rename({"op": OP}).drop("upload_id")
        return rows

    def waiting(self) -> list[str]:
        """Ids with a folder here that are not known to be settled, in order."""
        # By id, so that each process lists them alike; merges go by their places.
        names = sorted(self._store.names(self._path))
        return [name for name in names if not self.is_kept(name)]

    def is_acknowledged(self, upload_id: str) -> bool:
        """Whether the upload was staged completely: its manifest is there.

        A writer that died while staging leaves parts without one.
        """
        path = self._file(upload_id, "manifest.json")
        return self._store.exists(path) and not self.is_abandoned(upload_id)

    def has_content(self, upload_id: str, content_hash: str) -> bool:
        """Whether what is staged under an id has that content hash."""
        try:
            return self._read_manifest(upload_id).content_hash == content_hash
        except (NotFoundError, FormatError):
            return False

    def is_kept(self, upload_id: str) -> bool:
        """Whether the upload is settled and only its rejected rows are kept."""
        # A cached yes stays true; a no is asked again, since another process may settle.
        if upload_id not in self._settled and self._store.exists(
            self._file(upload_id, "settled.json")
        ):
            self._settled.add(upload_id)
        return upload_id in self._settled

    def note_settled(self, upload_ids: list[str]) -> None:
        """Cache that these uploads are settled."""
        self._settled.update(upload_ids)

    def keep_rejected(self, upload_id: str) -> None:
        """Mark a settled upload whose rejected rows are worth keeping."""
        at = datetime.now(UTC).isoformat()
        data = json.dumps({"settled_at": at}).encode()
        self._store.put(self._file(upload_id, "settled.json"), data)
        self._settled.add(upload_id)

    def sweep(self, upload_id: str, content_hash: str) -> None:
        """Remove a settled upload that kept nothing.

        Args:
            upload_id: The upload.
            content_hash: Of the rows that were settled under its id. Others that lie
                there were staged after the settled ones were swept: they stay.
        """
        self._settled.add(upload_id)
        try:
            manifest = self._read_manifest(upload_id)
        except NotFoundError:
            return
        if manifest.content_hash == content_hash:
            self.remove(manifest)

    def remove(self, manifest: Manifest) -> None:
        """Remove what is staged of an upload that nobody was told of, or that is settled."""
        # The manifest last: what is cut short is still an acknowledged upload, which is
        # found settled, and not parts of a dead writer that nobody can judge.
        for part in itertools.chain.from_iterable(manifest.parts.values()):
            self._store.delete(self._file(manifest.upload_id, part))
        self._store.delete(self._file(manifest.upload_id, "manifest.json"))
        self._places.pop(manifest.upload_id, None)

    def _file(self, upload_id: str, name: str) -> str:
        return f"{self._path}/{upload_id}/{name}"


class _Counter:
    """Reports how many rows are staged."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self.add(0)

    def add(self, rows: int) -> None:
        """Report that so many more rows are durable."""
        self._done += rows
        self._progress("staging", self._done, self._total)


def require_same_content(content_hash: str, manifest: Manifest) -> None:
    """Refuse an upload id that is taken by other rows.

    Args:
        content_hash: The hash of the upload that has the id.
        manifest: The upload that asks for it.

    Raises:
        InvalidInputError: If the hashes differ.
    """
    if content_hash != manifest.content_hash:
        raise InvalidInputError(
            f"Upload id {manifest.upload_id!r} is taken by an upload with other "
            "rows. Send the same rows again, or leave upload_id out to get a new id.",
            kind="upload.id_taken",
        )


def require_untaken(staging: Staging, upload_id: str) -> None:
    """Refuse an upload id that is taken by an upload that waits.

    Raises:
        InvalidInputError: If there is one.
    """
    if staging.is_acknowledged(upload_id):
        raise InvalidInputError(
            f"Upload id {upload_id!r} is taken by an upload that waits to be merged. "
            "Leave upload_id out to get a new id.",
            kind="upload.id_taken",
        )


def _rows_in_manifest(manifest: Manifest, name: str) -> pl.DataFrame:
    """The rows of a part that are in the manifest; empty if none are."""
    if name in manifest.rows:
        return pl.read_ipc_stream(base64.b64decode(manifest.rows[name]))
    return pl.DataFrame(schema=PROBLEM_SCHEMA if name == "problems" else None)


def _stream(rows: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    rows.write_ipc_stream(stream)
    return stream.getvalue()


def missing_upload(upload_id: str) -> NotFoundError:
    """The error for an upload that is neither staged nor settled."""
    return NotFoundError(
        f"There is no upload {upload_id!r} here. dataset.uploads() lists them.",
        kind="upload.unknown",
    )
