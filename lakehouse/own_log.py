"""A table that stands alone: its own Delta log is its ledger.

A change reads the newest state, and puts the next commit if absent; whoever
loses reads again and makes the change anew. The newest commit is found by
probing upwards from the last one known, so nothing is listed; a checkpoint now
and then keeps opening the table cheap.

Data files that no state names which was the newest lately are garbage. Nobody
reads an older state through this package, so there are no leases; a writer that
was held up for days finds its commit refused, and makes its change anew.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from lakehouse.contracts import Contract
from lakehouse.decision import newest_number, put_once
from lakehouse.delta.actions import (
    Action,
    commit_info,
    commit_line,
    committed_at,
    read_commit,
    written_paths,
)
from lakehouse.delta.checkpoint import write_checkpoint
from lakehouse.delta.create import creation_actions
from lakehouse.delta.table_state import CHECKPOINT_INTERVAL, TableState, load_state
from lakehouse.ledger import log_path
from lakehouse.storage import Store, StoredFile

__all__ = ["MOST_RACES", "OwnLog"]

_log = logging.getLogger(__name__)

MOST_RACES: Final = 64
"""How often a change is made anew before it gives up."""

_SLOWEST: Final = timedelta(days=3)
"""A commit that took longer since its state was read is lost: its files, younger
than that until now, may be taken for garbage soon."""

_TEMPORARY: Final = ".tmp-"


class OwnLog:
    """The log of one table, read and written by compare-and-swap."""

    def __init__(self, store: Store, path: str, contract: Contract) -> None:
        self._store = store
        self._path = path
        self._contract = contract
        self._state: TableState | None = None
        self._looked_at = datetime.now(UTC)

    def newest(self) -> TableState | None:
        """The newest state; None where the table is not there yet."""
        self._looked_at = datetime.now(UTC)
        known = -1 if self._state is None else self._state.version
        head = newest_number(self._exists, known)
        if head > known:
            self._state = self._state_at(head)
        return self._state

    def commit(
        self, base: TableState | None, actions: Sequence[Action], *, operation: str
    ) -> bool:
        """Put the commit that follows `base`; False if somebody else's is there.

        Files that a lost commit brought are removed again: nobody names them.

        Args:
            base: The state that the actions were made on; None to create the table.
            actions: What changes.
            operation: What the commit says of itself.

        Raises:
            StorageError: If the store would not say; the commit may have landed.
        """
        if datetime.now(UTC) - self._looked_at > _SLOWEST:
            self._remove(actions)
            return False
        version = 0 if base is None else base.version + 1
        info = commit_info(
            timestamp=datetime.now(UTC), operation=operation, commit_id=uuid.uuid4().hex
        )
        first = creation_actions(self._path, self._contract) if base is None else []
        line = commit_line([info, *first, *actions])
        if put_once(self._store, log_path(self._path, version), line, durable=True):
            self._checkpoint(version)
            return True
        self._remove(actions)
        return False

    def garbage(
        self, *, retention: timedelta, grace: timedelta, now: datetime
    ) -> list[StoredFile]:
        """The data files that nobody needs, and what dead writers left, by path.

        Args:
            retention: How long files are kept that the newest state names no more.
            grace: Younger files are let be.
            now: The moment to judge by.
        """
        # Listed before the state is read: what came since is no candidate.
        start = f"{self._path}/"
        listed = [
            (file.path.removeprefix(start), file)
            for file in self._store.files(self._path)
            if file.modified < now - grace
        ]
        state = self.newest()
        if state is None:
            return []
        named = self._named_since(state, now - retention)
        return [
            file
            for name, file in listed
            # Whatever lies in a folder below is another table's, or the log.
            if "/" not in name
            and (
                name.startswith(_TEMPORARY)
                or (name.endswith(".parquet") and name not in named)
            )
        ]

    def _named_since(self, state: TableState, since: datetime) -> set[str]:
        """The files of every state that was the newest at or after a moment."""
        named = set(state.files)
        for version in range(state.version, -1, -1):
            actions = read_commit(self._store.read(log_path(self._path, version)))
            if committed_at(actions) <= since:
                break
            # Until this commit, the state before it was the newest.
            named |= {
                action["remove"]["path"] for action in actions if "remove" in action
            }
        return named

    def _remove(self, actions: Sequence[Action]) -> None:
        for path in written_paths(actions):
            self._store.delete(f"{self._path}/{path}")

    def _state_at(self, head: int) -> TableState:
        state = self._state
        if state is None or head - state.version > CHECKPOINT_INTERVAL:
            return load_state(self._store, self._path, head)
        for version in range(state.version + 1, head + 1):
            data = self._store.read(log_path(self._path, version))
            state = state.apply(read_commit(data), version)
        return state

    def _exists(self, version: int) -> bool:
        return self._store.exists(log_path(self._path, version))

    def _checkpoint(self, version: int) -> None:
        if not version or version % CHECKPOINT_INTERVAL:
            return
        try:
            write_checkpoint(self._store, self._path, version)
        except Exception:  # noqa: BLE001 - a checkpoint may fail; the log stays right
            _log.warning(
                "no checkpoint of %s at %s", self._path, version, exc_info=True
            )
