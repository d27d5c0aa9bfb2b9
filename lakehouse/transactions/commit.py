"""Landing an entry: plan it on the head, decide it, and plan again after a lost race.

For the entries that are no merges: tags, restores, reverts, collections. Losing
a race costs a new plan; the files of the old one go, since nothing names them.
"""

import logging
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lakehouse.errors import ConflictError, LakehouseError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry, EntryKind

_publish_log = logging.getLogger(__name__)

LOSSES_BEFORE_TURN: Final = 3
"""Who lost this often in a row asks the others to wait."""

TURN: Final = timedelta(seconds=30)
"""How long the others wait, at the most."""

_POLL_SECONDS: Final = 0.05
_TICK: Final = timedelta(microseconds=1)


def next_time(head: Entry) -> datetime:
    """Now, or a tick after the head where clocks disagree."""
    return max(datetime.now(UTC), head.time + _TICK)


def following(head: Entry, kind: EntryKind, **fields: Any) -> Entry:  # noqa: ANN401
    """The entry after `head`, with its content: only what is named differs."""
    told: dict[str, Any] = {
        "version": head.version + 1,
        "kind": kind,
        "commit_id": uuid.uuid4().hex,
        "time": next_time(head),
        "author": None,
        "message": None,
        "uploads": (),
        "counts": {},
        "actions": {},
        "turn_until": None,
        "turn_of": None,
        "closed": (),
    }
    return replace(head, **(told | fields))


def publish_standing(collection: Collection, entry: Entry) -> None:
    """Publish an entry that landed; what fails is left for whoever comes next.

    The entry stands: nothing here may make the caller think otherwise.
    """
    try:
        collection.ledger.publish(entry)
    except LakehouseError as error:
        _publish_log.warning(
            "entry %s stands; left for later: %s", entry.version, error
        )


def take_turn(collection: Collection, name: str) -> None:
    """Ask the others to wait, unless one of them did first.

    Args:
        collection: Whose next entry.
        name: Who asks.
    """
    head = collection.head()
    if is_others_turn(head, name):
        return
    until = next_time(head) + TURN
    turn = following(head, "turn", turn_until=until, turn_of=name)
    collection.ledger.publish(head)
    if collection.ledger.decide(turn):
        collection.ledger.publish(turn)


def ready_head(collection: Collection, name: str) -> Entry:
    """The newest entry, once it is published and no other's turn is on it.

    Every writer publishes the head before it puts the next entry, so at most
    the head is ever missing from the tables.

    Args:
        collection: Whose head.
        name: Whose turn is not waited for.
    """
    head = collection.head()
    while is_others_turn(head, name):
        time.sleep(_POLL_SECONDS)
        head = collection.head()
    if not collection.ledger.is_published(head.version):
        collection.ledger.publish(head)
    return head


def is_others_turn(head: Entry, name: str) -> bool:
    """Whether a merger other than `name` was given the next entry."""
    if head.turn_until is None or head.turn_of == name:
        return False
    return datetime.now(UTC) < head.turn_until


_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 32


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry, and the files that were written for it alone."""

    entry: Entry
    files: Sequence[str] = ()


def land(
    collection: Collection, plan: Callable[[Entry], Planned | None]
) -> Entry | None:
    """Decide and publish the entry that `plan` makes of the head.

    Args:
        collection: Whose ledger.
        plan: From the head to its next entry; None ends it with nothing written.
            It runs again, on a newer head, when another writer was first.

    Returns:
        The entry that landed; None if `plan` had none.

    Raises:
        ConflictError: If others were always first.
        StorageError: If the store failed. Where it would not say whether the
            entry landed, the same call finds out.
    """
    name = secrets.token_hex(8)
    for losses in range(_ATTEMPTS):
        # Who lost to this process's own writers makes them wait.
        with collection.lock if losses else nullcontext():
            planned = plan(ready_head(collection, name))
            if planned is None:
                return None
            if collection.ledger.decide(planned.entry):
                publish_standing(collection, planned.entry)
                return planned.entry
        _drop(collection, planned)
        if losses + 1 >= LOSSES_BEFORE_TURN:
            take_turn(collection, name)
    raise ConflictError(
        f"Other writers of {collection.path} were first {_ATTEMPTS} times in a row. "
        "Make the same call again."
    )


def _drop(collection: Collection, planned: Planned) -> None:
    try:
        for path in planned.files:
            collection.store.delete(path)
    except LakehouseError as error:
        _log.warning("left for garbage collection: %s", error)
