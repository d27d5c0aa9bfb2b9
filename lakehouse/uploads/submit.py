"""Submitting: rows become a staged, durable upload with an id."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict, cast

from lakehouse.errors import InvalidInputError
from lakehouse.intake.plain import as_text
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.prepared import prepare
from lakehouse.ledger.settled import frame_ids, settled_row
from lakehouse.ledger.staging import Manifest, require_same_content
from lakehouse.model.ids import check_upload_id
from lakehouse.model.operations import Operations
from lakehouse.model.problems import Problems
from lakehouse.types import Progress, silent
from lakehouse.versions.snapshot import Snapshot

OnError = Literal["reject", "abort"]
"""Whether a problem rejects its frame, or the whole upload."""


class SubmitOptions(TypedDict, total=False):
    """The options of every writing call; `Versioned.submit` explains them."""

    message: str | None
    metadata: Mapping[str, Any] | None
    upload_id: str | None
    on_error: OnError
    based_on: Snapshot | int | None
    progress: Progress


@dataclass(frozen=True, slots=True)
class Submission:
    """The arguments of one writing call."""

    operations: Operations
    author: str | None
    message: str | None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    upload_id: str | None = None
    on_error: str = "reject"
    based_on: int | None = None
    retry_of: str | None = None
    mode: str = "STREAMING"


def _check_texts(submission: Submission) -> None:
    """Author, message and metadata are written as JSON, with the upload."""
    problems = Problems()
    for name, value, rule in (
        ("author", submission.author, "Text, or None."),
        ("message", submission.message, "Text, or None."),
        ("metadata", submission.metadata, "Text, numbers, lists and dicts of them."),
    ):
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            text.encode()
            is_text = name == "metadata" or isinstance(value, str | None)
            why = "" if is_text else f"It is {type(value).__name__}, not text."
        except (TypeError, ValueError, RecursionError) as error:
            why = f"It cannot be stored as JSON: {error}."
        if why:
            problems.add(
                name, rule="upload.metadata", message=as_text(why), hint=f"Send: {rule}"
            )
    problems.raise_if_any()


def submit(
    collection: Collection,
    submission: Submission,
    progress: Progress = silent,
    *,
    is_merged: bool = False,
) -> tuple[str, Operations]:
    """Stage a submission; returns the id of its upload and the staged operations.

    If the caller's id is staged or settled already with the same rows, it is the same
    upload, and nothing is staged again.

    Args:
        collection: The target of the upload.
        submission: The rows and their circumstances.
        progress: Called with how many rows are staged.
        is_merged: Whether the caller merges it before anybody hears of the upload.

    Raises:
        InvalidInputError: If the id is taken by other rows.
    """
    _check_texts(submission)
    staging = collection.staging
    if submission.upload_id is not None:
        check_upload_id(submission.upload_id)
    if submission.based_on is not None:
        _check_base(collection, submission.based_on)
    prepared = prepare(
        submission.operations, collection.classes().ids, collection.layout
    )
    operations = prepared.operations
    # Staging makes folders, and must not make them where a lake was moved away from.
    # Nothing is moved in a bucket; there the merge looks, beside its own requests.
    if collection.store.at_once == 1:
        collection.ledger.standing_head()
    order = staging.new_id()
    manifest = Manifest(
        upload_id=submission.upload_id or order,
        content_hash=prepared.content_hash,
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
        order=order,
    )
    if submission.upload_id is None:
        # It need not be durable before the entry that the same call puts.
        staged = staging.stage(prepared, manifest, progress, durable=not is_merged)
        return staged.upload_id, operations
    # Staging would not know it: settled uploads are swept from there.
    if not _is_settled(collection, manifest):
        # A caller's own id is claimed by its manifest, so that must not be lost.
        staged = staging.stage(prepared, manifest, progress)
        # And again once the manifest is there: another process may have staged the same
        # id before it, with other rows, and a merger may have settled and swept those
        # in between. From here on the id is ours, or that look refuses it.
        try:
            is_settled = _is_settled(collection, manifest)
        except InvalidInputError:
            staging.remove(staged)
            raise
        if is_settled and staged.order == order:
            staging.sweep(manifest.upload_id, manifest.content_hash)
    return manifest.upload_id, operations


def _check_base(collection: Collection, based_on: object) -> None:
    """Refuse a base that is no version: nothing could have changed after it."""
    head = collection.head().version
    is_number = isinstance(based_on, int) and not isinstance(based_on, bool)
    if is_number and 0 <= cast("int", based_on) <= head:
        return
    raise InvalidInputError(
        f"based_on={based_on!a:.80} is no version of {collection.target}: its versions go "
        f"from 0 to {head}. Give the snapshot, or the number of the version, that the "
        "rows were made from.",
        kind="upload.unknown_base",
    )


def _is_settled(collection: Collection, manifest: Manifest) -> bool:
    """Whether the upload is settled already, durably.

    Raises:
        InvalidInputError: If other rows were settled under its id.
    """
    version = collection.head().version
    settled = settled_row(collection, version, manifest.upload_id)
    if settled is None:
        return False
    require_same_content(settled["content_hash"], manifest)
    # Another process may have put that entry a moment ago.
    collection.ledger.make_durable(version)
    return True
