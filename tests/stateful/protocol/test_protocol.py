"""Nothing acknowledged is lost, doubled, reordered or torn: in every order of steps.

Each scenario is explored wholly, with a crash and a power cut at every point. The
planted bugs show that the exploration would see what an implementation might leave
out; `make protocol` explores more actors side by side.
"""

import os
from typing import Final

import pytest

from tests.stateful.protocol.actors import (
    Actor,
    Bug,
    Collector,
    Compactor,
    Merger,
    Reader,
    Sweeper,
    Writer,
)
from tests.stateful.protocol.explorer import explore
from tests.stateful.protocol.world import Upload

IS_LARGE: Final = "PROTOCOL" in os.environ

A, A2 = Upload("a", "1"), Upload("a", "2")
B, C = Upload("b", "1"), Upload("c", "1")

SCENARIOS: Final[dict[str, list[Actor]]] = {
    "two writers": [Writer("w1", A), Writer("w2", B)],
    "one id, the same rows": [
        Writer("w1", A, own_id=True),
        Writer("w2", A, own_id=True),
    ],
    "one id, other rows": [
        Writer("w1", A, own_id=True),
        Writer("w2", A2, own_id=True),
    ],
    "one id, other rows, one of them staged": [
        Writer("w1", A, own_id=True),
        Writer("w2", A2, own_id=True, inline=False),
        Sweeper(),
    ],
    "two that stage, and a merger": [
        Writer("w1", A, inline=False),
        Writer("w2", B, inline=False),
        Merger(),
    ],
    "one that stages, one that does not, and a merger": [
        Writer("w1", A, inline=False),
        Writer("w2", B),
        Merger(),
    ],
    "two mergers": [Writer("w1", A, inline=False), Merger("m1"), Merger("m2")],
    "the same rows, staged and not, and a merger": [
        Writer("w1", A, own_id=True),
        Writer("w2", A, own_id=True, inline=False),
        Merger(),
    ],
    "a merger and a sweeper": [Writer("w1", A, inline=False), Merger(), Sweeper()],
    "a compactor beside writers": [Writer("w1", A), Writer("w2", B), Compactor()],
    "a collector beside writers": [Writer("w1", A), Writer("w2", B), Collector()],
    "a collector beside a compactor": [Writer("w1", A), Compactor(), Collector()],
}

LARGE: Final[dict[str, list[Actor]]] = {
    "a reader beside upkeep": [
        Writer("w1", A),
        Compactor(),
        Collector(),
        Reader(),
    ],
    "an id that is taken": [
        Writer("w1", A, own_id=True),
        Writer("w2", A2, own_id=True, inline=False),
        Sweeper("s1"),
        Sweeper("s2"),
    ],
    "three writers": [Writer("w1", A), Writer("w2", B), Writer("w3", C)],
    "two that stage, a writer and a merger": [
        Writer("w1", A, inline=False),
        Writer("w2", B, inline=False),
        Writer("w3", C),
        Merger(),
    ],
    "one id three times": [
        Writer("w1", A, own_id=True),
        Writer("w2", A2, own_id=True),
        Writer("w3", A, own_id=True, inline=False),
        Sweeper(),
    ],
    "upkeep beside writers": [
        Writer("w1", A),
        Writer("w2", B),
        Compactor(),
        Collector(),
    ],
}


SEEN_BY: Final[dict[Bug, str]] = {
    Bug.DATA_NOT_FLUSHED: "two writers",
    Bug.LEDGER_NOT_FLUSHED_BEFORE_PUT: "two writers",
    Bug.ANSWERED_BEFORE_FLUSH: "two writers",
    Bug.MANIFEST_NOT_FLUSHED: "two that stage, and a merger",
    Bug.ANSWERED_ON_OTHERS_ENTRY: "one id, the same rows",
    Bug.SWEPT_BEFORE_FLUSH: "two that stage, and a merger",
    Bug.SETTLED_ASKED_ONCE: "two mergers",
    Bug.NO_CLAIM: "one id, other rows, one of them staged",
    Bug.NO_LOOK_AFTER_MANIFEST: "one id, other rows, one of them staged",
    Bug.SWEPT_BY_ID: "an id that is taken",
    Bug.PUT_OVERWRITES: "two writers",
    Bug.LOST_ANSWER_IS_FAILURE: "two writers",
    Bug.COLLECT_IGNORED: "a collector beside writers",
    Bug.CANDIDATES_AFTER_ENTRY: "a collector beside writers",
    Bug.INPUTS_NOT_COMPARED: "a compactor beside writers",
    Bug.WAITING_IGNORED: "one that stages, one that does not, and a merger",
    Bug.MERGED_OUT_OF_ORDER: "two that stage, and a merger",
    Bug.LEASES_BEFORE_ENTRY: "a reader beside upkeep",
    Bug.READ_BEFORE_LEASE: "a reader beside upkeep",
    Bug.CREATED_BEHIND_THE_VISIBLE: "two that stage, and a merger",
}
"""Which scenario shows that a rule is left out."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_order_of_steps_breaks_a_promise(name: str) -> None:
    result = explore(SCENARIOS[name])

    assert result.violation is None, "\n".join(result.path)
    assert result.worlds > 10


@pytest.mark.parametrize("bug", Bug, ids=lambda bug: bug.name.lower())
def test_a_rule_left_out_is_seen(bug: Bug) -> None:
    result = explore((SCENARIOS | LARGE)[SEEN_BY[bug]], frozenset({bug}))

    assert result.violation is not None
    assert result.path


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_no_order_of_many_actors_steps_breaks_a_promise(name: str) -> None:
    if not IS_LARGE and name not in SEEN_BY.values():
        pytest.skip("`make protocol` explores these")
    result = explore(LARGE[name])

    print(f"{name}: {result.worlds:,} worlds")
    assert result.violation is None, "\n".join(result.path)
