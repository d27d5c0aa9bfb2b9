"""The base of datasets and inference sets: a named collection with a history.

Every write ends in `submit`; every read starts at a version, `latest()` or `at(ref)`.
Methods delegate: uploads are in `uploads`, reading and comparing in `versions`,
merging, undoing and upkeep in `transactions`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from lakehouse.catalog.registry import Mode, RegistryRow
from lakehouse.catalog.settings import Settings
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.settled import unsettled
from lakehouse.model.operations import Operations
from lakehouse.transactions import (
    Compaction,
    Garbage,
    collect_garbage,
    compact,
    merge_pending,
)
from lakehouse.transactions.garbage import GRACE, RETENTION
from lakehouse.transactions.repair import Repair, repair
from lakehouse.transactions.undo import Conflicts, Request, restore, revert
from lakehouse.types import LiveTable, Progress, VersionLike, silent
from lakehouse.uploads.listing import Status, uploads_table
from lakehouse.uploads.submit import OnError, Submission, submit
from lakehouse.uploads.upload import Upload, settled_change
from lakehouse.verify import Verification, verify
from lakehouse.versions import Diff, diff_between
from lakehouse.versions.bisect import Bisection, bisect
from lakehouse.versions.history import changes_after, frame_history
from lakehouse.versions.resolve import resolve, versions_table
from lakehouse.versions.snapshot import Snapshot, snapshot_at


class Versioned:
    """A named collection with a history: a dataset or an inference set.

    Args:
        name: Its name, unique in its project or dataset.
        collection: Its tables and its ledger.
        row: Its row in the registry of the project.
        settings: The choices of the connection.
    """

    def __init__(
        self, name: str, collection: Collection, row: RegistryRow, settings: Settings
    ) -> None:
        self.name = name
        self._collection = collection
        self._registry_row = row
        self._settings = settings

    # -------------------------------- WRITING ------------------------------- #

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
        progress: Progress = silent,
    ) -> Upload:
        """Stage operations durably and, unless merging is deferred, merge them.

        Args:
            operations: The operations that `lakehouse.intake` made of rows.
            message: The reason, kept with the version.
            metadata: Anything JSON can hold; kept with the upload.
            upload_id: An id chosen by the caller: the same id with the same rows is
                the same upload, so a call can be repeated safely.
            on_error: `reject` the frames with problems and land the others, or
                `abort`: all or nothing.
            based_on: Reject frames that were changed after this snapshot.
            retry_of: The upload whose rejected frames this one corrects.
            progress: Called with the stage (`staging`, `merging`), how many rows are
                staged or uploads settled, and of how many.

        Raises:
            InvalidInputError: If `upload_id` is taken by other rows, or the
                dataset is BATCH and was loaded already.
            ArchivedError: If the dataset is archived.
            StorageError: If the store failed. If the upload was staged it will
                be merged by the next merge, and repeating the call is safe.
        """
        self._require_writable(upload_id)
        base = based_on.version if isinstance(based_on, Snapshot) else based_on
        mode = self.mode
        submission = Submission(
            operations=operations,
            author=self._settings.author,
            message=message,
            metadata=dict(metadata or {}),
            upload_id=upload_id,
            # All or nothing: a BATCH dataset that landed in part could not be mended.
            on_error="abort" if mode == "BATCH" else on_error,
            based_on=base,
            retry_of=retry_of,
            mode=mode,
        )
        staged, operations = submit(
            self._collection, submission, progress, is_merged=self._settings.inline
        )
        if self._settings.inline:
            merge_pending(
                self._collection,
                # The merge takes the rows from memory instead of reading them back.
                staged={staged: operations},
                compacts=self._settings.compacts,
                progress=progress,
            )
        return Upload(self._collection, staged, self.submit)

    # -------------------------------- READING ------------------------------- #

    @property
    def version(self) -> int:
        """The newest version."""
        return self._collection.head().content_version

    def latest(self) -> Snapshot:
        """The newest version as a snapshot."""
        return self.at("latest")

    def at(self, ref: VersionLike) -> Snapshot:
        """The dataset as it was: at a version, a checkpoint, or a time.

        Args:
            ref: A version number, the name of a checkpoint, `"latest"`, or an
                aware datetime: the last version at or before it.

        Raises:
            NotFoundError: If there never was such a version.
            InvalidInputError: If the datetime has no zone.
        """
        return snapshot_at(self._collection, resolve(self._collection, ref))

    def versions(self) -> pl.DataFrame:
        """All versions, oldest first: time, author, message, uploads, counts."""
        return versions_table(self._collection)

    def history(self, frame_id: str, *, label_id: str | None = None) -> pl.DataFrame:
        """Every change to a frame and its labels, oldest first.

        Args:
            frame_id: The frame; deleted ones have a history too.
            label_id: Only this label.

        Returns:
            A row a change: version, time, author, message, upload_id, op, the id of
            the label if a label changed, and `changed`: fields with the JSON of their
            values before and after.

        Raises:
            NotFoundError: If the frame, or the label, never was in the dataset.
        """
        return frame_history(self._collection, frame_id, label_id)

    def diff(
        self, a: VersionLike | Snapshot, b: VersionLike | Snapshot = "latest"
    ) -> Diff:
        """What differs from one version to another, in either direction.

        The time grows with the changes between the two, not with the dataset. Filters
        of snapshots count: all their rows are compared, which takes as long as
        reading them.

        Args:
            a: The start: as `at` takes it, or a snapshot.
            b: The end, likewise.

        Raises:
            NotFoundError: If there never was such a version.
            InvalidInputError: If a datetime has no zone, or a snapshot is of
                another dataset.
        """
        start = a if isinstance(a, Snapshot) else self.at(a)
        end = b if isinstance(b, Snapshot) else self.at(b)
        return diff_between(start, end)

    def changes(
        self,
        *,
        after: int = -1,
        table: LiveTable = "labels",
    ) -> pl.LazyFrame:
        """The change log: every row that was written since a version, with its version.

        Args:
            after: Only changes of later versions; all when left out, including the
                rows that a clone began with, at version 0.
            table: The table whose change log is read.
        """
        return changes_after(self._collection, after, table)

    def bisect(
        self,
        is_good: Callable[[Snapshot], bool],
        *,
        good: VersionLike,
        bad: VersionLike = "latest",
    ) -> Bisection:
        """Find the version that turned good into bad, by about log2(versions) calls.

        Args:
            is_good: Whether a snapshot is good: any function, such as one that
                trains, or one that counts labels.
            good: A version that is known to be good; it is not evaluated.
            bad: A later one that is known to be bad; it is not evaluated either.

        Raises:
            NotFoundError: If there never was such a version.
            InvalidInputError: If the bad version is not later than the good one.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp())
        >>> dataset = lake.create_project("cells", classes=["cell"]).create_dataset(
        ...     "hela"
        ... )
        >>> for n in range(5):
        ...     upload = dataset.add([{"frame_id": f"f{n}", "image_url": "f.png"}])
        >>> result = dataset.bisect(lambda part: part.counts["frames"] < 4, good=1)
        >>> result.bad, result.evaluations.height
        (4, 4)
        """
        return bisect(self._collection, is_good, good=good, bad=bad)

    # -------------------------------- UNDOING ------------------------------- #

    def restore(
        self,
        ref: VersionLike,
        *,
        message: str | None = None,
        upload_id: str | None = None,
    ) -> Upload:
        """Make the content of an earlier version the newest, as a new version.

        Versions between the two stay, and histories show the restore. Staged uploads
        are merged first. The cost grows with the changes since that version.

        Args:
            ref: As `at` takes it.
            message: The reason, kept with the version.
            upload_id: An id chosen by the caller, so that the call can be repeated.

        Raises:
            NotFoundError: If there never was such a version.
            ConflictError: If other writers were always first.
        """
        self._require_writable(upload_id)
        # Resolved before pending uploads are merged: "latest" means what the caller
        # sees.
        version = resolve(self._collection, ref)
        self.merge_pending()
        request = self._request(message or f"restore of version {version}", upload_id)
        settled = restore(self._collection, version, request)
        return Upload(self._collection, settled, self.submit)

    def revert(
        self,
        change: Upload | int | str,
        *,
        conflicts: Conflicts = "keep",
        message: str | None = None,
        upload_id: str | None = None,
    ) -> Upload:
        """Undo exactly one change, and keep later work.

        Rows that were changed again since are conflicts: they stay as they are and
        are listed in `errors()` of the returned upload, which is then PARTIAL, or
        FAILED if nothing could be undone.

        Args:
            change: An upload or its id, or the number of a version: all its uploads.
            conflicts: `keep` rows that were changed since, or `overwrite` them.
            message: The reason, kept with the version.
            upload_id: An id chosen by the caller, so that the call can be repeated.

        Raises:
            NotFoundError: If there is no such upload or version.
            InvalidInputError: If the upload waits to be merged, or the version
                changed nothing.
            ConflictError: If other writers were always first.
        """
        self._require_writable(upload_id)
        self.merge_pending()
        version, uploads = settled_change(self._collection, change)
        name = change.id if isinstance(change, Upload) else change
        request = self._request(message or f"revert of {name}", upload_id)
        settled = revert(
            self._collection, version, uploads, request, conflicts=conflicts
        )
        return Upload(self._collection, settled, self.submit)

    def _request(self, message: str, upload_id: str | None) -> Request:
        return Request(
            author=self._settings.author,
            message=message,
            upload_id=upload_id,
            mode=self.mode,
            compacts=self._settings.compacts,
        )

    # -------------------------------- UPLOADS ------------------------------- #

    def upload(self, upload_id: str) -> Upload:
        """The upload of that id.

        Raises:
            NotFoundError: If the dataset has no such upload.
        """
        upload = Upload(self._collection, upload_id, self.submit)
        upload.refresh()
        return upload

    def uploads(self, *, status: Status | None = None) -> pl.DataFrame:
        """Every upload to the dataset, settled or waiting, newest first.

        Args:
            status: Only those of this status: PENDING, DONE, PARTIAL or FAILED.

        Returns:
            A row an upload: author, time and message, status, the version it landed
            in, and how many of its frames and labels were created, changed, rejected.

        Raises:
            InvalidInputError: If there is no such status.
        """
        return uploads_table([(self._collection, self.mode)], status=status)

    # -------------------------------- UPKEEP -------------------------------- #

    def merge_pending(self, *, progress: Progress = silent) -> list[Upload]:
        """Merge everything staged, and return the settled uploads.

        Args:
            progress: Called with `merging`, how many uploads are settled, and of how
                many.

        Raises:
            StorageError: If the store failed; staged uploads stay staged.
        """
        return [
            Upload(self._collection, settled, self.submit)
            for settled in merge_pending(
                self._collection, compacts=self._settings.compacts, progress=progress
            )
        ]

    def compact(self) -> Compaction:
        """Write the same rows in fewer files, without deleted ones; no version is made.

        Merges start it in the background when it is due; this call does all of it
        now. Safe beside running writers.

        Returns:
            The files removed and added for each table; `to_frame()` lists them as rows.

        Raises:
            StorageError: If the store failed; nothing has changed then.
        """
        return compact(self._collection, full=True)

    def collect_garbage(
        self,
        *,
        retention: timedelta = RETENTION,
        grace: timedelta = GRACE,
        dry_run: bool = True,
    ) -> Garbage:
        """Remove files that only old versions need, and those of crashed writers.

        The latest version, checkpoints, pins, versions within the retention time
        and those that are being read keep their files. All others stay readable by
        the same calls, from the change log. Safe beside writers.

        Args:
            retention: How long a version keeps its files once it is not the
                latest any more.
            grace: Younger files are kept: a running writer may need them.
            dry_run: Only report what would be removed.

        Returns:
            The files removed, or to be removed; `to_frame()` lists them as rows.

        Raises:
            StorageError: If the store failed; the next call removes the rest.
        """
        return collect_garbage(
            self._collection,
            retention=retention,
            grace=grace,
            dry_run=dry_run,
            author=self._settings.author,
        )

    def verify(
        self,
        *,
        full: bool = True,
        media: bool = False,
        progress: Progress | None = None,
    ) -> Verification:
        """Find corruption in the ledger, the logs, the files and the rows.

        Safe beside writers; what they write meanwhile is not checked.

        Args:
            full: Read every byte and every row, and check every version, even those
                whose files were collected; otherwise only the ledger, the logs, the
                lists of files and the latest version's hashes.
            media: Check the images, masks and other media that the latest version
                names: that they exist, and that the bytes of sensors with a
                `checksum` match it.
            progress: Called with the stage (`ledger`, `files`, `rows`, `keys`,
                `media`), how much of it is done, and how much there is.

        Returns:
            All corruption, each with its version, table and file.

        Raises:
            StorageError: If the store failed and the same call may succeed.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> project = lake.create_project("cells", classes=["cell"])
        >>> dataset = project.create_dataset("hela")
        >>> upload = dataset.add([{"frame_id": "f1", "image_url": "f1.png"}])
        >>> dataset.verify().is_sound
        True
        """
        return verify(
            self._collection, full=full, media=media, progress=progress or silent
        )

    def repair(self) -> Repair:
        """Write again what follows from the ledger, and name what is lost.

        Commits in the Delta logs that are missing, empty or of another entry are
        written from the ledger. No row and no fingerprint changes.

        Raises:
            FormatError: If an entry of the ledger is damaged.
            StorageError: If the store failed.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
        >>> dataset.repair()
        Repair(done=(), lost=())
        """
        return repair(self._collection)

    @property
    def storage_options(self) -> Mapping[str, str]:
        """The connection settings of the store; empty for a folder."""
        return self._collection.store.storage_options

    @property
    def is_processing(self) -> bool:
        """Whether acknowledged uploads wait to be merged."""
        upload_ids = unsettled(self._collection, self._collection.head().version)
        return any(map(self._collection.staging.is_acknowledged, upload_ids))

    # ----------------------------- REGISTRY ROW ----------------------------- #

    @property
    def mode(self) -> Mode:
        """STREAMING, or BATCH."""
        mode: Mode = self._registry_row.read()["mode"]
        return mode

    @property
    def is_mutable(self) -> bool:
        """Whether it takes changes at any time; a BATCH one takes a single load."""
        return self.mode != "BATCH"

    @property
    def is_archived(self) -> bool:
        """Whether it is archived: it can be read, and not written."""
        return bool(self._registry_row.read()["archived"])

    @property
    def is_ready(self) -> bool:
        """Whether it can be read; a clone cannot until its files are there."""
        clone_of = self._registry_row.read()["clone_of"]
        return not clone_of or self._collection.ledger.head() is not None

    @property
    def clone_of(self) -> str | None:
        """The dataset that it was cloned from."""
        source: str | None = self._registry_row.read()["clone_of"]
        return source

    @property
    def clone_name(self) -> str | None:
        """The newest dataset that was cloned from it."""
        clone: str | None = self._registry_row.read()["clone"]
        return clone

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the dataset or inference set as a whole."""
        metadata: dict[str, Any] = json.loads(
            self._registry_row.read()["metadata"] or "{}"
        )
        return metadata

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata by anything JSON can hold."""
        self._registry_row.update({"metadata": json.dumps(dict(metadata))})

    def archive(self, *, archived: bool = True) -> None:
        """Hide it from lists and refuse writes to it, or undo both."""
        self._registry_row.update({"archived": archived})

    def require_active(self) -> None:
        """Check that it may be written.

        Raises:
            ArchivedError: If it is archived.
            ConflictError: If it is a clone that cannot be read yet.
        """
        if self.is_archived:
            raise self._registry_row.archived_error(self.name)
        if not self.is_ready:
            raise self._registry_row.cloning_error(self.name)

    def _require_writable(self, upload_id: str | None) -> None:
        """Refuse writes to what is archived, being cloned, or BATCH and loaded."""
        self.require_active()
        if self.is_mutable:
            return
        uploads = self.uploads().filter(pl.col("status") != "FAILED")
        loaded_by = uploads.get_column("upload_id").to_list()
        # The same upload may be sent again, as a caller does who lost the answer.
        if loaded_by and upload_id not in loaded_by:
            raise self._registry_row.immutable_error(self.name, loaded_by[0])
