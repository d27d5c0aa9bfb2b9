"""From a lock back to the content that it names: that, or an error."""

import os
from collections.abc import Mapping
from typing import Any

from lakehouse.dataset import Dataset
from lakehouse.errors import NotFoundError
from lakehouse.inference_set import InferenceSet
from lakehouse.lake import connect
from lakehouse.lock import Lock, condition_of
from lakehouse.snapshot import Snapshot

__all__ = ["open_lock"]


def open_lock(
    lock: str | os.PathLike[str] | Mapping[str, Any],
    root: str | os.PathLike[str] | None = None,
    *,
    storage_options: Mapping[str, str] | None = None,
) -> Snapshot:
    """The snapshot that a lock names, with exactly the content that was locked.

    Args:
        lock: What `snapshot.lock()` returned, or the path of what it wrote.
        root: Where the lake lies now; where it lay then when left out.
        storage_options: `AWS_…` settings of an object store.

    Raises:
        NotFoundError: If the version is not there, or does not have the rows that
            were locked: the message tells which tables differ, and where the
            content is now if another version has it.
        FormatError: If it is no lock, or a newer release wrote it.

    >>> import tempfile, lakehouse
    >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
    >>> project = lake.create_project("cells", classes=["cell"])
    >>> dataset = project.create_dataset("hela")
    >>> upload = dataset.add([{"frame_id": "f1", "image_url": "f1.png"}])
    >>> lock = dataset.at(1).lock()
    >>> upload = dataset.delete(["f1"])
    >>> open_lock(lock).counts
    {'frames': 1, 'labels': 0}
    """
    said = Lock.read(lock)
    try:
        found = _versioned(said, os.fspath(root or said.root), storage_options)
        snapshot = found.at(said.version)
    except NotFoundError as error:
        raise NotFoundError(
            f"What was locked, {said.address}, is not there: {error} If the lake was "
            "moved, give open_lock() its root.",
            kind="lock.missing",
        ) from error
    _check_version(said, found)
    snapshot = snapshot.filter(
        **{
            table: condition_of(text, said.polars)
            for table, text in said.filters.items()
        }
    )
    if snapshot.is_filtered and snapshot.counts != dict(said.selected):
        raise NotFoundError(
            f"The conditions of the lock select {snapshot.counts} of {said.address}; "
            f"locked were {dict(said.selected)}. The rows are the same, so the "
            f"conditions mean something else: open it with Polars {said.polars}.",
            kind="lock.differs",
        )
    return snapshot


def _versioned(
    lock: Lock, root: str, storage_options: Mapping[str, str] | None
) -> Dataset | InferenceSet:
    lake = connect(root, storage_options=storage_options)
    dataset = lake.project(lock.project).dataset(lock.dataset)
    if lock.inference_set is None:
        return dataset
    return dataset.inference_set(lock.inference_set)


def _check_version(lock: Lock, found: Dataset | InferenceSet) -> None:
    """Refuse a version whose rows are not those that were locked."""
    collection = found.collection
    entry = collection.ledger.read(lock.version)
    wrong = lock.differences(entry, collection.layout)
    if not wrong:
        return
    elsewhere = next(
        (
            version
            for version in reversed(found.versions()["version"].to_list())
            if not lock.differences(collection.ledger.read(version), collection.layout)
        ),
        None,
    )
    way_out = (
        "No version here has what was locked: open the lake that it was made in."
        if elsewhere is None
        else f"Version {elsewhere} has exactly what was locked."
    )
    raise NotFoundError(
        f"{lock.address} is not what was locked: {'; '.join(wrong)}. {way_out}",
        kind="lock.differs",
    )
