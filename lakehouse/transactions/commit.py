"""The commit loop: every change of a ledger goes through it.

    plan      on the newest entry, once that is published and no other writer has the turn
    put       the planned entry under the next number, if that is free: this decides
    publish   copy its actions into the Delta logs of the tables
    lost      drop or keep the files that the plan wrote, take a turn, plan again

What is durable when: on an object store every acknowledged PUT is. On a local disk
the put flushes twice: the files of the plan, with all entries before this one, side
by side, before its name is there, and then its name. Once it returns the change
stands, whatever happens to this process or to the power. The commits in the Delta
logs follow from the entry, so any later writer can complete them, and they are never
flushed. What another process put is flushed before anything rests on it
(`Ledger.make_durable`).
"""

import logging
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from lakehouse.errors import ConflictError, LakehouseError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry, EntryKind
from lakehouse.transactions.background import checkpoint_later

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

TURN: Final = timedelta(seconds=30)
"""How long the other writers wait for the writer that took a turn, at most.

Each counts from when it first saw the turn, by a clock that only it reads.
A writer that dies in its turn holds up the others for that long; a plan that
takes longer has to win its race like any other.
"""

_POLL_SECONDS: Final = 0.05
"""Between two looks for the end of another writer's turn: one existence check each."""

_TICK: Final = timedelta(microseconds=1)
"""The precision of times in entries."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a writer does when other writers are first."""

    attempts: int | None
    """After so many plans the writer gives up; None: never."""
    losses_before_turn: int | None
    """After so many lost races the writer asks the others to wait; None: never."""
    keeps_files: bool
    """Whether files of a lost plan are kept for the next one, rather than dropped."""
    yields: bool = False
    """Whether merges of this process that are under way go first."""


MERGE: Final = Policy(attempts=None, losses_before_turn=3, keeps_files=False)
"""Merges never give up: what they merge was acknowledged to somebody."""

CALL: Final = Policy(attempts=32, losses_before_turn=3, keeps_files=False)
"""Calls that a caller waits for: tags, restore, revert, garbage collection.

With turns taken from the third loss on, 32 losses mean that something is wrong.
"""

COMPACTION: Final = Policy(
    attempts=5, losses_before_turn=None, keeps_files=True, yields=True
)
"""Compaction yields to everybody: no other writer should have to wait for it.

What it wrote takes longer than a merge to write, so it stays for the next plan.
"""


@dataclass(frozen=True, slots=True)
class PlannedEntry(Generic[Result]):
    """The next entry of a ledger as planned on one head; not decided yet."""

    entry: Entry | None
    """What is to be put; None where nothing is to be changed."""
    result: Result
    """What the planner wants back once the entry stands."""
    files: Sequence[str] = ()
    """Paths of the data files that were written for this entry and that it alone names."""
    rests_on: Sequence[str] = ()
    """Paths of other files that have to be durable before the entry stands."""


@dataclass(slots=True)
class _Writer:
    """One call of `commit`, as the turns that it takes name it."""

    name: str
    took_turn: bool = False


def commit(
    collection: Collection,
    plan: Callable[[Entry], PlannedEntry[Result]],
    policy: Policy,
) -> PlannedEntry[Result]:
    """Decide and publish the entry that `plan` makes of the head.

    Args:
        collection: The collection whose ledger changes.
        plan: From the head to the next entry. It runs again, on a newer head,
            each time another writer was first. What it raises ends the call.
        policy: What to do then.

    Returns:
        The plan that was decided, or that had nothing to change.

    Raises:
        ConflictError: If other writers were first as often as `policy` allows.
        StorageError: If the store failed. If it is not known then whether the entry
            was written, the same call made again finds out.
    """
    writer = _Writer(secrets.token_hex(8))
    try:
        return _commit(collection, plan, policy, writer)
    finally:
        if writer.took_turn:
            _end_turn(collection, writer)


