"""Clones: datasets that begin with what another has at a version.

    registry row  →  files and version 0, behind the caller's back  →  done

The row comes first, so a clone is listed before it can be read, and links both ways;
whoever finds one that was cut short can complete it: the row says what of which
version it is. Inference sets are not cloned, nor checkpoints; segments stay with the
dataset that they were made of.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError as FutureTimeoutError
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

import polars as pl

from lakehouse.errors import AlreadyExistsError, WaitTimeoutError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable, changed_row

DatasetT = TypeVar("DatasetT")

CloneStatus = Literal["PENDING", "DONE", "FAILED"]

_POLL_SECONDS: Final = 0.05


class Clone(Generic[DatasetT]):
    """A clone in the making. Made by `dataset.clone()`."""

    def __init__(
        self,
        name: str,
        target: Collection,
        opened: Callable[[], DatasetT],
        work: Future[object] | None,
    ) -> None:
        self.name = name
        self._target = target
        self._opened = opened
        self._work = work

    @property
    def status(self) -> CloneStatus:
        """PENDING; DONE, once it can be read; or FAILED, as `wait()` tells."""
        if self._target.ledger.head() is not None:
            return "DONE"
        failed = self._work is not None and self._work.done()
        return "FAILED" if failed and self._failure() is not None else "PENDING"

    @property
    def dataset(self) -> DatasetT:
        """The dataset that it becomes."""
        return self._opened()

    def wait(self, timeout: timedelta = timedelta(hours=1)) -> DatasetT:
        """Wait until the clone can be read, and return it.

        Raises:
            WaitTimeoutError: If it could not in time.
            StorageError: If the store failed; `clone(…, exist_ok=True)` goes on.
            AlreadyExistsError: If something else took the name meanwhile.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        if self._work is not None:
            try:
                self._work.result(timeout.total_seconds())
            except FutureTimeoutError:
                raise self._late(timeout) from None
        while self.status != "DONE":
            if time.monotonic() >= deadline:
                raise self._late(timeout)
            time.sleep(_POLL_SECONDS)
        return self.dataset

    def _failure(self) -> BaseException | None:
        return None if self._work is None else self._work.exception()

    def _late(self, timeout: timedelta) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"The clone {self.name!r} is not there after {timeout}. Clones are made by "
            "the call that asks for them, by project.finish_clones() or "
            "`lakehouse run clone`."
        )

    def __repr__(self) -> str:
        return f"<Clone {self.name}: {self.status}>"


def register_clone(
    registry: SingleTable,
    target: Collection,
    *,
    source: str,
    name: str,
    version: int,
    exist_ok: bool,
) -> int:
    """List a clone, and link both ways; the version that it is of.

    Args:
        registry: The project's.
        target: Where the clone will lie.
        source: The dataset's name.
        name: The clone's.
        version: The version of the source.
        exist_ok: Go on with a clone of the same dataset that is there.

    Raises:
        AlreadyExistsError: If the name is taken.
    """

    def add(rows: pl.DataFrame) -> pl.DataFrame:
        old = rows.filter(name=name)
        if old.height:
            if exist_ok and old.row(0, named=True)["clone_of"] == source:
                return rows
            raise _taken(name)
        if target.ledger.head() is not None:
            raise _taken(name)
        mine = rows.filter(name=source).row(0, named=True)
        row: dict[str, Any] = dict.fromkeys(rows.columns) | {
            "name": name,
            "kind": "dataset",
            "mode": "STREAMING",
            "metadata": mine["metadata"],
            "clone_of": source,
            "clone_at": version,
            "archived": False,
            "created_at": datetime.now(UTC),
        }
        linked = changed_row(rows, "dataset", source, lambda _: {"clone": name})
        return pl.concat([linked, pl.DataFrame([row], schema=rows.schema)])

    rows = registry.update(add)
    return int(rows.filter(name=name).row(0, named=True)["clone_at"])


def _taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"There is a dataset {name!r} already. Choose another name, or pass "
        "exist_ok=True to go on with a clone that was cut short.",
        kind="dataset.exists",
    )
