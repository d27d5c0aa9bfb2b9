"""Spark reads every table at every version as lakehouse does."""

from collections.abc import Callable
from itertools import product

import polars as pl
import pytest

import lakehouse
from lakehouse.model.contracts import LIVE_TABLES, contract
from lakehouse.transactions.background import finish
from tests.interop.spark.table_versions import ReadAll
from tests.rows import box, frame

COUNT = 2000
"""Frames at first."""


def load(dataset: lakehouse.Dataset) -> None:
    frames = [
        frame(f"f{n:05}", user__n=n, date_captured="2026-01-31T12:00:00.25Z")
        | ({"embedding": [n / 4, -1.0]} if n % 3 else {})
        for n in range(COUNT)
    ]
    keypoints = [{"x": 1.0, "y": 2.0, "name": "é"}]
    labels = [box(f"f{n:05}", "l", embedding=[0.5, n / 8]) for n in range(COUNT)]
    labels += [
        {"frame_id": "f00001", "label_id": "k", "class_name": "cell"}
        | {"keypoints": keypoints},
        {"frame_id": "f00002", "label_id": "p", "class_name": "cell"}
        | {"polygons": [[[0.0, 1.0], [2.0, 3.5]], [[4.0, 5.0]]]},
    ]
    dataset.add(frames, labels)


def update_sparsely(dataset: lakehouse.Dataset) -> None:
    ids = [f"f{n:05}" for n in range(7, COUNT, 211)]
    frames = [{"frame_id": one, "device_id": "cam"} for one in ids]
    labels = [{"frame_id": one, "label_id": "l", "width": 9.5} for one in ids]
    dataset.modify(frames, labels)


def update_densely(dataset: lakehouse.Dataset) -> None:
    dataset.upsert_labels([box(f"f{n:05}", "l", height=n + 1.0) for n in range(COUNT)])


def delete(dataset: lakehouse.Dataset) -> None:
    labels = [{"frame_id": f"f{n:05}", "label_id": "l"} for n in range(1, COUNT, 9)]
    dataset.delete(labels=labels)
    dataset.delete([f"f{n:05}" for n in range(0, COUNT, 5)])


def add_metadata_column(dataset: lakehouse.Dataset) -> None:
    sensor = {"sensor_id": "DEFAULT", "sensor_type": "IMAGE_V0", "image_url": "a.png"}
    dataset.add([{"frame_id": "s", "sensors": [sensor], "user__tags": ["a", "é"]}])
    dataset.modify(labels=[{"frame_id": "f00001", "label_id": "k", "user__q": 0.5}])


def compact(dataset: lakehouse.Dataset) -> None:
    dataset.compact()
    dataset.modify([{"frame_id": "s", "device_id": "cam"}])


def pass_a_checkpoint(dataset: lakehouse.Dataset) -> None:
    for number in range(15):
        dataset.modify([{"frame_id": "s", "user__n": number}])
    finish()


COMMITS: dict[str, Callable[[lakehouse.Dataset], None]] = {
    "load": load,
    "sparse update": update_sparsely,
    "dense update": update_densely,
    "delete": delete,
    "new metadata column": add_metadata_column,
    "compaction": compact,
    "checkpoint": pass_a_checkpoint,
}

Story = tuple[lakehouse.Dataset, dict[str, range]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A dataset, and the entries that each kind of commit made."""
    lake = lakehouse.connect(tmp_path_factory.mktemp("spark") / "lake")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    made: dict[str, range] = {}
    for name, commit in COMMITS.items():
        before = dataset._collection.head().version
        commit(dataset)
        made[name] = range(before + 1, dataset._collection.head().version + 1)
    return dataset, made


@pytest.mark.parametrize("kind", COMMITS)
def test_live_tables_after_each_kind_of_commit(
    story: Story, kind: str, by_spark: ReadAll
) -> None:
    dataset, made = story
    versions = made[kind]
    assert versions

    uris = {name: at.uri for name, at in dataset.latest().tables.items()}
    read = by_spark((uri, version) for uri in uris.values() for version in versions)
    for version, (table, uri) in product(versions, uris.items()):
        ours = getattr(dataset.at(version), table)().collect()
        assert_equal(read[uri, version], ours, contract(table).key)


@pytest.mark.parametrize("table", LIVE_TABLES)
def test_change_logs_at_every_version(
    story: Story, table: str, by_spark: ReadAll
) -> None:
    dataset, _ = story
    collection = dataset._collection
    log = f"{table}_changes"
    uri = collection.store.uri(collection.table_path(log))
    read = by_spark((uri, n) for n in range(collection.head().version + 1))
    for (_, version), rows in read.items():
        ours = collection.scan(log, version).collect()
        assert_equal(rows, ours, (*contract(table).key, "upload_id"))


def test_a_checkpoint_was_written(story: Story) -> None:
    collection = story[0]._collection
    path = collection.table_path("frames")
    names = collection.store.names(f"{path}/_delta_log")
    assert any(name.endswith(".checkpoint.parquet") for name in names)


def assert_equal(
    read: pl.DataFrame, expected: pl.DataFrame, key: tuple[str, ...]
) -> None:
    read = read.select(pl.col(name).cast(t) for name, t in expected.schema.items())
    assert read.sort(key).equals(expected.sort(key))
