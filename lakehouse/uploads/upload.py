"""An upload: one submit call, its outcome, and how to correct rejected rows.

upload = dataset.add(frames, labels)
upload.status, upload.version, upload.counts
upload.errors()                 every problem with its value, one a row
upload.items()                  the outcome of each frame and label
upload.rejected()               the rejected rows, as sent
upload.diff()                   the rows it changed, before and after
upload.retry(labels=corrected)  the rejected frames again, corrected
"""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from lakehouse.errors import (
    InvalidInputError,
    NotFoundError,
    UploadFailedError,
    WaitTimeoutError,
)
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.settled import settled_row
from lakehouse.ledger.staging import Manifest, missing_upload
from lakehouse.model.ids import can_be_staged
from lakehouse.model.operations import Operations
from lakehouse.model.problems import Problems
from lakehouse.storage import collect
from lakehouse.transactions.plan import COUNTS
from lakehouse.types import FrameLike, LabelLike
from lakehouse.uploads.outcomes import item_rows, with_values
from lakehouse.uploads.retry import corrected, rejected_rows
from lakehouse.versions import Diff, diff_of_upload

_POLL_SECONDS: Final = 0.05
_SHOWN_PROBLEMS: Final = 10


class Upload:
    """A handle on one upload. Made by every call that writes."""

    def __init__(
        self,
        collection: Collection,
        upload_id: str,
        submit: "Callable[..., Upload]",
    ) -> None:
        self._collection = collection
        self._submit = submit
        self._row: dict[str, Any] | None = None
        self._manifest: Manifest | None = None
        self.id = upload_id

    # -------------------------------- STATUS -------------------------------- #

    def refresh(self) -> None:
        """Read the status from the lake again, unless the upload is known to be settled.

        Raises:
            NotFoundError: If the upload is neither staged nor settled.
        """
        # A settled upload never changes, so its row is kept.
        if self._row is not None:
            return
        if not can_be_staged(self.id):
            raise missing_upload(self.id)
        version = self._collection.head().version
        self._row = settled_row(self._collection, version, self.id)
        if self._row is None and self._manifest is None:
            try:
                self._manifest = self._collection.staging.manifest(self.id)
            except NotFoundError:
                # Settled and swept between the two reads, or it never existed.
                version = self._collection.head().version
                self._row = settled_row(self._collection, version, self.id)
                if self._row is None:
                    raise missing_upload(self.id) from None
        if self._row is not None:
            # Whoever asks may delete the rows that were sent.
            self._collection.ledger.make_durable(version)

    @property
    def status(self) -> str:
        """PENDING, DONE, PARTIAL (some frames rejected) or FAILED (all of them)."""
        self.refresh()
        return "PENDING" if self._row is None else str(self._row["status"])

    @property
    def version(self) -> int | None:
        """The version that settled the upload; None while it waits."""
        self.refresh()
        return None if self._row is None else int(self._row["version"])

    @property
    def counts(self) -> dict[str, int]:
        """Frames created, replaced, modified, deleted, unchanged and rejected."""
        self.refresh()
        row = self._row or {}
        return {name: int(row.get(name) or 0) for name in COUNTS}

    @property
    def label_counts(self) -> dict[str, int]:
        """Labels created, replaced, modified, deleted, unchanged and rejected."""
        self.refresh()
        row = self._row or {}
        return {name: int(row.get(f"label_{name}") or 0) for name in COUNTS}

    @property
    def frame_count(self) -> int:
        """How many distinct frames were sent."""
        return int(self._field("frame_count"))

    @property
    def label_count(self) -> int:
        """How many label rows were sent."""
        return int(self._field("label_count"))

    @property
    def author(self) -> str | None:
        """Who sent it."""
        author: str | None = self._field("author")
        return author

    @property
    def message(self) -> str | None:
        """The reason given with it."""
        message: str | None = self._field("message")
        return message

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata sent with it."""
        metadata = self._field("metadata")
        if isinstance(metadata, str):
            parsed: dict[str, Any] = json.loads(metadata)
            return parsed
        return dict(metadata or {})

    @property
    def submitted_at(self) -> datetime:
        """When it was acknowledged, UTC."""
        at: datetime = self._field("submitted_at")
        return at

    @property
    def retry_of(self) -> str | None:
        """The upload whose rejected frames this one corrects."""
        retried: str | None = self._field("retry_of")
        return retried

    def _field(self, name: str) -> Any:  # noqa: ANN401 - a field of the row
        self.refresh()
        if self._row is not None:
            return self._row[name]
        return getattr(self._manifest, name)

    def wait(self, timeout: timedelta = timedelta(minutes=5)) -> "Upload":
        """Wait until a merge settled the upload.

        Raises:
            WaitTimeoutError: If no merge settled it in time.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        while self.status == "PENDING":
            if time.monotonic() >= deadline:
                raise WaitTimeoutError(
                    f"Upload {self.id} is still pending after {timeout}. Merges run by "
                    "dataset.merge_pending() or `lakehouse run merge`."
                )
            time.sleep(_POLL_SECONDS)
        return self

    def raise_for_status(self, *, allow_partial: bool = False) -> "Upload":
        """Raise unless every frame landed.

        Args:
            allow_partial: Accept that some frames were rejected.

        Raises:
            UploadFailedError: If the upload failed, or landed in part.
        """
        status = self.status
        if status in {"DONE", "PENDING"} or (status == "PARTIAL" and allow_partial):
            return self
        errors = self._problems()
        problems = tuple(Problems(errors.filter(severity="error")))
        lines = [f"  {problem.path}: {problem.message}" for problem in problems]
        if (self._row or {}).get("error"):
            lines.append(f"  {(self._row or {})['error']}")
        more = len(lines) - _SHOWN_PROBLEMS
        shown = "\n".join(lines[:_SHOWN_PROBLEMS])
        shown += f"\n  … and {more} more" if more > 0 else ""
        raise UploadFailedError(
            f"Upload {self.id} is {status}: {self.counts['rejected']} of "
            f"{self.frame_count} frames were rejected.\n{shown}\n"
            "upload.errors() lists all, upload.rejected() gives the rows as sent, "
            "upload.retry(…) sends them again corrected.",
            upload_id=self.id,
            problems=problems,
        )

    # -------------------------------- DETAILS ------------------------------- #

    def errors(self) -> pl.DataFrame:
        """Every problem of the upload, errors and warnings, one a row.

        Returns:
            `frame_id`, `label_id`, `path`, `value` (the value sent, as JSON, while the
            rejected rows are kept), `rule`, `message`, `hint` and
            `severity`: `error` rejects the frame, `warning` does not. All are text, so
            `write_csv` and `write_ndjson` store them.
        """
        problems = self._problems()
        return with_values(problems, self._operations())

    def _problems(self) -> pl.DataFrame:
        version = self._collection.head().version
        # The key lets the scan leave out files by their statistics.
        keys = pl.Series("upload_id", [self.id])
        rows = self._collection.scan("upload_errors", version, keys=keys)
        return collect(rows.drop("upload_id"))

    def items(self) -> pl.DataFrame:
        """The frames and labels of the upload, with the outcome of each.

        Unchanged ones are listed while the upload keeps its rows: while it waits, or
        if some of them were rejected.

        Returns:
            `frame_id`, `label_id` (null for a frame), `op`, `outcome`: `landed`,
            `unchanged`, `rejected` or `pending`; and `problems`: how many it has, see
            `errors()`.
        """
        status = self.status
        return item_rows(
            self._collection, self.id, status, self._operations(), self._problems()
        )

    def diff(self) -> Diff:
        """The rows that the upload changed: before its version, and at it.

        Uploads that share its version are left out. Rows that changed nothing, or
        were rejected, are no difference.

        Raises:
            InvalidInputError: If it is not merged yet, or came with a clone.
        """
        version = self.version
        if version == 0:
            raise InvalidInputError(
                f"Upload {self.id} came with the clone, as part of its version 0. The "
                "dataset that was cloned has its diff.",
                kind="upload.cloned",
            )
        if version is None:
            raise InvalidInputError(
                f"Upload {self.id} is pending and has changed nothing yet. "
                "upload.wait() returns when it is merged.",
                kind="upload.pending",
            )
        return diff_of_upload(self._collection, self.id, version)

    def _operations(self) -> Operations:
        """The staged rows; none once all of them landed and were swept."""
        staging = self._collection.staging
        try:
            return staging.read(staging.manifest(self.id))
        except NotFoundError:
            return Operations.empty()

    def rejected(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows of the rejected frames, as sent: frames and labels."""
        return rejected_rows(self._operations(), self._rejected_frames())

    def _rejected_frames(self) -> pl.Series:
        self.refresh()
        # Of a failed upload every frame is rejected, those without a problem, too.
        if self._row is not None and self._row["status"] == "FAILED":
            operations = self._operations()
            parts = [
                part for part in (operations.frames, operations.labels) if part.height
            ]
            columns = [part.get_column("frame_id") for part in parts]
            none = pl.Series("frame_id", [], dtype=pl.String)
            return pl.concat([none, *columns]).unique()
        errors = self._problems().filter(severity="error")
        return errors.get_column("frame_id").unique()

    def retry(
        self,
        frames: FrameLike | None = None,
        labels: LabelLike | None = None,
        **options: Any,  # noqa: ANN401 - as Dataset.submit takes them
    ) -> "Upload":
        """Send the rejected frames again, with the given rows in place of old ones.

        Rows that are not given are sent again as they were, so a frame with one bad
        label needs only that label. A row keeps the verb (add, modify, delete) that
        it was sent with.

        Args:
            frames: Corrected rows of rejected frames.
            labels: Corrected rows of labels of rejected frames.
            **options: As `dataset.submit` takes them.

        Raises:
            InvalidInputError: If a row is of a frame that was not rejected, or
                nothing was rejected.
        """
        operations = corrected(
            self.id,
            self._operations(),
            self._rejected_frames(),
            frames,
            labels,
            layout=self._collection.layout,
        )
        return self._submit(operations, retry_of=self.id, **options)

    def __repr__(self) -> str:
        changes = ", ".join(
            f"{count} {name}" for name, count in self.counts.items() if count
        )
        at = f" version {self.version}" if self.version is not None else ""
        return f"<Upload {self.id} {self.status}{at}: {changes or 'nothing changed'}>"


def settled_change(
    collection: Collection, change: Upload | int | str
) -> tuple[int, list[str]]:
    """The version of a change, and the uploads that make it up.

    Args:
        collection: The collection that was changed.
        change: An upload or its id, or a version's number: all its uploads.

    Raises:
        NotFoundError: If there is no such upload or version.
        InvalidInputError: If the upload waits to be merged, or the version
            changed nothing.
    """
    if isinstance(change, int):
        entry = collection.ledger.read(change)
        if not entry.uploads:
            raise InvalidInputError(
                f"Version {change} settled no upload, so there is nothing to undo. "
                "dataset.versions() lists the versions with their uploads.",
                kind="revert.nothing",
            )
        return change, list(entry.uploads)
    upload_id = change if isinstance(change, str) else change.id
    row = settled_row(collection, collection.head().version, upload_id)
    # Version 0 settles uploads only in a clone, which has taken them over.
    if row is not None and row["version"]:
        return int(row["version"]), [upload_id]
    if row is not None:
        raise InvalidInputError(
            f"Upload {upload_id} came with the clone, as part of its version 0. It can "
            "be undone in the dataset that was cloned.",
            kind="revert.cloned",
        )
    if not collection.staging.is_acknowledged(upload_id):
        raise missing_upload(upload_id)
    raise InvalidInputError(
        f"Upload {upload_id} waits to be merged, so there is nothing to undo yet.",
        kind="revert.pending",
    )
