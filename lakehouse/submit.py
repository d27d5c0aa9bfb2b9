"""Submitting: rows become a staged, durable upload with an id."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakehouse.collection import Collection
from lakehouse.engines.pending import frame_ids, settled_row
from lakehouse.model.operations import Operations
from lakehouse.staging import Manifest, content_hash, require_same_content

__all__ = ["Submission", "submit"]


@dataclass(frozen=True, slots=True)
class Submission:
    """One call that writes."""

    operations: Operations
    author: str | None
    message: str | None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    upload_id: str | None = None
    on_error: str = "reject"
    based_on: int | None = None
    retry_of: str | None = None
    mode: str = "STREAMING"


def submit(collection: Collection, submission: Submission) -> str:
    """Stage a submission; the id of its upload.

    An id given by the caller that is staged or settled already with the same
    rows is the same upload: nothing is staged again.

    Raises:
        InvalidInputError: If the id is taken by other rows.
    """
    staging = collection.staging
    operations = submission.operations
    manifest = Manifest(
        upload_id=submission.upload_id or staging.new_id(),
        content_hash=content_hash(operations),
        submitted_at=datetime.now(UTC),
        frame_count=len(frame_ids(operations)),
        label_count=operations.labels.height,
        parts={},
        mode=submission.mode,
        author=submission.author,
        message=submission.message,
        metadata=submission.metadata,
        on_error=submission.on_error,
        based_on=submission.based_on,
        retry_of=submission.retry_of,
    )
    if submission.upload_id is not None:
        version = collection.head().version
        settled = settled_row(collection, version, submission.upload_id)
        if settled is not None:
            require_same_content(settled["content_hash"], manifest)
            return manifest.upload_id
    return staging.stage(operations, manifest).upload_id
