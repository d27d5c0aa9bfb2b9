"""Leases: expiring notes of readers, which keep the files of a version.

    leases/<version>-<token>.json      {"version": 41, "until": "2026-01-31T12:00:00+00:00"}

A reader of an old version puts its note first and looks into the ledger after
it; garbage collection closes versions in the ledger first and looks at the
notes after that. So one of the two sees the other. Notes are best effort: who
may not write reads without one, and is protected by the grace period alone.
"""

import json
import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from lakehouse.errors import LakehouseError, NotFoundError
from lakehouse.storage import Store

_log = logging.getLogger(__name__)

LEASE: Final = timedelta(hours=24)
"""How long a note keeps a version's files; reading on renews it."""

_YOUNG: Final = LEASE / 2
"""A note that has longer to go is not renewed."""


class Leases:
    """The notes of one collection."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = f"{path}/leases"
        self._held: dict[int, datetime] = {}

    def hold(self, version: int) -> None:
        """Leave a note for `version`, unless a young one of this process is there."""
        now = datetime.now(UTC)
        if self._held.get(version, now) - now > _YOUNG:
            return
        until = now + LEASE
        name = f"{version}-{secrets.token_hex(8)}.json"
        note = {"version": version, "until": until.isoformat()}
        try:
            self._store.put_new(f"{self._path}/{name}", json.dumps(note).encode())
        except LakehouseError as error:
            _log.info("no lease on version %s: %s", version, error)
        # Who may not write is not asked again at every read.
        self._held[version] = until

    def held(self, now: datetime) -> set[int]:
        """The versions that notes keep; notes that ran out are removed."""
        kept: set[int] = set()
        for name in self._store.names(self._path):
            path = f"{self._path}/{name}"
            try:
                note = json.loads(self._store.read(path))
            except NotFoundError:
                continue
            if datetime.fromisoformat(note["until"]) > now:
                kept.add(int(note["version"]))
            else:
                self._store.delete(path)
        return kept
