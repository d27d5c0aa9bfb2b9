"""Restore and revert in plain dicts, written apart from the real ones."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from lakehouse.testing.rows import exact
from lakehouse.testing.state import TABLES, Change, Key, Result, State, fates

_OWNER: Final = {
    "labels": "frames",
    "frame_embeddings": "frames",
    "label_embeddings": "labels",
}
_OWNERS_FIRST: Final = ("labels", "frame_embeddings", "label_embeddings")

Plan = dict[str, dict[Key, Any]]
"""Table to key to what the row is to be; None where it is to go."""


def restored(target: State) -> State:
    """The state with the rows of an earlier one."""
    return copy.deepcopy(target)


def reverted(
    now: State,
    before: State,
    after: State,
    changes: Iterable[Change],
    *,
    conflicts: Literal["keep", "overwrite"],
) -> tuple[State, set[tuple[str, Key]]]:
    """The state without some changes, and the rows that could not be undone.

    Args:
        now: The newest state.
        before: The state before the changes.
        after: The state after them.
        changes: What is to be undone.
        conflicts: What becomes of rows that were changed since.
    """
    plan: Plan = {table: {} for table in TABLES}
    left: set[tuple[str, Key]] = set()
    for change in changes:
        was, made, there = (
            exact(state.table(change.table).get(change.key))
            for state in (before, after, now)
        )
        if there == was:
            continue
        if there != made and conflicts == "keep":
            left.add((change.table, change.key))
        else:
            row = before.table(change.table).get(change.key)
            plan[change.table][change.key] = copy.deepcopy(row)
    if conflicts == "overwrite":
        _take_along(plan, now)
    else:
        left |= _blocked(plan, now)
    left |= _orphaned(plan, now)
    return _carried_out(plan, now), left


def _take_along(plan: Plan, now: State) -> None:
    for table in _OWNERS_FIRST:
        for owner in _going(plan[_OWNER[table]]):
            for key in _hanging_on(owner, now.table(table)):
                plan[table][key] = None


def _blocked(plan: Plan, now: State) -> set[tuple[str, Key]]:
    """Rows that something else hangs on, taken out of the plan."""
    left: set[tuple[str, Key]] = set()
    for table in reversed(_OWNERS_FIRST):
        name = _OWNER[table]
        going = set(_going(plan[table]))
        for owner in list(_going(plan[name])):
            if any(key not in going for key in _hanging_on(owner, now.table(table))):
                del plan[name][owner]
                left.add((name, owner))
    return left


def _orphaned(plan: Plan, now: State) -> set[tuple[str, Key]]:
    """Rows whose owner is not there, taken out of the plan."""
    left: set[tuple[str, Key]] = set()
    for table in _OWNERS_FIRST:
        owners = plan[_OWNER[table]]
        there = (set(now.table(_OWNER[table])) | set(owners)) - set(_going(owners))
        for key, row in list(plan[table].items()):
            owner = key[: 1 if _OWNER[table] == "frames" else 2]
            if row is not None and owner not in there:
                del plan[table][key]
                left.add((table, key))
    return left


def _carried_out(plan: Plan, now: State) -> State:
    state = copy.deepcopy(now)
    for table, rows in plan.items():
        for key, row in rows.items():
            if row is None:
                state.table(table).pop(key, None)
            else:
                state.table(table)[key] = row
    return state


def _going(rows: dict[Key, Any]) -> Iterator[Key]:
    return (key for key, row in rows.items() if row is None)


def _hanging_on(owner: Key, rows: dict[Key, Any]) -> list[Key]:
    return [key for key in rows if key[: len(owner)] == owner]


def undo_result(before: State, after: State, left: set[tuple[str, Key]]) -> Result:
    """What an undoing came to that led from one state to another."""
    changes = frozenset(_changes(before, after))
    rejected = frozenset(key[0] for _, key in left)
    counts, label_counts = fates(), fates()
    for frame_id in {change.key[0] for change in changes}:
        op = next(
            (c.op for c in changes if c.table == "frames" and c.key == (frame_id,)), ""
        )
        counts[{"ADD": "created", "DELETE": "deleted"}.get(op, "modified")] += 1
    counts["rejected"] = len(rejected)
    for change in changes:
        if change.table == "labels":
            fate = {"ADD": "created", "MODIFY": "modified", "DELETE": "deleted"}
            label_counts[fate[change.op]] += 1
    label_counts["rejected"] = sum(len(key) > 1 for _, key in left)
    return Result(rejected, changes, counts, label_counts)


def _changes(before: State, after: State) -> Iterator[Change]:
    for table in TABLES:
        old, new = before.table(table), after.table(table)
        for key in {*old, *new}:
            if key not in new:
                yield Change(table, key, "DELETE")
            elif exact(old.get(key)) != exact(new[key]):
                yield Change(table, key, "MODIFY" if key in old else "ADD")
