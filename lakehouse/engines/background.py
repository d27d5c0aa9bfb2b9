"""Checkpoints of the tables' logs, written behind the caller's back.

A Delta checkpoint makes opening a table cheap and changes nothing else, so it
is written after the answer, in one background thread, best effort.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Final

from lakehouse.collection import Collection
from lakehouse.contracts import COLLECTION_TABLES
from lakehouse.delta.checkpoint import write_checkpoint
from lakehouse.delta.table_state import CHECKPOINT_INTERVAL

__all__ = ["checkpoint_later", "finish"]

_log = logging.getLogger(__name__)

_WORKERS: Final = 1
_running: list[Future[None]] = []


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="lakehouse-checkpoint")


def checkpoint_later(collection: Collection, version: int) -> None:
    """Write checkpoints of every table when `version` is due for one."""
    if version and version % CHECKPOINT_INTERVAL == 0:
        _running[:] = [future for future in _running if not future.done()]
        _running.append(_executor().submit(_checkpoint, collection, version))


def finish() -> None:
    """Wait until no checkpoint is being written."""
    for future in _running:
        future.result()


def _checkpoint(collection: Collection, version: int) -> None:
    for table in COLLECTION_TABLES:
        try:
            write_checkpoint(collection.store, collection.table_path(table), version)
        except Exception:  # noqa: BLE001 - a checkpoint may fail; the log stays right
            _log.warning("no checkpoint of %s at %s", table, version, exc_info=True)
