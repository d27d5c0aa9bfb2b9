"""The head that the next entry is put on: published, and nobody else's turn.

A writer that lost several times in a row puts a `turn` entry; the others then
wait for it, so a long load cannot starve beside a stream of small uploads.
"""

import logging
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lakehouse.collection import Collection
from lakehouse.errors import LakehouseError
from lakehouse.ledger import Entry, EntryKind

__all__ = [
    "LOSSES_BEFORE_TURN",
    "following",
    "is_others_turn",
    "next_time",
    "publish_standing",
    "ready_head",
    "take_turn",
]

_log = logging.getLogger(__name__)

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
        _log.warning("entry %s stands; left for later: %s", entry.version, error)


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
