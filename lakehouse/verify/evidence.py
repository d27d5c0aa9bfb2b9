"""One ledger entry compared with the dozen commits that follow from it.

Each commit names the digest of its entry, and follows from it byte for byte. So

    one log differs                            that log line was altered
    most logs agree on another digest          the ledger entry was altered
    the entry cannot be read                   the logs stand in for it

A commit holds the entry's kind, time and actions; only its header's other facts
are lost with an entry, and are then not checked.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

from lakehouse.delta.log import LEDGER_ENTRY, Action, read_commit
from lakehouse.errors import FormatError, NotFoundError, StorageError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import (
    Entry,
    EntryKind,
    commit_of,
    digest_of,
    entry_name,
    log_path,
)
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.storage import Store
from lakehouse.verify.report import Report

_FROM_BACKUP: Final = "Restore the file from a backup; no other copy of it exists."


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes in the store of one entry and its commits; None where a file is missing."""

    collection: Collection
    version: int
    entry: bytes | None
    logs: Mapping[str, bytes | None]
    """Table to its commit."""

    @property
    def file(self) -> str:
        """The path of the entry."""
        return f"{self.collection.path}/ledger/{entry_name(self.version)}"

    def log_file(self, table: str) -> str:
        """The path of a table's commit."""
        return log_path(self.collection.table_path(table), self.version)


@dataclass(frozen=True, slots=True)
class Decided:
    """An entry, with the actions that its tables were given."""

    entry: Entry
    is_vouched: bool
    """Whether its header is as it was decided; otherwise only kind and actions are."""


def read_raw(collection: Collection, version: int) -> Raw:
    """Read the bytes of an entry and of its commits.

    Raises:
        StorageError: If the store failed and may not fail again.
    """
    raw = Raw(collection, version, None, {})
    store = collection.store
    logs = {table: _bytes(store, raw.log_file(table)) for table in COLLECTION_TABLES}
    return replace(raw, entry=_bytes(store, raw.file), logs=logs)


def _bytes(store: Store, path: str) -> bytes | None:
    try:
        return store.read(path)
    except NotFoundError:
        return None
    except StorageError as error:
        if error.retryable:
            raise
        return b""  # it exists and cannot be read: corrupt


def decide(raw: Raw, before: Entry | None, head: int, report: Report) -> Decided:
    """What was decided at a version, by the entry or else by the logs.

    Args:
        raw: The bytes in the store.
        before: The entry before.
        head: The newest entry's number: it alone may be unpublished.
        report: Where problems are noted.
    """
    commits = {table: _commit(data) for table, data in raw.logs.items()}
    named = Counter(
        digest
        for table in commits
        if (digest := _digest_in(commits[table])) is not None
    )
    _report_missing(raw, head, report)
    entry, problem = _decoded(raw)
    actual_digest = None if raw.entry is None else digest_of(raw.entry)
    # Logs vote, since no single file can be trusted. Without any log, as for a head that
    # is not published, the entry is its own witness.
    digest, votes = next(iter(named.most_common(1)), (actual_digest, 0))
    if entry is None:
        report.add(*problem, version=raw.version, file=raw.file)
    # A tie counts for the entry; the logs that disagree are then reported instead.
    elif digest != actual_digest and votes > named[str(actual_digest)]:
        report.add(
            "ledger.altered",
            f"Entry {raw.version} has the digest {actual_digest}, but {votes} of "
            f"{named.total()} commits that follow from it name {digest}: it was "
            "altered after it was decided.",
            f"Restore the bytes of that digest (BLAKE2b-128). {_FROM_BACKUP}",
            version=raw.version,
            file=raw.file,
        )
    else:
        for table, data in raw.logs.items():
            # Byte for byte, because every writer derives a commit from its entry alike.
            if data is not None and data != commit_of(entry, table):
                _report_altered(raw, table, report)
        return Decided(entry, is_vouched=True)
    for table, log in commits.items():
        if raw.logs[table] is not None and _digest_in(log) != digest:
            _report_altered(raw, table, report)
    return Decided(_stand_in(raw, commits, digest, before), is_vouched=False)


