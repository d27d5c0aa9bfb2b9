"""The commit loop among writers that are faster: what is tried, dropped and kept."""

from datetime import UTC, datetime, timedelta

import pytest

import lakehouse
from lakehouse.errors import ConflictError, NotFoundError, StorageError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.testing.invariants import assert_ledger_linear
from lakehouse.transactions.commit import (
    PlannedEntry,
    Policy,
    commit,
    commit_first,
    next_entry,
)

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

    def failing(entry: Entry) -> bool:
        if entry.kind == "turn":
            raise StorageError("the store is away")
        return decide(entry)

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
