"""Every file has its checksum in the log, every commit the digest of its entry."""

import hashlib
import json

import polars as pl
import pytest
import xxhash

import lakehouse
from lakehouse.delta.log import read_commit
from lakehouse.delta.table_state import load_state
from lakehouse.ledger.ledger import Ledger, entry_name, log_path
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.storage import Store, Written, open_store
from lakehouse.transactions.background import finish
from tests.rows import box, frame
from tests.s3 import new_bucket, options_of


@pytest.fixture(
    scope="module", params=["local", pytest.param("s3", marks=pytest.mark.s3)]
)
def dataset(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> lakehouse.Dataset:
    """A dataset that no test changes: an upload large enough to be staged in its
    table's form, small ones, dead rows, a compaction, a checkpoint of the logs."""
    options, root = None, str(tmp_path_factory.mktemp("evidence") / "lake")
    if request.param == "s3":
        options = options_of(request.getfixturevalue("s3_server"))
        root = new_bucket(options)
    lake = lakehouse.connect(root, storage_options=options, compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    names = pl.select(pl.format("f{}", pl.int_range(12_000))).to_series()
    dataset.add(pl.DataFrame({"frame_id": names, "image_url": names}))
    dataset.upsert_labels([box("f1", "a"), box("f2", "a")])
    dataset.modify([frame("f1", user__split="train")])
    dataset.compact()
    for number in range(20):
        dataset.add([frame(f"g{number}")])
    finish()
    return dataset


def checked(dataset: lakehouse.Dataset, version: int, *, by_log: bool) -> int:
    """Compare every file of every table with the checksum that its action has."""
    collection, count = dataset._collection, 0
    for table in COLLECTION_TABLES:
        path = collection.table_path(table)
        if by_log:
            state = load_state(collection.store, path, version)
        else:
            state = collection.state(table, version)
        for file in state.files.values():
            data = collection.store.read(f"{path}/{file.path}")
            assert file.action["add"]["tags"] == {
                "xxh3": xxhash.xxh3_64_hexdigest(data)
            }
            assert file.size == len(data)
            count += 1
    return count


def test_every_data_file_has_its_checksum_in_the_log(
    dataset: lakehouse.Dataset,
) -> None:
    head = dataset._collection.head().version

    assert checked(dataset, 3, by_log=True) > 8
    assert checked(dataset, head, by_log=False) > 20


def test_checksums_survive_checkpoints(dataset: lakehouse.Dataset) -> None:
    checkpoint = log_path(dataset._collection.table_path("frames"), 20)
    assert dataset._collection.store.exists(
        checkpoint.replace(".json", ".checkpoint.parquet")
    )

    assert checked(dataset, dataset._collection.head().version, by_log=True) > 20


def test_a_store_computes_the_checksum_of_a_file(
    dataset: lakehouse.Dataset,
) -> None:
    store: Store = dataset._collection.store
    written = store.write_table("t/one.parquet", pl.DataFrame({"a": [1, 2]}))
    data = store.read("t/one.parquet")

    assert written == Written(len(data), xxhash.xxh3_64_hexdigest(data))
    assert store.checksum("t/one.parquet") == written
    store.put("t/one.parquet", data[:-1])
    assert store.checksum("t/one.parquet").size == written.size - 1


def test_every_commit_names_the_digest_of_its_entry(
    dataset: lakehouse.Dataset,
) -> None:
    collection = dataset._collection
    for version in range(collection.head().version + 1):
        data = collection.store.read(f"{collection.path}/ledger/{entry_name(version)}")
        for table in COLLECTION_TABLES:
            log = collection.store.read(log_path(collection.table_path(table), version))
            (info,) = [a for a in read_commit(log) if "commitInfo" in a]
            digest = hashlib.blake2b(data, digest_size=16).hexdigest()
            assert info["commitInfo"]["ledgerEntry"] == digest


def test_publishing_names_the_digest_of_the_bytes_in_the_store(lake_root: str) -> None:
    """An entry that another release wrote, in other words, is published as it is."""
    lake = lakehouse.connect(lake_root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame("f1")])
    collection, store = dataset._collection, open_store(lake_root)
    path = f"{collection.path}/ledger/{entry_name(1)}"
    header, *tables = store.read(path).splitlines()
    newer = json.dumps(json.loads(header) | {"added_later": 1}).encode()
    store.put(path, b"\n".join([newer, *tables, b""]))
    for table in COLLECTION_TABLES:
        store.delete(log_path(collection.table_path(table), 1))

    folders = {table: table for table in COLLECTION_TABLES}
    ledger = Ledger(store, collection.path, folders)
    ledger.publish(ledger.read(1))

    digest = hashlib.blake2b(store.read(path), digest_size=16).hexdigest()
    for table in COLLECTION_TABLES:
        log = read_commit(store.read(log_path(collection.table_path(table), 1)))
        assert log[0]["commitInfo"]["ledgerEntry"] == digest
