"""A dataset: frames and labels under one ledger.

Every write is one upload: `add`, `modify`, `upsert_labels` and `delete` each
make one, `open_upload` combines several into one. All of them end in `submit`,
the one way in. Every read starts at a version: `latest()` or `at(ref)`.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypedDict, Unpack

import polars as pl

from lakehouse.catalogue import SingleTable
from lakehouse.collection import Collection
from lakehouse.draft import Draft
from lakehouse.engines import Compaction, Merger, compact
from lakehouse.engines.pending import unsettled
from lakehouse.errors import ArchivedError, InvalidInputError
from lakehouse.history import frame_history
from lakehouse.model.operations import Operations
from lakehouse.settings import Settings, changed_row, pick
from lakehouse.snapshot import Snapshot
from lakehouse.submit import Submission, submit
from lakehouse.typing import FrameLike, LabelLike, VersionLike
from lakehouse.upload import Upload
from lakehouse.uploads import uploads_table
from lakehouse.versions import resolve, versions_table

__all__ = ["Dataset", "SubmitOptions"]

OnError = Literal["reject", "abort"]
IfExists = Literal["replace", "reject", "skip"]
Nulls = Literal["keep", "clear"]


class SubmitOptions(TypedDict, total=False):
    """What every call that writes takes; `Dataset.submit` tells their meaning."""

    message: str | None
    metadata: Mapping[str, Any] | None
    upload_id: str | None
    on_error: OnError
    based_on: Snapshot | int | None


class Dataset:
    """Frames and labels with a history. Made by `project.dataset()`."""

    def __init__(
        self,
        project: str,
        name: str,
        collection: Collection,
        registry: SingleTable,
        settings: Settings,
    ) -> None:
        self.project_name = project
        self.name = name
        self.collection = collection
        self._registry = registry
        self._settings = settings

    # -------------------------------- WRITING ------------------------------- #

    def add(
        self,
        frames: FrameLike,
        labels: LabelLike | None = None,
        *,
        if_exists: IfExists = "replace",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Add frames with their labels, or replace frames wholly.

        A frame that is there already is replaced: its sensors, metadata,
        labels and embedding become exactly what these rows carry.

        Args:
            frames: Rows with `frame_id`, `image_url` or `sensors`, metadata as
                `user__<name>`: anything Arrow, a LazyFrame, dicts, or a path.
            labels: Rows with `frame_id`, `label_id`, `class_name`, geometry.
            if_exists: Whether a frame that is there is replaced, rejected, or
                skipped.
            **options: As `submit` takes them: message, metadata, upload_id,
                on_error, based_on.

        Returns:
            The upload; frames at fault are in `upload.errors()`.

        Raises:
            InvalidInputError: If the rows cannot be read as frames or labels:
                an unknown column, a missing or repeated id. Nothing is written.
        """
        draft = Draft()
        draft.add(frames, labels, if_exists=if_exists)
        return self.submit(draft.operations(), **options)

    def modify(
        self,
        frames: FrameLike | None = None,
        labels: LabelLike | None = None,
        *,
        nulls: Nulls = "keep",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Merge the fields given into frames and labels that are there.

        Args:
            frames: Rows with `frame_id` and the fields to change.
            labels: Rows with `frame_id`, `label_id` and the fields to change.
            nulls: `keep` leaves a field alone where its value is null;
                `clear` sets it to null.
            **options: As `submit` takes them.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = Draft()
        draft.modify(frames, labels, nulls=nulls)
        return self.submit(draft.operations(), **options)

    def upsert_labels(
        self, labels: LabelLike, **options: Unpack[SubmitOptions]
    ) -> Upload:
        """Create labels, or replace those there wholly; other labels stay.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = Draft()
        draft.upsert_labels(labels)
        return self.submit(draft.operations(), **options)

    def delete(
        self,
        frames: FrameLike | list[str] | None = None,
        labels: LabelLike | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Take frames, or single labels, out of the latest version.

        Older versions keep them.

        Args:
            frames: Frame ids, or rows with `frame_id`.
            labels: Rows with `frame_id` and `label_id`.
            **options: As `submit` takes them.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = Draft()
        draft.delete(frames, labels)
        return self.submit(draft.operations(), **options)

    @contextmanager
    def open_upload(self, **options: Unpack[SubmitOptions]) -> Generator[Draft]:
        """Combine several verbs into one upload, and so into one version.

        It is submitted when the block ends; if the block raises, nothing is.
        Afterwards `draft.upload` is the upload.
        """
        draft = Draft()
        yield draft
        draft.upload = self.submit(draft.operations(), **options)

    def submit(
        self,
        operations: Operations,
        *,
        message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        upload_id: str | None = None,
        on_error: OnError = "reject",
        based_on: Snapshot | int | None = None,
        retry_of: str | None = None,
    ) -> Upload:
        """Stage operations durably and, unless merging is deferred, merge them.

        Args:
            operations: What `lakehouse.intake` made of rows.
            message: Why; kept with the version.
            metadata: Anything JSON can hold; kept with the upload.
            upload_id: An id of one's own: the same id with the same rows is
                the same upload, so a call can be repeated without harm.
            on_error: `reject` the frames at fault and land the others, or
                `abort`: all or nothing.
            based_on: Reject frames that were changed after this snapshot.
            retry_of: The upload whose rejected frames this one mends.

        Raises:
            InvalidInputError: If `upload_id` is taken by other rows, or the
                dataset is a BATCH dataset that was loaded already.
            ArchivedError: If the dataset is archived.
            StorageError: If the store failed. If the upload was staged it will
                be merged by the next merge, and repeating the call is safe.
        """
        self._require_writable(upload_id)
        base = based_on.version if isinstance(based_on, Snapshot) else based_on
        submission = Submission(
            operations=operations,
            author=self._settings.author,
            message=message,
            metadata=dict(metadata or {}),
            upload_id=upload_id,
            on_error="abort" if self.mode == "BATCH" else on_error,
            based_on=base,
            retry_of=retry_of,
            mode=self.mode,
        )
        staged, operations = submit(self.collection, submission)
        if self._settings.inline:
            at_hand = {staged: operations}
            Merger(self.collection, at_hand, compacts=self._settings.compacts).run()
        return Upload(self.collection, staged, self.submit)

    def merge_pending(self) -> list[Upload]:
        """Merge everything staged, and return what was settled.

        Raises:
            StorageError: If the store failed; what is staged stays staged.
        """
        return [
            Upload(self.collection, settled, self.submit)
            for settled in Merger(
                self.collection, compacts=self._settings.compacts
            ).run()
        ]

    def compact(self) -> Compaction:
        """Write the same rows in fewer files, without dead ones; no version is made.

        It is done by itself behind merges when it is due, so this is for those
        who want all of it now. Safe beside running writers.

        Returns:
            What was done, table by table; `to_frame()` gives it as rows.

        Raises:
            StorageError: If the store failed; nothing has changed then.
        """
        return compact(self.collection, full=True)

    @property
    def is_processing(self) -> bool:
        """Whether acknowledged uploads wait to be merged."""
        waiting = unsettled(self.collection, self.collection.head().version)
        return any(map(self.collection.staging.is_acknowledged, waiting))

    def _require_writable(self, upload_id: str | None) -> None:
        if self.is_archived:
            raise ArchivedError(
                f"Dataset {self.name!r} is archived. Undo it with "
                f"dataset.archive(archived=False).",
                kind="dataset.archived",
            )
        if self.mode == "BATCH" and upload_id is None and self._is_loaded():
            raise InvalidInputError(
                f"Dataset {self.name!r} is a BATCH dataset and was loaded already: it "
                "does not change any more. Load a new dataset, or create one with "
                'mode="STREAMING".',
                kind="dataset.immutable",
            )

    def _is_loaded(self) -> bool:
        rows = uploads_table(self.collection, self.name, "BATCH")
        return bool(rows.filter(pl.col("status") != "FAILED").height)

    # -------------------------------- READING ------------------------------- #

    @property
    def version(self) -> int:
        """The newest version."""
        return self.collection.head().content_version

    def latest(self) -> Snapshot:
        """The newest version as a snapshot."""
        return self.at("latest")

    def at(self, ref: VersionLike) -> Snapshot:
        """The dataset as it was: at a version, or at a time.

        Args:
            ref: A version number, `"latest"`, or an aware datetime: the last
                version at or before it.

        Raises:
            NotFoundError: If there never was such a version.
            InvalidInputError: If the datetime has no zone.
        """
        return Snapshot.resolve(self.collection, resolve(self.collection, ref))

    def versions(self) -> pl.DataFrame:
        """All versions, oldest first: time, author, message, uploads, counts."""
        return versions_table(self.collection)

    def history(self, frame_id: str, *, label_id: str | None = None) -> pl.DataFrame:
        """Every change to a frame and its labels, oldest first.

        Args:
            frame_id: The frame; deleted ones have a history too.
            label_id: Only this label.

        Returns:
            A row a change: version, time, author, message, upload_id, op, the
            label if it was one, and `changed`: fields with the JSON of their
            values before and after.

        Raises:
            NotFoundError: If the frame, or the label, never was in the dataset.
        """
        return frame_history(self.collection, frame_id, label_id)

    def changes(
        self,
        *,
        after: int = 0,
        table: Literal[
            "frames", "labels", "frame_embeddings", "label_embeddings"
        ] = "labels",
    ) -> pl.LazyFrame:
        """The change log: every row image since a version, with its version.

        Args:
            after: Only changes of later versions.
            table: Whose change log.
        """
        head = self.collection.head().version
        uploads = self.collection.scan(
            "uploads", head, columns=["upload_id", "version"]
        )
        return (
            self.collection.scan(f"{table}_changes", head)
            .join(uploads, on="upload_id", how="inner")
            .filter(pl.col("version") > after)
            .drop("row_hash")
        )

    # -------------------------------- UPLOADS ------------------------------- #

    def upload(self, upload_id: str) -> Upload:
        """The upload of that id.

        Raises:
            NotFoundError: If the dataset does not know it.
        """
        upload = Upload(self.collection, upload_id, self.submit)
        upload.refresh()
        return upload

    def uploads(self) -> pl.DataFrame:
        """Every upload to the dataset, settled or waiting, newest first."""
        rows = uploads_table(self.collection, self.name, self.mode)
        return rows.sort("submitted_at", descending=True)

    # ------------------------------ THE DATASET ----------------------------- #

    @property
    def mode(self) -> str:
        """STREAMING, or BATCH."""
        return str(self._row()["mode"])

    @property
    def is_archived(self) -> bool:
        """Whether the dataset is archived: readable, and not written."""
        return bool(self._row()["archived"])

    @property
    def metadata(self) -> dict[str, Any]:
        """The dataset's own metadata."""
        found: dict[str, Any] = json.loads(self._row()["metadata"] or "{}")
        return found

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the dataset's own metadata by anything JSON can hold."""
        self._update({"metadata": json.dumps(dict(metadata))})

    def archive(self, *, archived: bool = True) -> None:
        """Hide the dataset from lists and refuse writes to it, or undo that."""
        self._update({"archived": archived})

    def _row(self) -> dict[str, Any]:
        return pick(self._registry.rows(), "dataset", self.name)

    def _update(self, fields: dict[str, Any]) -> None:
        self._registry.update(
            lambda rows: changed_row(rows, "dataset", self.name, lambda _: fields)
        )

    def __repr__(self) -> str:
        latest = self.collection.latest()
        return (
            f"<Dataset {self.project_name}/{self.name} version {latest.version}: "
            f"{latest.rows['frames']} frames, {latest.rows['labels']} labels>"
        )
