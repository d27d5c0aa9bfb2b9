"""Histories, then garbage collection: every version still equals the model.

Ten of them, the same every time; `make histories` draws a thousand others.
"""

import os
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

import lakehouse
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.testing.invariants import (
    assert_equals_model,
    assert_sound,
    assert_verified,
)
from lakehouse.testing.model import ModelDataset
from lakehouse.testing.operations import operations_of
from lakehouse.testing.state import Sent
from lakehouse.testing.strategies import uploads
from lakehouse.transactions import finish

COUNT = int(os.environ.get("HISTORIES", "10"))
NOW = timedelta(0)
Upload = tuple[list[Sent], list[Sent]]


def lived(
    dataset: lakehouse.Dataset,
    model: ModelDataset,
    sent: list[Upload],
    draw: random.Random,
) -> dict[int, int]:
    """Give a dataset a history; its versions, by their places in the model."""
    expected = {0: 0}
    ids: list[str] = []
    for number, upload in enumerate(sent):
        done = [dataset.submit(operations_of(*upload))]
        model.submit(*upload)
        if draw.random() < 0.25:
            version = draw.choice(list(expected))
            expected[int(done[-1].version or 0)] = len(model.versions) - 1
            done.append(dataset.restore(version))
            model.restore(expected[version])
        elif draw.random() < 0.25 and ids:
            expected[int(done[-1].version or 0)] = len(model.versions) - 1
            place = draw.randrange(len(ids))
            done.append(dataset.revert(ids[place], conflicts="overwrite"))
            model.revert([place], conflicts="overwrite")
        expected[int(done[-1].version or 0)] = len(model.versions) - 1
        ids += [one.id for one in done]
        if draw.random() < 0.3:
            dataset.compact()
        if draw.random() < 0.2:
            dataset.checkpoint(f"c{number}", draw.choice(list(expected)))
        if draw.random() < 0.2:
            collect(dataset, keep=draw.random() < 0.5)
    return expected


def collect(dataset: lakehouse.Dataset, *, keep: bool) -> None:
    retention = timedelta(days=1) if keep else NOW
    garbage = dataset.collect_garbage(retention=retention, grace=NOW, dry_run=False)
    assert not garbage.damaged


def orphans(dataset: lakehouse.Dataset) -> set[str]:
    """Files that neither the ledger, a log, an open version nor staging accounts for."""
    collection = dataset._collection
    head = collection.head().version
    tags = dataset.checkpoints()["version"].to_list()
    numbers = {head, *tags, *(collection.same_content(tag) for tag in tags)}
    named = {
        f"{collection.table_path(table)}/{path}"
        for number in numbers
        if not collection.is_closed(collection.ledger.read(number).content_version)
        for table in COLLECTION_TABLES
        for path in collection.state(table, number).files
    }
    unnamed = {file.path for file in collection.store.files(collection.path)} - named
    kept = {upload for upload, _ in rejected(dataset)}
    return {
        path
        for path in unnamed
        if "/ledger/" not in path
        and "/_delta_log/" not in path
        and not any(f"/staging/{upload}/" in path for upload in kept)
    }


def rejected(dataset: lakehouse.Dataset) -> list[tuple[str, str]]:
    """Uploads whose rejected rows wait for a retry."""
    rows = dataset.uploads().filter(kind="write").select("upload_id", "status")
    return [row for row in rows.rows() if row[1] != "DONE"]


@pytest.mark.slow
@settings(
    max_examples=COUNT,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(sent=st.lists(uploads(), min_size=1, max_size=8), number=st.integers(0, 10**9))
def test_every_version_equals_the_model_and_nothing_is_left_over(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Upload], number: int
) -> None:
    root = Path(tmp_path_factory.mktemp("history"))
    lake = lakehouse.connect(root / "lake", author="mira")
    project = lake.create_project("cells", classes=["cell", "debris"])
    dataset, model = project.create_dataset("hela"), ModelDataset(["cell", "debris"])

    expected = lived(dataset, model, sent, random.Random(number))
    finish()
    shutil.rmtree(
        root / "lake" / dataset._collection.path / "leases", ignore_errors=True
    )
    collect(dataset, keep=False)

    assert orphans(dataset) == set()
    opened = lakehouse.connect(root / "lake").project("cells").dataset("hela")
    assert_verified(opened)
    for version, place in expected.items():
        assert_equals_model(opened.at(version), model.versions[place])
        assert_sound(opened.at(version))
    for name, version in dataset.checkpoints().select("name", "version").rows():
        assert_equals_model(opened.at(name), model.versions[expected[version]])
    shutil.rmtree(root)
