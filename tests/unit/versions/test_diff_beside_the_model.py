"""Every pair of versions differs as the model in plain dicts says."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import lakehouse
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import contract
from lakehouse.testing import ModelDataset, State
from lakehouse.testing.operations import operations_of
from lakehouse.testing.rows import exact, plain
from lakehouse.testing.strategies import uploads
from lakehouse.types import LiveTable
from tests.unit.versions.change_rows import TABLES, changes_by_key


def _expected(
    old: State, new: State, table: LiveTable
) -> dict[tuple[str, ...], tuple[str, dict[str, tuple[Any, Any]]]]:
    """The keys that differ in the model, and the fields of each."""
    before, after = old.table(table), new.table(table)
    differing: dict[tuple[str, ...], tuple[str, dict[str, tuple[Any, Any]]]] = {}
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if exact(was) == exact(now):
            continue
        change = "added" if was is None else "removed" if now is None else "changed"
        fields = {
            name: ((was or {}).get(name), (now or {}).get(name))
            for name in {*(was or {}), *(now or {})} - set(contract(table).key)
            if exact((was or {}).get(name)) != exact((now or {}).get(name))
        }
        differing[key] = change, fields
    return differing


def _parsed(text: str | None) -> Any:
    return None if text is None else plain(json.loads(text))


def _as_json(value: Any) -> Any:
    return plain(json.loads(json.dumps(value, default=lambda one: one.isoformat())))


def _assert_differs_as_the_model(
    diff: lakehouse.Diff, old: State, new: State, table: LiveTable
) -> None:
    if table in {"frame_embeddings", "label_embeddings"}:
        there = {tuple(row[:-1]): row[-1] for row in diff.after(table).rows()}
        wanted = {
            key: vector
            for key, vector in new.table(table).items()
            if old.table(table).get(key) != vector
        }
        assert there == wanted
        return
    rows = diff.frames() if table == "frames" else diff.labels()
    key = contract(table).key
    wanted_rows = _expected(old, new, table)
    assert changes_by_key(rows) == {place: row[0] for place, row in wanted_rows.items()}
    for row in rows.to_dicts():
        _, fields = wanted_rows[tuple(row[name] for name in key)]
        differing = {
            one["field"]: (_parsed(one["before"]), _parsed(one["after"]))
            for one in row["fields"]
        }
        assert differing == {
            name: (_as_json(was), _as_json(now)) for name, (was, now) in fields.items()
        }


@given(st.lists(uploads(), min_size=2, max_size=4), st.booleans(), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_pair_of_versions_differs_as_the_model_says(
    tmp_path_factory: pytest.TempPathFactory,
    sent: list[Any],
    compacted: bool,  # noqa: FBT001 - drawn
    closed: bool,  # noqa: FBT001 - drawn
) -> None:
    lake = lakehouse.connect(tmp_path_factory.mktemp("lake"))
    project = lake.create_project("cells", classes=["cell", "debris"])
    dataset, model = project.create_dataset("hela"), ModelDataset(["cell", "debris"])
    states = {0: model.latest}
    made: list[tuple[lakehouse.Upload, int, int]] = []
    for frames, labels in sent:
        upload = dataset.submit(operations_of(frames, labels))
        model.submit(frames, labels)
        states[dataset.version] = model.latest
        made.append((upload, len(model.versions) - 2, len(model.versions) - 1))

    if compacted:
        dataset.compact()
    with pytest.MonkeyPatch.context() as patch:
        if closed:
            patch.setattr(Collection, "is_closed", lambda *_: True)
        for a, b in permutations(states, 2):
            diff = dataset.diff(a, b)
            for table in TABLES:
                _assert_differs_as_the_model(diff, states[a], states[b], table)
        for upload, before, after in made:
            diff = upload.diff()
            for table in TABLES:
                _assert_differs_as_the_model(
                    diff, model.versions[before], model.versions[after], table
                )
