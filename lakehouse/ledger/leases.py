"""Leases: expiring files of readers, which keep the files of a version.

    leases/<version>-<token>.json      {"version": 41, "until": "2026-01-31T12:00:00+00:00"}

A reader of an old version puts its lease first and looks into the ledger after
it; garbage collection closes versions in the ledger first and looks at the
leases after that. So one of the two sees the other. Leases are best effort: a
reader that may not write reads without one, and is protected by the grace time
alone.
"""

import json
import logging
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from lakehouse.errors import LakehouseError
from lakehouse.storage import Store

_log = logging.getLogger(__name__)

LEASE: Final = timedelta(hours=24)
"""How long a lease keeps a version's files; reading on renews it."""

_NOTE: Final = re.compile(r"(\d{1,18})-[0-9a-f]+\.json")

_RENEWED_BELOW: Final = LEASE / 2
"""A lease that has longer to go is not renewed: one small write in half a day."""


class Leases:
    """The leases on versions of one collection."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = f"{path}/leases"
        self._held: dict[int, datetime] = {}

    def hold(self, version: int) -> None:
        """Put a lease on `version`, unless this process has one that is young."""
        now = datetime.now(UTC)
        if self._held.get(version, now) - now > _RENEWED_BELOW:
            return
        until = now + LEASE
        name = f"{version}-{secrets.token_hex(8)}.json"
        lease = {"version": version, "until": until.isoformat()}
        try:
            self._store.put_new(f"{self._path}/{name}", json.dumps(lease).encode())
        except LakehouseError as error:
            _log.info("no lease on version %s: %s", version, error)
        # Also where it failed: a reader that may not write must not try at every read.
        self._held[version] = until

    def held(self, now: datetime) -> set[int]:
        """The versions that leases keep; leases that ran out are removed.

        Args:
            now: The time by the store's clock. A lease lasts `LEASE` from when the
                store got it, so no clock of a reader or of a collector counts. Its
                bytes are not read: the name has the version.
        """
        kept: set[int] = set()
        for file in self._store.files(self._path):
            note = _NOTE.fullmatch(file.path.removeprefix(f"{self._path}/"))
            if note is None:
                continue  # not ours
            if file.modified + LEASE > now:
                kept.add(int(note[1]))
            else:
                self._store.delete(file.path)
        return kept


def store_time(store: Store, folder: str) -> datetime:
    """The time by a store's clock: that of an object just put into a folder.

    Raises:
        StorageError: If the store failed.
    """
    path = f"{folder}/.tmp-clock-{secrets.token_hex(8)}"
    store.put(path, b"")
    try:
        (time,) = [file.modified for file in store.files(folder) if file.path == path]
    finally:
        store.delete(path)
    return time