# ---------------------------------- THE ENTRY ------------------------------- #


def _decoded(raw: Raw) -> tuple[Entry | None, tuple[str, str, str]]:
    """The entry; or the check, message and hint of why it cannot be decoded."""
    if raw.entry is None:
        message = f"Entry {raw.version} is not there, though later ones are."
        return None, ("ledger.missing", message, _FROM_BACKUP)
    try:
        return Entry.decode(raw.entry), ("", "", "")
    except FormatError as error:
        if error.kind == "format.newer":
            return None, ("ledger.newer", str(error), "Upgrade the package.")
        reason = str(raw.entry[:80])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no entry
        reason = f"{type(error).__name__}: {error}"
    message = f"Entry {raw.version} cannot be read: {reason}."
    return None, ("ledger.damaged", message, _FROM_BACKUP)


def _stand_in(
    raw: Raw,
    commits: Mapping[str, list[Action]],
    digest: str | None,
    before: Entry | None,
) -> Entry:
    """The entry as far as it follows from the commits that name its digest."""
    sound = {table: log for table, log in commits.items() if _digest_in(log) == digest}
    info: dict[str, Any] = next((_info(log) for log in sound.values() if log), {})
    # An operation that cannot be read counts as a change of content, so that its version
    # is checked, not skipped.
    word = str(info.get("operation", "")).removeprefix("lakehouse ")
    kind: EntryKind = next((k for k in get_args(EntryKind) if k == word), "data")
    return Entry(
        version=raw.version,
        kind=kind,
        commit_id=str(info.get("txnId")),
        time=datetime.fromtimestamp(0, UTC) if before is None else before.time,
        content_version=content_of(raw.version, kind, before),
        collected=collected_of(raw.version, kind, before),
        actions={
            table: tuple(action for action in log if "commitInfo" not in action)
            for table, log in sound.items()
        },
    )


def content_of(version: int, kind: EntryKind, before: Entry | None) -> int:
    """The version whose content an entry of that kind has."""
    if kind in {"create", "data"} or before is None:
        return version
    return before.content_version


def collected_of(version: int, kind: EntryKind, before: Entry | None) -> int | None:
    """The newest garbage collection up to an entry of that kind."""
    if kind == "collect":
        return version
    return None if before is None else before.collected


# ----------------------------------- THE LOGS ------------------------------- #


def _report_missing(raw: Raw, head: int, report: Report) -> None:
    missing = [table for table, data in raw.logs.items() if data is None]
    if missing and raw.version == head:
        report.note(
            f"Entry {head}, the newest, is not published yet in {len(missing)} of "
            f"{len(raw.logs)} tables; the next writer does that."
        )
        return
    for table in missing:
        report.add(
            "log.missing",
            f"Commit {raw.version} is not there, though later ones are.",
            _publish_again(raw.version),
            version=raw.version,
            table=table,
            file=raw.log_file(table),
        )


def _report_altered(raw: Raw, table: str, report: Report) -> None:
    report.add(
        "log.altered",
        f"Commit {raw.version} is not what follows from its ledger entry: it was "
        "altered after it was published.",
        _publish_again(raw.version),
        version=raw.version,
        table=table,
        file=raw.log_file(table),
    )


def _publish_again(version: int) -> str:
    return f"'lakehouse run repair' writes commit {version} again, from the ledger."


def _commit(data: bytes | None) -> list[Action]:
    """The actions of a commit; none where it is missing or unreadable."""
    try:
        actions = read_commit(data or b"")
    except ValueError:
        return []
    return actions if all(isinstance(action, dict) for action in actions) else []


def _info(log: list[Action]) -> dict[str, Any]:
    return next(
        (
            action["commitInfo"]
            for action in log
            if isinstance(action.get("commitInfo"), dict)
        ),
        {},
    )


def _digest_in(log: list[Action]) -> str | None:
    """The digest of its entry that a commit names."""
    digest = _info(log).get(LEDGER_ENTRY)
    return digest if isinstance(digest, str) else None