def _commit(
    collection: Collection,
    plan: Callable[[Entry], PlannedEntry[Result]],
    policy: Policy,
    writer: "_Writer",
) -> PlannedEntry[Result]:
    """The loop itself; see `commit`."""
    losses = 0
    planned: PlannedEntry[Result] | None = None
    while policy.attempts is None or losses < policy.attempts:
        # The first attempt runs beside the other threads of this process; later ones
        # hold the lock, so that these wait. Without that, quick merges in a loop beat
        # a slow plan for ever, and a turn costs everybody more than a lock.
        with collection.lock if losses else nullcontext():
            head = _published_head(collection, writer)
            planned = _plan_on(collection, head, plan)
            if planned is not None:
                if planned.entry is None:
                    return planned
                # THE DECISION. Nobody may read or write a table's log to find out
                # who was first: two writers that planned on this head put the same
                # number, and the store lets one of them. A put whose answer was lost
                # is read back; the commit id in the entry says whose it is. If even
                # that fails it raises: the entry may stand, so its files must stay.
                if _decide(collection, head, planned, planned.entry, policy):
                    _publish_decided(collection, planned.entry)
                    return planned
        # Lost: the number belongs to another writer's entry. The files of the plan
        # are named by nothing, and after a lost put nothing ever will name them.
        losses += 1
        if planned is not None and not policy.keeps_files:
            _drop_files(collection, planned.files)
        if policy.losses_before_turn and losses >= policy.losses_before_turn:
            _take_turn(collection, writer)
    # A planner whose files are kept lists in each plan all that it has written so far.
    if planned is not None and policy.keeps_files:
        _drop_files(collection, planned.files)
    raise ConflictError(
        f"Other writers of {collection.path} were first {losses} times in a row. "
        "Make the same call again."
    )


def commit_first(
    collection: Collection, plan: Callable[[], PlannedEntry[None]]
) -> Entry:
    """Decide and publish entry 0 of a collection that is not there yet.

    There is no head to plan on and no turn to wait for, and one attempt is enough:
    who loses has the collection that it wanted, made by another writer.

    Args:
        collection: The collection to be made.
        plan: Makes entry 0; it runs only where there is none.

    Returns:
        Entry 0 as it stands in the ledger, whoever put it.

    Raises:
        StorageError: If the store failed; the same call completes what is missing.
    """
    if collection.ledger.head() is None:
        planned = plan()
        # Two creators, or two who complete the same clone: one put wins.
        if planned.entry is not None and not collection.ledger.decide(planned.entry):
            _drop_files(collection, planned.files)
    first = collection.ledger.read(0)
    # Always: a creator that died between its put and here left the logs empty.
    collection.ledger.publish(first)
    return first


# ----------------------------- STEPS OF THE LOOP ----------------------------- #


def _published_head(collection: Collection, writer: "_Writer") -> Entry:
    """The newest entry, published; waits while another writer has the turn.

    Args:
        collection: The collection.
        writer: Who asks: its own turn is not waited for.
    """
    head = collection.head(standing=True)
    while _is_turn_of_another(collection, head, writer):
        time.sleep(_POLL_SECONDS)
        head = collection.head(standing=True)
    # A writer may have died between its put and its publishing. Everybody publishes
    # the head before putting the next entry, so at most the head is ever missing
    # from the logs, and no log gets commit N + 1 before commit N.
    if not collection.ledger.is_published(head.version):
        collection.ledger.publish(head)
    return head


def _plan_on(
    collection: Collection, head: Entry, plan: Callable[[Entry], PlannedEntry[Result]]
) -> PlannedEntry[Result] | None:
    """The plan on a head; None where files that the head names are gone already."""
    try:
        return plan(head)
    except NotFoundError:
        # Compaction replaced files of this head and garbage collection removed them
        # while they were read. Both put entries first, so there is a newer head, and
        # a plan on this one had lost anyway. Without a newer head it is no race.
        if collection.head().version > head.version:
            return None
        raise


