"""Plain engines read every table at every version, and cannot write any."""

from collections.abc import Callable
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError
from duckdb_extensions import import_extension

import lakehouse
from lakehouse.delta.table_state import TableState, load_state
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.transactions.background import finish
from tests.rows import box, frame

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> lakehouse.Dataset:
    """Adds, modifications with a new field, relabelling, deletion; past a checkpoint."""
    lake = lakehouse.connect(tmp_path_factory.mktemp("engines") / "lake")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    keypoints = [{"x": 1.0, "y": 2.0, "name": "tip"}]
    dataset.add(
        [frame("f1", embedding=[1.0, 2.0]), frame("f2", user__n=1)],
        [
            box("f1", "l1", embedding=[0.5, 0.25, 1.0]),
            {
                "frame_id": "f2",
                "label_id": "k",
                "class_name": "cell",
                "keypoints": keypoints,
            },
        ],
    )
    dataset.modify([{"frame_id": "f1", "user__split": "train"}])
    dataset.upsert_labels([box("f1", "l1", width=9.0), box("f1", "l2")])
    dataset.delete(["f2"])
    for number in range(20):
        dataset.add([frame(f"g{number}")], [box(f"g{number}", "l")])
    finish()
    return dataset


def by_polars(uri: str, version: int) -> pl.DataFrame:
    return pl.scan_delta(uri, version=version).collect()


def by_deltalake(uri: str, version: int) -> pl.DataFrame:
    table = DeltaTable(uri, version=version)
    rows = QueryBuilder().register("t", table).execute("select * from t")
    return pl.DataFrame(rows)


def by_duckdb(uri: str, version: int) -> pl.DataFrame:
    connection = duckdb.connect()
    import_extension("delta", con=connection)
    connection.execute("load delta")
    rows = connection.execute(f"select * from delta_scan('{uri}', version={version})")
    return pl.DataFrame(rows.to_arrow_table())


@pytest.mark.parametrize("read", [by_polars, by_deltalake, by_duckdb])
def test_every_version_of_every_live_table_is_read_alike(
    written: lakehouse.Dataset, read: Callable[[str, int], pl.DataFrame]
) -> None:
    for version in (1, 2, 3, 4, 20, 21, written.version):
        snapshot = written.at(version)
        for table in LIVE_TABLES:
            at = snapshot.tables[table]
            ours = getattr(snapshot, table)().collect()
            rows = read(at.uri, at.version)
            rows = rows.select(pl.col(name).cast(t) for name, t in ours.schema.items())
            assert rows.sort(rows.columns[:2]).equals(ours.sort(ours.columns[:2]))


@pytest.mark.parametrize("table", COLLECTION_TABLES)
def test_engines_agree_on_every_table(written: lakehouse.Dataset, table: str) -> None:
    uri = written.latest().tables["frames"].uri.removesuffix("frames") + table
    version = written._collection.head().version

    heights = {
        read(uri, version).height for read in (by_polars, by_deltalake, by_duckdb)
    }

    assert len(heights) == 1


def foreign_writes(uri: str) -> dict[str, Callable[[], object]]:
    table = DeltaTable(uri)
    rows = pl.read_delta(uri)
    return {
        "append": lambda: rows.write_delta(uri, mode="append"),
        "overwrite": lambda: rows.write_delta(uri, mode="overwrite"),
        "delete": table.delete,
        "update": lambda: table.update({"upload_id": "'x'"}),
        "compact": table.optimize.compact,
        "z_order": lambda: table.optimize.z_order(["upload_id"]),
        "restore": lambda: table.restore(1),
        "vacuum": lambda: table.vacuum(
            retention_hours=0,
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
        ),
    }


@pytest.mark.parametrize("name", ["frames", "labels_changes", "uploads"])
def test_deltalake_refuses_to_write_and_removes_nothing(
    written: lakehouse.Dataset, name: str
) -> None:
    uri = written.latest().tables["frames"].uri.removesuffix("frames") + name
    store = written._collection.store
    # Without an orphan, vacuum finds nothing to do and never tries to commit.
    orphan = f"{written._collection.table_path(name)}/part-orphan.parquet"
    store.put(orphan, b"nobody names this file")
    before = store.files(written._collection.table_path(name))

    for write in foreign_writes(uri).values():
        with pytest.raises(CommitFailedError):
            write()

    after = store.files(written._collection.table_path(name))
    assert set(before) <= set(after)
    assert written._collection.head().version == DeltaTable(uri).version()


def test_state_from_a_checkpoint_equals_the_replay(written: lakehouse.Dataset) -> None:
    collection = written._collection
    for table in COLLECTION_TABLES:
        path = collection.table_path(table)
        assert collection.store.exists(
            f"{path}/_delta_log/{20:020d}.checkpoint.parquet"
        )
        replayed = TableState.empty()
        for version in range(collection.head().version + 1):
            entry = collection.ledger.read(version)
            replayed = replayed.apply(entry.actions.get(table, ()), version)
        loaded = load_state(collection.store, path, collection.head().version)
        assert loaded.schema == replayed.schema
        assert set(loaded.files) == set(replayed.files)
        bounds = [
            sorted((f.min_key, f.max_key, f.rows) for f in state.files.values())
            for state in (loaded, replayed)
        ]
        assert bounds[0] == bounds[1]
