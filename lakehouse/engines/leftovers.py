"""What writers that died left behind, beside the tables.

    temporary files               a local writer died before it linked them
    parts without a manifest      a writer died before it acknowledged the upload
    settled uploads               a merger died before it swept their rows
    rejected rows                 nobody retried them for thirty days

Parts without a manifest go only after an "abandoned" manifest was put in their
place, if absent: a writer that is slow rather than dead then fails, instead of
acknowledging an upload whose rows are gone.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.storage import StoredFile, collect

__all__ = ["REJECTED_KEPT", "leftovers", "sweep_leftovers"]

REJECTED_KEPT: Final = timedelta(days=30)
"""How long rejected rows stay staged for a retry."""

_TEMPORARY: Final = ".tmp-"


def leftovers(
    collection: Collection,
    files: Sequence[StoredFile],
    version: int,
    *,
    now: datetime,
    grace: timedelta,
) -> list[StoredFile]:
    """The files that nobody will come for.

    Args:
        collection: Whose folder was listed.
        files: Every file in it.
        version: The head entry: what is settled.
        now: The moment to judge by.
        grace: Younger files are let be.
    """
    old = now - grace
    temporary = [
        file
        for file in files
        if file.path.rpartition("/")[2].startswith(_TEMPORARY) and file.modified < old
    ]
    start = f"{collection.path}/staging/"
    staged = [file for file in files if file.path.startswith(start)]
    uploads = {
        upload_id: list(group)
        for upload_id, group in groupby(staged, key=lambda file: _upload(file, start))
    }
    done = _done(collection, version, list(uploads))
    gone = [
        file
        for upload_id, group in uploads.items()
        for file in _ended(
            collection, upload_id, group, is_done=upload_id in done, old=old, now=now
        )
    ]
    return list({file.path: file for file in [*temporary, *gone]}.values())


def _done(collection: Collection, version: int, upload_ids: Sequence[str]) -> set[str]:
    """Those uploads of which every row landed."""
    if not upload_ids:
        return set()
    keys = pl.Series("upload_id", upload_ids, dtype=pl.String)
    rows = collection.scan(
        "uploads", version, keys=keys, columns=["upload_id", "status"]
    )
    found = collect(rows).filter(status="DONE")
    return set(found.get_column("upload_id").to_list())


def _ended(
    collection: Collection,
    upload_id: str,
    files: list[StoredFile],
    *,
    is_done: bool,
    old: datetime,
    now: datetime,
) -> Iterator[StoredFile]:
    """The files of a staged upload that is over.

    Where a merger died, rejected rows may lie there unmarked: they are let be.
    """
    names = {file.path.rpartition("/")[2] for file in files}
    newest = max(file.modified for file in files)
    if "settled.json" in names:
        if newest < now - REJECTED_KEPT:
            yield from files
    elif "manifest.json" not in names or collection.staging.is_abandoned(upload_id):
        if newest < old:
            yield from files
    elif is_done and newest < old:
        yield from files


def sweep_leftovers(collection: Collection, files: Sequence[StoredFile]) -> None:
    """Remove leftovers; parts without a manifest once they are declared abandoned.

    Raises:
        StorageError: If the store failed; what is left is found again.
    """
    start = f"{collection.path}/staging/"
    paths = {file.path for file in files}
    for upload_id in {_upload(file, start) for file in files} - {""}:
        manifest = f"{start}{upload_id}/manifest.json"
        if manifest in paths or collection.staging.abandon(upload_id):
            continue
        # Its writer was slow and not dead: the upload is acknowledged after all.
        paths -= {path for path in paths if path.startswith(f"{start}{upload_id}/")}
    # Manifests last: what is cut short is still known for what it is.
    for path in sorted(paths, key=lambda path: (path.endswith(".json"), path)):
        collection.store.delete(path)


def _upload(file: StoredFile, start: str) -> str:
    if not file.path.startswith(start):
        return ""
    return file.path.removeprefix(start).partition("/")[0]