def _decide(
    collection: Collection,
    head: Entry,
    planned: PlannedEntry[Result],
    entry: Entry,
    policy: Policy,
) -> bool:
    """Put an entry; False when the number is another's, or a merge goes first."""
    # A merge holds the lock from its look at the head to its put. Whoever waits for it
    # here loses to it, rather than making it plan again.
    with collection.lock if policy.yields else nullcontext():
        if policy.yields and collection.head().version > head.version:
            return False
        try:
            return collection.ledger.decide(entry, after=planned.rests_on)
        except NotFoundError:
            # What it rests on was collected or swept before it was flushed, by one
            # whose entry took this number.
            if collection.head().version > head.version:
                return False
            raise


def _publish_decided(collection: Collection, entry: Entry) -> None:
    """Publish an entry that stands; a failure is logged and left to the next writer.

    It must not raise: the caller would take the change for undone and make it again.
    """
    try:
        collection.ledger.publish(entry)
        checkpoint_later(collection, entry.version)
    except LakehouseError as error:
        _log.warning("entry %s stands; left for later: %s", entry.version, error)


def _drop_files(collection: Collection, files: Sequence[str]) -> None:
    """Delete files that no entry names; garbage collection finds what is left."""
    try:
        for path in files:
            collection.store.delete(path)
    except LakehouseError as error:
        _log.warning("left for garbage collection: %s", error)


def _take_turn(collection: Collection, writer: "_Writer") -> None:
    """Ask the other writers to wait, by an entry; best effort.

    The turn is a courtesy and no lock: a writer that does not see it, or that
    planned before it, may still be first. Correctness never depends on it, so
    losing the race for the turn, or a failing store, changes nothing.
    """
    try:
        head = collection.head()
        if _is_turn_of_another(collection, head, writer):
            return
        turn = next_entry(
            head, "turn", turn_until=next_time(head) + TURN, turn_of=writer.name
        )
        collection.ledger.publish(head)
        # Before the put: where its answer is lost, the turn may stand all the same.
        writer.took_turn = True
        if collection.ledger.decide(turn):
            collection.ledger.publish(turn)
    except LakehouseError as error:
        _log.warning("no turn on %s: %s", collection.path, error)


def _end_turn(collection: Collection, writer: "_Writer") -> None:
    """End a turn that its writer did not use: nothing to write, or it gave up.

    Best effort: where it fails, the others wait for as long as a turn lasts.
    """
    try:
        head = collection.head()
        if head.turn_until is None or head.turn_of != writer.name:
            return
        collection.ledger.publish(head)
        end = next_entry(head, "turn")
        if collection.ledger.decide(end):
            collection.ledger.publish(end)
    except LakehouseError as error:
        _log.warning("a turn on %s is not ended: %s", collection.path, error)


def _is_turn_of_another(collection: Collection, head: Entry, writer: "_Writer") -> bool:
    # The next entry ends a turn, whoever puts it: only the head can hold one.
    if head.turn_until is None or head.turn_of == writer.name:
        return False
    # The owner's clock may be a year ahead of ours. Its time can only shorten the
    # wait; what bounds it is how long this process has seen the turn stand.
    seen, since = collection.turn_seen
    if seen != head.commit_id:
        since = time.monotonic()
        collection.turn_seen = (head.commit_id, since)
    is_over = time.monotonic() - since >= TURN.total_seconds()
    return not is_over and datetime.now(UTC) < head.turn_until


# ---------------------------------- ENTRIES ---------------------------------- #


def next_time(head: Entry) -> datetime:
    """The time of the next entry: now, or a tick after the head where clocks differ."""
    return max(datetime.now(UTC), head.time + _TICK)


def next_entry(head: Entry, kind: EntryKind, **fields: Any) -> Entry:  # noqa: ANN401
    """The entry after `head`, with the same content but for the fields given."""
    # What describes one entry begins anew here; what describes the content (rows,
    # fingerprints, class map, which versions are closed so far) is carried over.
    own: dict[str, Any] = {
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
        "digest": "",
    }
    return replace(head, **(own | fields))
