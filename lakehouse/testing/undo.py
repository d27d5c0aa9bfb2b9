"""Revert in plain dicts, written independently of the real one."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from lakehouse.testing.rows import exact
from lakehouse.testing.state import TABLES, Change, Key, Result, State, no_outcomes

_OWNER: Final = {
    "labels": "frames",
    "frame_embeddings": "frames",
    "label_embeddings": "labels",
}
"""Table to the table whose rows its rows depend on."""

# Owners before their dependents: whether a row stays may follow from its owner.
_DEPENDENT_TABLES: Final = ("labels", "frame_embeddings", "label_embeddings")

Plan = dict[str, dict[Key, Any]]
"""Table to key to the row it shall have; None where it shall be deleted."""


def reverted(
    now: State,
    before: State,
    after: State,
    changes: Iterable[Change],
    *,
    conflicts: Literal["keep", "overwrite"],
) -> tuple[State, set[tuple[str, Key]]]:
    """The state without some changes, and the keys that could not be undone.

    Args:
        now: The newest state.
        before: The state before the changes.
        after: The state after them.
        changes: The changes to undo.
        conflicts: Whether to keep or overwrite rows that were changed since.
    """
    plan: Plan = {table: {} for table in TABLES}
    not_undone: set[tuple[str, Key]] = set()
    for change in changes:
        old, new, current = (
            exact(state.table(change.table).get(change.key))
            for state in (before, after, now)
        )
        # Somebody else has undone it already: nothing is left to do, nothing conflicts.
        if current == old:
            continue
        if current != new and conflicts == "keep":
            not_undone.add((change.table, change.key))
        else:
            row = before.table(change.table).get(change.key)
            plan[change.table][change.key] = copy.deepcopy(row)
    if conflicts == "overwrite":
        _delete_dependents(plan, now)
    else:
        not_undone |= _keep_owners(plan, now)
    not_undone |= _drop_orphans(plan, now)
    return _apply(plan, now), not_undone


def _delete_dependents(plan: Plan, now: State) -> None:
    for table in _DEPENDENT_TABLES:
        for owner in _deleted(plan[_OWNER[table]]):
            for key in _dependents(owner, now.table(table)):
                plan[table][key] = None


def _keep_owners(plan: Plan, now: State) -> set[tuple[str, Key]]:
    """Take deletions out of the plan that would leave dependents; their keys."""
    not_undone: set[tuple[str, Key]] = set()
    # Dependents first: a label that stays because of its vector keeps its frame too.
    for table in reversed(_DEPENDENT_TABLES):
        owner_table = _OWNER[table]
        deleted = set(_deleted(plan[table]))
        for owner in list(_deleted(plan[owner_table])):
            if any(key not in deleted for key in _dependents(owner, now.table(table))):
                del plan[owner_table][owner]
                not_undone.add((owner_table, owner))
    return not_undone


def _drop_orphans(plan: Plan, now: State) -> set[tuple[str, Key]]:
    """Take rows out of the plan that would have no owner; their keys."""
    not_undone: set[tuple[str, Key]] = set()
    for table in _DEPENDENT_TABLES:
        owners = plan[_OWNER[table]]
        existing = set(now.table(_OWNER[table])) | set(owners)
        existing -= set(_deleted(owners))
        for key, row in list(plan[table].items()):
            owner = key[: 1 if _OWNER[table] == "frames" else 2]
            if row is not None and owner not in existing:
                del plan[table][key]
                not_undone.add((table, key))
    return not_undone


def _apply(plan: Plan, now: State) -> State:
    state = copy.deepcopy(now)
    for table, rows in plan.items():
        for key, row in rows.items():
            if row is None:
                state.table(table).pop(key, None)
            else:
                state.table(table)[key] = row
    return state


def _deleted(rows: dict[Key, Any]) -> Iterator[Key]:
    return (key for key, row in rows.items() if row is None)


def _dependents(owner: Key, rows: dict[Key, Any]) -> list[Key]:
    return [key for key in rows if key[: len(owner)] == owner]


def undo_result(
    before: State, after: State, not_undone: set[tuple[str, Key]]
) -> Result:
    """The result of a restore or revert that led from one state to another."""
    changes = frozenset(_changes(before, after))
    rejected = frozenset(key[0] for _, key in not_undone)
    counts, label_counts = no_outcomes(), no_outcomes()
    for frame_id in {change.key[0] for change in changes}:
        op = next(
            (c.op for c in changes if c.table == "frames" and c.key == (frame_id,)), ""
        )
        counts[{"ADD": "created", "DELETE": "deleted"}.get(op, "modified")] += 1
    counts["rejected"] = len(rejected)
    for change in changes:
        if change.table == "labels":
            outcomes = {"ADD": "created", "MODIFY": "modified", "DELETE": "deleted"}
            label_counts[outcomes[change.op]] += 1
    label_counts["rejected"] = sum(len(key) > 1 for _, key in not_undone)
    return Result(rejected, changes, counts, label_counts)


def _changes(before: State, after: State) -> Iterator[Change]:
    for table in TABLES:
        old, new = before.table(table), after.table(table)
        for key in {*old, *new}:
            if key not in new:
                yield Change(table, key, "DELETE")
            elif exact(old.get(key)) != exact(new[key]):
                yield Change(table, key, "MODIFY" if key in old else "ADD")
