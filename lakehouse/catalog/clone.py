"""Clones: datasets that begin with the content of another dataset's version.

    registry row  →  files and version 0, in the background  →  done

The row comes first, so a clone is listed before it can be read, and each of the two
datasets names the other. Any process can complete an interrupted clone, since the row
holds the source and its version. Inference sets, checkpoints and segments are not
cloned.
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
    """A clone that may not be complete yet. Made by `dataset.clone()`."""

    def __init__(
        self,
        name: str,
        target: Collection,
        open_dataset: Callable[[], DatasetT],
        work: Future[object] | None,
    ) -> None:
        self.name = name
        self._target = target
        self._open_dataset = open_dataset
        self._work = work

    @property
    def status(self) -> CloneStatus:
        """PENDING; DONE, once it can be read; or FAILED, with the reason in `wait()`."""
        if self._target.ledger.head() is not None:
            return "DONE"
        if self._work is None or not self._work.done():
            return "PENDING"
        return "PENDING" if self._work.exception() is None else "FAILED"

    @property
    def dataset(self) -> DatasetT:
        """The dataset; it can be read once the status is DONE."""
        return self._open_dataset()

    def wait(self, timeout: timedelta = timedelta(hours=1)) -> DatasetT:
        """Wait until the clone can be read, and return it.

        Raises:
            WaitTimeoutError: If it cannot be read in time.
            StorageError: If the store failed; `clone(…, exist_ok=True)` continues.
            AlreadyExistsError: If another writer took the name meanwhile.
        """
        # Another process may do the work, so the ledger is looked at in any case.
        deadline = time.monotonic() + timeout.total_seconds()
        if self._work is not None:
            try:
                self._work.result(timeout.total_seconds())
            except FutureTimeoutError:
                raise self._timeout_error(timeout) from None
        while self.status != "DONE":
            if time.monotonic() >= deadline:
                raise self._timeout_error(timeout)
            time.sleep(_POLL_SECONDS)
        return self.dataset

    def _timeout_error(self, timeout: timedelta) -> WaitTimeoutError:
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
    """List a clone, and let source and clone name each other.

    Args:
        registry: The registry of the project.
        target: The collection that the clone will have.
        source: The name of the source.
        name: The name of the clone.
        version: The version of the source.
        exist_ok: Accept an existing clone of the same source.

    Returns:
        The version that is cloned; an existing clone may be of another.

    Raises:
        AlreadyExistsError: If the name is taken.
    """

    def add(rows: pl.DataFrame) -> pl.DataFrame:
        existing = rows.filter(name=name)
        if existing.height:
            if exist_ok and existing.row(0, named=True)["clone_of"] == source:
                return rows
            raise _taken(name)
        # A dataset is created before its row is written: the ledger may be there.
        if target.ledger.head() is not None:
            raise _taken(name)
        source_row = rows.filter(name=source).row(0, named=True)
        row: dict[str, Any] = dict.fromkeys(rows.columns) | {
            "name": name,
            "kind": "dataset",
            # A clone of a BATCH dataset takes changes: that is what it is made for.
            "mode": "STREAMING",
            "metadata": source_row["metadata"],
            "clone_of": source,
            "clone_at": version,
            "archived": False,
            "created_at": datetime.now(UTC),
        }
        linked = changed_row(rows, "dataset", source, lambda _: {"clone": name})
        return pl.concat([linked, pl.DataFrame([row], schema=rows.schema)])

    # The version of the row: an existing clone goes on with the one it was made of.
    rows = registry.update(add)
    return int(rows.filter(name=name).row(0, named=True)["clone_at"])


def _taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"There is a dataset {name!r} already. Choose another name, or pass "
        "exist_ok=True to go on with a clone that was cut short.",
        kind="dataset.exists",
    )
