"""Restoring: the content of an earlier version, as a new one.

Only keys that later versions touched are looked at, so it costs what changed
since, and not what there is.
"""

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.engines.undoing import Request, change_towards, outcome_of, settle
from lakehouse.ledger import Entry
from lakehouse.merging.outcome import Outcome
from lakehouse.model.problems import problems_to_frame
from lakehouse.replay import rows_at, touched
from lakehouse.staging import Manifest

__all__ = ["restore"]


def restore(collection: Collection, version: int, request: Request) -> str:
    """Make the content of `version` the newest again; the id of the upload.

    Raises:
        InvalidInputError: If the upload's id is taken by something else.
        ConflictError: If other writers were always first.
        StorageError: If the store failed; the same call finds out what landed.
    """

    def undo(head: Entry, manifest: Manifest) -> Outcome:
        changes = {}
        for table in LIVE_TABLES:
            keys = touched(collection, table, version, head.content_version)
            changes[table] = change_towards(
                collection,
                table,
                head.version,
                then=rows_at(collection, table, version, keys),
                now=collection.lookup(table, head.version).keys(keys),
                upload_id=manifest.upload_id,
            )
        return outcome_of(changes, problems_to_frame([]), manifest.upload_id)

    return settle(collection, "restore", str(version), request, undo)
