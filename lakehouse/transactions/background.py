"""Background work: checkpoints, indexes and sweeping; compaction starts here too.

It makes reading cheap, or frees space, and changes no content, so it is done after
the answer, in one background thread, best effort.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Final

from lakehouse.delta.log import write_checkpoint
from lakehouse.delta.table_state import CHECKPOINT_INTERVAL, checkpoint_path
from lakehouse.errors import LakehouseError
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import COLLECTION_TABLES

_log = logging.getLogger(__name__)

_WORKERS: Final = 1
"""One thread: this work must not compete with the calls that people wait for."""

_running: list[Future[None]] = []
_guard: Final = threading.Lock()
"""Held to change the list: background work starts more of it."""


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="lakehouse-upkeep")


def checkpoint_later(collection: Collection, version: int) -> None:
    """Write checkpoints of every table at the newest entry that should have them.

    Called for every entry, whatever its kind, so that none is missed.
    """
    due = version - version % CHECKPOINT_INTERVAL
    if due > collection.checkpointed:
        collection.checkpointed = due
        start(_checkpoint, collection, due)


def index_later(collection: Collection) -> None:
    """Make the key indexes that a merge did without."""
    if collection.indexes.has_queued:
        start(_index, collection)


def later(work: Callable[[], object]) -> Future[object]:
    """Do something in the background; the future has the result."""
    return _executor().submit(work)


def sweep(collection: Collection, hashes: Mapping[str, str]) -> None:
    """Remove what settled uploads staged, where every row landed.

    The entries that settled them are durable: they were put by this process.

    Args:
        collection: Where they were staged.
        hashes: Upload id to the content hash that was settled.
    """
    for upload_id, content_hash in hashes.items():
        collection.staging.sweep(upload_id, content_hash)


def sweep_later(collection: Collection, hashes: Mapping[str, str]) -> None:
    """The same in the background: uploads are settled, swept or not."""
    start(_sweep, collection, hashes)


def start(work: Callable[..., None], *args: object) -> None:
    """Do something in the background that `finish` waits for."""
    with _guard:
        # Done ones are let go here, or the list would grow with every merge.
        _running[:] = [future for future in _running if not future.done()]
        _running.append(_executor().submit(work, *args))


def finish() -> None:
    """Wait until nothing is under way."""
    while True:
        with _guard:
            waiting = [future for future in _running if not future.done()]
        if not waiting:
            return
        # What it does may start more: a compaction is followed by checkpoints.
        for future in waiting:
            future.result()


def warn(collection: Collection, what: str) -> None:
    """Log that background work failed; quietly where its collection is gone.

    Called while the exception is handled. A lake that is removed while work behind the
    answer runs is no reason for stack traces.
    """
    try:
        is_gone = collection.twin().ledger.head() is None
    except Exception:  # noqa: BLE001 - then the store failed, which is worth a warning
        is_gone = False
    if is_gone:
        _log.info("%s of %s: it was removed meanwhile", what, collection.path)
    else:
        _log.warning("%s of %s", what, collection.path, exc_info=True)


def _checkpoint(collection: Collection, version: int) -> None:
    if collection.store.at_once == 1:
        try:
            # A checkpoint is made from the commits: one that a power cut emptied would
            # be left out of it. A twin, as below.
            ledger = collection.twin().ledger
            ledger.complete_logs(max(0, version - CHECKPOINT_INTERVAL), version)
        except Exception:  # noqa: BLE001 - without one, the entries are read
            _log.warning("no checkpoint of %s", collection.path, exc_info=True)
            return
    for table in COLLECTION_TABLES:
        path = collection.table_path(table)
        try:
            # Another process that saw the same entries may have been here first.
            if not collection.store.exists(checkpoint_path(path, version)):
                write_checkpoint(collection.store, path, version)
        except Exception:  # noqa: BLE001 - a checkpoint may fail; the log stays right
            warn(collection, f"no checkpoint of {table} at {version}")
            return


def _index(collection: Collection) -> None:
    try:
        collection.indexes.make_queued()
    except Exception:  # noqa: BLE001 - what is not there is searched for again
        warn(collection, "no key index")


def _sweep(collection: Collection, hashes: Mapping[str, str]) -> None:
    try:
        sweep(collection, hashes)
    except LakehouseError:
        warn(collection, "no sweep of the staging")
