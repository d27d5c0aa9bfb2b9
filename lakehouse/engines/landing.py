"""Landing an entry: plan it on the head, decide it, and plan again after a lost race.

For the entries that are no merges: tags, restores, reverts, collections. Losing
a race costs a new plan; the files of the old one go, since nothing names them.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from lakehouse.collection import Collection
from lakehouse.engines.ready import (
    LOSSES_BEFORE_TURN,
    publish_standing,
    ready_head,
    take_turn,
)
from lakehouse.errors import ConflictError, LakehouseError
from lakehouse.ledger import Entry

__all__ = ["Planned", "land"]

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
