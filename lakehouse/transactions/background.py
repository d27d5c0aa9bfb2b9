"""Background work: checkpoints, compaction, indexes and sweeping.

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
from lakehouse.delta.table_state import CHECKPOINT_INTERVAL
from lakehouse.errors import LakehouseError
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.transactions.compact import compact, is_compaction_due

_log = logging.getLogger(__name__)

_WORKERS: Final = 1
"""One thread: this work must not compete with the calls that people wait for."""

_running: list[Future[None]] = []
_compacting: set[str] = set()
"""Paths of the collections that are being compacted, or wait for it."""

_guard: Final = threading.Lock()


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="lakehouse-upkeep")


def checkpoint_later(collection: Collection, version: int) -> None:
    """Write checkpoints of every table when `version` is due for one."""
    if version and version % CHECKPOINT_INTERVAL == 0:
        _start(_checkpoint, collection, version)


def compact_later(collection: Collection, version: int) -> None:
    """Compact when the policy says that it is due, unless that is under way."""
    with _guard:
        if collection.path in _compacting or not is_compaction_due(collection, version):
            return
        _compacting.add(collection.path)
    _start(_compact, collection)


def index_later(collection: Collection) -> None:
    """Make the key indexes that a merge did without."""
    if collection.indexes.has_queued:
        _start(_index, collection)


def later(work: Callable[[], object]) -> Future[object]:
    """Do something in the background; the future has the result."""
    return _executor().submit(work)


def sweep(collection: Collection, hashes: Mapping[str, str]) -> None:
    """Remove what settled uploads staged, where every row landed.

    Args:
        collection: Where they were staged.
        hashes: Upload id to the content hash that was settled.
    """
    for upload_id, content_hash in hashes.items():
        collection.staging.sweep(upload_id, content_hash)


def sweep_later(collection: Collection, hashes: Mapping[str, str]) -> None:
    """The same in the background: uploads are settled, swept or not."""
    _start(_sweep, collection, hashes)


def _start(work: Callable[..., None], *args: object) -> None:
    """Do something in the background that `finish` waits for."""
    # Done ones are let go here, or the list would grow with every merge.
    _running[:] = [future for future in _running if not future.done()]
    _running.append(_executor().submit(work, *args))


def finish() -> None:
    """Wait until nothing is under way."""
    for future in _running:
        future.result()


def _checkpoint(collection: Collection, version: int) -> None:
    for table in COLLECTION_TABLES:
        try:
            write_checkpoint(collection.store, collection.table_path(table), version)
        except Exception:  # noqa: BLE001 - a checkpoint may fail; the log stays right
            _log.warning("no checkpoint of %s at %s", table, version, exc_info=True)


def _index(collection: Collection) -> None:
    try:
        collection.indexes.make_queued()
    except Exception:  # noqa: BLE001 - what is not there is searched for again
        _log.warning("no key index of %s", collection.path, exc_info=True)


def _compact(collection: Collection) -> None:
    try:
        # A twin: the caches of a collection are not made for two threads.
        compact(collection.twin(), full=False)
    except Exception:  # noqa: BLE001 - it comes again with the next merge
        _log.warning("no compaction of %s", collection.path, exc_info=True)
    finally:
        with _guard:
            _compacting.discard(collection.path)


def _sweep(collection: Collection, hashes: Mapping[str, str]) -> None:
    try:
        sweep(collection, hashes)
    except LakehouseError:
        _log.warning("staging of %s is not swept", collection.path, exc_info=True)
