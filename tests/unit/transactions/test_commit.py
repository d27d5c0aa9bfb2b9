"""The commit loop among writers that are faster: what is tried, dropped and kept."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest

import lakehouse
from lakehouse.errors import ConflictError, NotFoundError, StorageError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.testing.invariants import assert_ledger_linear
from lakehouse.transactions.commit import (
    COMPACTION,
    PlannedEntry,
    Policy,
    commit,
    commit_first,
    next_entry,
)
from tests.rows import frame

PATIENT = Policy(attempts=None, losses_before_turn=None, keeps_files=False)


@pytest.fixture
def dataset(lake_root: str) -> lakehouse.Dataset:
    lake = lakehouse.connect(lake_root, compaction="manual")
    return lake.create_project("cells", classes=["cell"]).create_dataset("hela")


class Planner:
    """Plans tag entries that change nothing, each with a file, and loses some races."""

    def __init__(self, collection: Collection, losses: int) -> None:
        self.collection = collection
        self.other = collection.twin()
        self.losses = losses
        self.heads: list[int] = []
        self.files: list[str] = []

    def __call__(self, head: Entry) -> PlannedEntry[str]:
        self.heads.append(head.version)
        path = f"{self.collection.path}/tags/part-{head.version}.parquet"
        self.collection.store.put(path, b"named by nothing")
        self.files.append(path)
        if len(self.heads) <= self.losses:
            assert self.other.ledger.decide(next_entry(self.other.head(), "tag"))
        return PlannedEntry(next_entry(head, "tag"), f"on {head.version}", [path])

    def existing(self) -> list[str]:
        return [path for path in self.files if self.collection.store.exists(path)]


def test_a_lost_race_is_planned_again_on_the_new_head(
    dataset: lakehouse.Dataset,
) -> None:
    planner = Planner(dataset._collection, losses=2)

    decided = commit(dataset._collection, planner, PATIENT)

    assert planner.heads == [0, 1, 2]
    assert decided.entry is not None
    assert (decided.entry.version, decided.result) == (3, "on 2")
    assert planner.existing() == planner.files[-1:]
    assert dataset._collection.ledger.is_published(3)
    assert_ledger_linear(dataset)


def test_a_writer_that_always_loses_gives_up_and_drops_its_files(
    dataset: lakehouse.Dataset,
) -> None:
    planner = Planner(dataset._collection, losses=9)
    policy = Policy(attempts=3, losses_before_turn=None, keeps_files=False)

    with pytest.raises(ConflictError, match="3 times in a row"):
        commit(dataset._collection, planner, policy)

    assert len(planner.heads) == 3
    assert planner.existing() == []


def test_files_are_kept_for_the_next_plan_where_the_policy_says_so(
    dataset: lakehouse.Dataset,
) -> None:
    planner = Planner(dataset._collection, losses=2)
    policy = Policy(attempts=3, losses_before_turn=None, keeps_files=True)

    commit(dataset._collection, planner, policy)

    assert planner.existing() == planner.files


def test_a_turn_is_taken_after_so_many_losses(dataset: lakehouse.Dataset) -> None:
    planner = Planner(dataset._collection, losses=2)
    policy = Policy(attempts=9, losses_before_turn=2, keeps_files=False)

    decided = commit(dataset._collection, planner, policy)

    assert decided.entry is not None
    read = dataset._collection.ledger.read
    kinds = [read(number).kind for number in range(decided.entry.version + 1)]
    assert kinds == ["create", "tag", "tag", "turn", "tag"]
    assert decided.entry.turn_until is None


def test_a_writer_waits_while_another_has_the_turn(
    dataset: lakehouse.Dataset,
) -> None:
    collection = dataset._collection
    until = datetime.now(UTC) + timedelta(seconds=0.3)
    turn = next_entry(collection.head(), "turn", turn_until=until, turn_of="another")
    assert collection.ledger.decide(turn)

    commit(collection, Planner(collection, losses=0), PATIENT)

    assert datetime.now(UTC) >= until


def test_a_turn_that_cannot_be_taken_fails_nothing(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = Planner(dataset._collection, losses=1)
    policy = Policy(attempts=9, losses_before_turn=1, keeps_files=False)

    ledger = dataset._collection.ledger
    decide = ledger.decide

    def failing(entry: Entry, *, after: Sequence[str] = ()) -> bool:
        if entry.kind == "turn":
            raise StorageError("the store is away")
        return decide(entry, after=after)

    monkeypatch.setattr(ledger, "decide", failing)

    assert commit(dataset._collection, planner, policy).entry is not None


def test_files_that_were_collected_while_they_were_read_are_a_lost_race(
    dataset: lakehouse.Dataset,
) -> None:
    planner = Planner(dataset._collection, losses=1)

    def plan(head: Entry) -> PlannedEntry[str]:
        planned = planner(head)
        if len(planner.heads) == 1:
            raise NotFoundError("a file of the head is gone")
        return planned

    decided = commit(dataset._collection, plan, PATIENT)

    assert planner.heads == [0, 1]
    assert decided.entry is not None


def test_a_missing_file_without_a_newer_head_is_an_error(
    dataset: lakehouse.Dataset,
) -> None:
    def plan(head: Entry) -> PlannedEntry[str]:
        raise NotFoundError("a file of the head is gone")

    with pytest.raises(NotFoundError, match="is gone"):
        commit(dataset._collection, plan, PATIENT)


def test_nothing_to_change_puts_no_entry(dataset: lakehouse.Dataset) -> None:
    planned = commit(
        dataset._collection, lambda _: PlannedEntry(None, "as it is"), PATIENT
    )

    assert (planned.entry, planned.result) == (None, "as it is")
    assert dataset._collection.head().version == 0


def test_the_first_entry_stands_and_the_second_creator_drops_its_files(
    dataset: lakehouse.Dataset,
) -> None:
    source = dataset._collection
    target = Collection(source.store, f"{source.path}-copy", source.classes)
    path = f"{target.path}/tags/part-0.parquet"
    first = source.ledger.read(0)

    def plan() -> PlannedEntry[None]:
        source.store.put(path, b"named by nothing")
        assert target.twin().ledger.decide(first)
        return PlannedEntry(next_entry(first, "create", version=0), None, [path])

    assert commit_first(target, plan) == first
    assert not source.store.exists(path)
    assert target.ledger.is_published(0)


# ---------------------------------- TURNS ----------------------------------- #


def take_turn(collection: Collection, until: datetime) -> None:
    turn = next_entry(collection.head(), "turn", turn_until=until, turn_of="another")
    assert collection.ledger.decide(turn)


def test_a_turn_of_a_clock_a_year_ahead_lasts_no_longer_than_any(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.transactions.commit.TURN", timedelta(seconds=0.3))
    collection = dataset._collection
    take_turn(collection, datetime.now(UTC) + timedelta(days=365))
    start = time.monotonic()

    commit(collection, Planner(collection, losses=0), PATIENT)

    assert 0.3 <= time.monotonic() - start < 10


def test_a_turn_is_waited_for_once_by_a_process_that_writes_nothing(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.transactions.commit.TURN", timedelta(seconds=1.5))
    collection = dataset._collection
    take_turn(collection, datetime.now(UTC) + timedelta(days=365))
    start = time.monotonic()

    for _ in range(4):
        commit(collection, lambda _: PlannedEntry(None, None), PATIENT)

    assert 1.5 <= time.monotonic() - start < 4


class Owner(Planner):
    """Takes a turn after its first loss, and then writes nothing, or fails."""

    def __init__(self, collection: Collection, error: Exception | None) -> None:
        super().__init__(collection, losses=1)
        self.error = error

    def __call__(self, head: Entry) -> PlannedEntry[str]:
        if not self.heads:
            return super().__call__(head)
        assert head.turn_until is not None
        if self.error is not None:
            raise self.error
        return PlannedEntry(None, "nothing to write")


@pytest.mark.parametrize("error", [None, StorageError("away"), ValueError("bad")])
def test_a_turn_ends_when_its_writer_has_nothing_to_write(
    dataset: lakehouse.Dataset, error: Exception | None
) -> None:
    policy = Policy(attempts=9, losses_before_turn=1, keeps_files=False)
    raises = pytest.raises(type(error)) if error is not None else nullcontext()

    with raises:
        commit(dataset._collection, Owner(dataset._collection, error), policy)

    assert dataset._collection.head().turn_until is None
    start = time.monotonic()
    dataset.add([frame("f1")])
    assert time.monotonic() - start < 10
    assert_ledger_linear(dataset)


def test_a_turn_ends_when_its_writer_gives_up(dataset: lakehouse.Dataset) -> None:
    policy = Policy(attempts=2, losses_before_turn=2, keeps_files=False)

    with pytest.raises(ConflictError):
        commit(dataset._collection, Planner(dataset._collection, losses=2), policy)

    assert dataset._collection.head().turn_until is None


# ------------------------- WORK BEHIND THE ANSWER ---------------------------- #


def test_a_compaction_lets_a_merge_of_its_process_go_first(
    dataset: lakehouse.Dataset,
) -> None:
    collection = dataset._collection
    planned, merged = threading.Event(), threading.Event()
    heads: list[int] = []

    def plan(head: Entry) -> PlannedEntry[None]:
        heads.append(head.version)
        planned.set()
        return PlannedEntry(next_entry(head, "maintenance"), None)

    def compaction() -> None:
        commit(collection.twin(), plan, COMPACTION)
        assert merged.is_set()

    with ThreadPoolExecutor(1) as pool:
        with collection.lock:
            done = pool.submit(compaction)
            assert planned.wait(10)
            # The merge looked at the head before the compaction was ready to put.
            entry = next_entry(collection.head(), "tag")
            time.sleep(0.2)
            assert collection.ledger.decide(entry)
            merged.set()
        done.result(10)

    assert heads == [0, 1]
    assert collection.ledger.read(2).kind == "maintenance"
