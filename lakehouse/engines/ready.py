"""The head that the next entry is put on: published, and nobody else's turn."""

import time
from datetime import UTC, datetime
from typing import Final

from lakehouse.collection import Collection
from lakehouse.ledger import Entry

__all__ = ["is_others_turn", "ready_head"]

_POLL_SECONDS: Final = 0.05


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
