"""The merge: pending uploads become the next version, or are told why not.

One attempt reads the head, the class map and the touched rows; runs the kernel;
writes data files; and puts the next ledger entry if absent. Only that put
decides. Lost it: everything is computed again on the new head, from the same
staged rows. Won it: the tables are published, best effort, since whoever comes
next completes that.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lakehouse.collection import Collection
from lakehouse.engines.background import (
    checkpoint_later,
    compact_later,
    index_later,
    sweep,
    sweep_later,
)
from lakehouse.engines.bases import base_findings
from lakehouse.engines.pending import Pending, next_group, unsettled
from lakehouse.engines.plan import Plan, plan_entry
from lakehouse.engines.ready import (
    LOSSES_BEFORE_TURN,
    next_time,
    ready_head,
    take_turn,
)
from lakehouse.engines.records import upload_rows
from lakehouse.engines.touched import current_rows, stale_frames, stamped
from lakehouse.errors import LakehouseError, NotFoundError, StorageError
from lakehouse.ledger import Entry
from lakehouse.merging.evolve import evolve
from lakehouse.merging.findings import together
from lakehouse.merging.kernel import apply
from lakehouse.merging.outcome import Outcome
from lakehouse.merging.rules import Rules
from lakehouse.model.operations import Operations
from lakehouse.progress import Tell, silent

__all__ = ["Merger"]

_log = logging.getLogger(__name__)

_MANY: Final = 16
"""So many settled uploads are swept after the answer."""


class Merger:
    """Merges what is staged in one collection, until nothing is left."""

    def __init__(
        self,
        collection: Collection,
        at_hand: dict[str, Operations] | None = None,
        *,
        compacts: bool = True,
    ) -> None:
        self._collection = collection
        self._name = secrets.token_hex(8)
        self._losses = 0
        self._compacts = compacts
        self._at_hand = at_hand if at_hand is not None else {}

    def run(self, tell: Tell = silent) -> list[str]:
        """Merge until nothing is pending; the ids of the uploads settled, in order.

        Args:
            tell: Told `merging`, how many uploads are settled, and of how many.

        Raises:
            StorageError: If the store failed. Nothing is lost: what is staged
                stays staged, and the next merge takes it up.
        """
        settled: list[str] = []
        with self._collection.lock:
            while True:
                head = ready_head(self._collection, self._name)
                group = next_group(self._collection, head.version, self._at_hand)
                if not group:
                    tell("merging", len(settled), len(settled))
                    return settled
                if tell is not silent:
                    left = len(unsettled(self._collection, head.version))
                    tell("merging", len(settled), len(settled) + left)
                settled += self._merge(head, group)

    def _merge(self, head: Entry, group: Sequence[Pending]) -> list[str]:
        """One attempt; the ids settled, none when another merger was first."""
        try:
            outcome, rules = self._compute(head, group)
        except NotFoundError:
            if self._collection.head().version > head.version:
                return []
            raise
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - one upload must not block the next
            if len(group) > 1:
                return self._merge(head, group[:1])
            _log.exception("upload %s cannot be merged", group[0].manifest.upload_id)
            reason = f"{type(error).__name__}: {error}"
            group = [replace(group[0], damage=reason, operations=Operations.empty())]
            outcome, rules = self._compute(head, group)
        at = next_time(head)
        entry, plan = plan_entry(
            self._collection, head, group, outcome=outcome, rules=rules, at=at
        )
        if not self._collection.ledger.decide(entry):
            self._lost(plan)
            return []
        self._won(entry, group, outcome)
        return list(entry.uploads)

    def _compute(self, head: Entry, group: Sequence[Pending]) -> tuple[Outcome, Rules]:
        collection = self._collection
        before = collection.rules(head.version)
        operations = stamped(group, before.class_ids)
        rules, operations, problems = evolve(before, operations)
        problems = together([problems, base_findings(collection, operations)])
        outcome = apply(
            current_rows(collection, head.version, operations),
            operations,
            rules,
            problems=problems,
            stale=stale_frames(collection, head.version, group),
            abort=frozenset(
                pending.manifest.upload_id
                for pending in group
                if pending.manifest.on_error == "abort"
            ),
        )
        return outcome, rules

    def _won(self, entry: Entry, group: Sequence[Pending], outcome: Outcome) -> None:
        """The version stands. Nothing below may make the caller think otherwise."""
        self._losses = 0
        collection = self._collection
        collection.staging.note_settled(list(entry.uploads))
        rows = upload_rows(group, outcome, entry.version, entry.time)
        ended = rows[["upload_id", "status"]].rows()
        done = [upload_id for upload_id, status in ended if status == "DONE"]
        try:
            collection.ledger.publish(entry)
            for upload_id in entry.uploads:
                self._at_hand.pop(upload_id, None)
                if upload_id not in done:
                    collection.staging.keep_rejected(upload_id)
            if len(done) > _MANY:
                sweep_later(collection, done)
            else:
                sweep(collection, done)
        except LakehouseError as error:
            _log.warning("version %s stands; left for later: %s", entry.version, error)
        index_later(collection)
        checkpoint_later(collection, entry.version)
        if self._compacts:
            compact_later(collection, entry.version)

    def _lost(self, plan: Plan) -> None:
        """Another merger was first: drop what was written, and maybe ask for a turn."""
        self._losses += 1
        try:
            for path in plan.written_files(self._collection):
                self._collection.store.delete(path)
            if self._losses >= LOSSES_BEFORE_TURN:
                take_turn(self._collection, self._name)
        except LakehouseError as error:
            _log.warning("left for garbage collection: %s", error)
