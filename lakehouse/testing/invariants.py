"""What always holds of a dataset, named, as functions that assert it."""

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import polars as pl

from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import NotFoundError
from lakehouse.ledger.change_log import content
from lakehouse.merging.rows import logical_columns
from lakehouse.model.contracts import LIVE_TABLES, contract
from lakehouse.model.row_hash import Fingerprint, row_hash
from lakehouse.testing.model import ModelDataset
from lakehouse.testing.rows import exact, plain
from lakehouse.testing.state import Key, State
from lakehouse.versions.snapshot import Snapshot, collection_of


def assert_ledger_linear(dataset: Versioned) -> None:
    """Entries are numbered without gaps, in the order of time; no upload is in two."""
    collection = collection_of(dataset)
    head = collection.head().version
    entries = [collection.ledger.read(version) for version in range(head + 1)]
    assert [entry.version for entry in entries] == list(range(head + 1))
    times = [entry.time for entry in entries]
    assert all(first < second for first, second in pairwise(times))
    settled = [upload for entry in entries for upload in entry.uploads]
    assert len(settled) == len(set(settled))
    # What came with a clone, at version 0, was settled where it was cloned.
    rows = dataset.uploads().filter(
        pl.col("status") != "PENDING", pl.col("version") > 0
    )
    assert sorted(settled) == rows["upload_id"].sort().to_list()


def assert_sound(snapshot: Snapshot) -> None:
    """Keys are unique, hashes and fingerprints are right, counts are true."""
    collection = collection_of(snapshot)
    entry = collection.ledger.read(snapshot.version)
    for table in LIVE_TABLES:
        rows = content(collection, table, snapshot.version).collect()
        shape = collection.contract(table)
        assert not rows.select(pl.struct(shape.key).is_duplicated().any()).item()
        assert rows.height == entry.rows[table]
        columns = logical_columns(shape, shape.extras(rows.schema))
        hashes = row_hash(rows, list(columns))
        assert hashes.equals(rows.get_column("row_hash"))
        assert Fingerprint.of(hashes).text == entry.fingerprint[table]


def assert_verified(dataset: Versioned, *, full: bool = True) -> None:
    """Nothing that a verification looks at is wrong, whoever looks now."""
    found = dataset.verify(full=full)
    assert found.is_sound, found.problems.to_dicts()


def assert_equals_model(snapshot: Snapshot, state: State) -> None:
    """The rows are those of the model: values, types and keys."""
    found = pl.collect_all(
        [
            snapshot.frames(),
            snapshot.labels(),
            snapshot.frame_embeddings(),
            snapshot.label_embeddings(),
        ]
    )
    for table, rows in zip(LIVE_TABLES, found, strict=True):
        key = contract(table).key
        there: dict[Key, Any] = {
            tuple(row[name] for name in key): _told(table, plain(row))
            for row in rows.to_dicts()
        }
        assert len(there) == rows.height
        wanted = state.table(table)
        assert there.keys() == wanted.keys(), table
        for place, row in wanted.items():
            assert exact(there[place]) == exact(row), (table, place, there[place], row)


def _told(table: str, row: dict[str, Any]) -> Any:  # noqa: ANN401 - a row, or a vector
    return row["embedding"] if table.endswith("embeddings") else row


def assert_plain_engine_agrees(snapshot: Snapshot) -> None:
    """Polars reads from the Delta tables at that number what the snapshot gives.

    Of a version whose files were collected, only that it says so.
    """
    if collection_of(snapshot).is_closed(snapshot.version):
        with suppress(NotFoundError):
            raise AssertionError(snapshot.tables)
        return
    for table, at in snapshot.tables.items():
        key = list(contract(table).key)
        options = dict(collection_of(snapshot).store.storage_options) or None
        scan = pl.scan_delta(at.uri, version=at.version, storage_options=options)
        theirs = scan.sort(key).collect()
        ours = content(collection_of(snapshot), table, snapshot.version).collect()
        assert theirs.select(ours.columns).equals(ours.sort(key))


def assert_log_replays(dataset: Versioned) -> None:
    """At each version, the last image of each key in the change log is the live row."""
    for table in LIVE_TABLES:
        key = list(contract(table).key)
        images = dataset.changes(table=table).collect().sort("version")
        twice = images.select(pl.struct(*key, "version").is_duplicated().any())
        assert not twice.item()
        for version in dataset.versions()["version"]:
            last = images.filter(pl.col("version") <= version)
            last = last.unique(key, keep="last").filter(
                pl.col("op").ne_missing("DELETE")
            )
            rows = content(collection_of(dataset), table, version).drop("row_hash")
            live = rows.sort(key).collect()
            assert last.select(live.columns).sort(key).equals(live), (table, version)


def assert_history(
    dataset: Versioned, frame_id: str, model: ModelDataset, uploads: Sequence[str]
) -> None:
    """A frame's history is what the model did to it, upload by upload.

    Args:
        dataset: Whose history.
        frame_id: A frame that was there once.
        model: With one result an upload.
        uploads: The ids of the uploads, in the model's order.
    """
    told = dataset.history(frame_id)
    assert told["version"].is_sorted()
    found = {
        (row["upload_id"], row["table"], row["label_id"], row["op"]): row["changed"]
        for row in told.to_dicts()
    }
    assert len(found) == told.height
    wanted = {
        (
            upload_id,
            change.table,
            change.key[1] if change.key[1:] else None,
            change.op,
        ): (
            place,
            change.table,
            change.key,
        )
        for place, (upload_id, result) in enumerate(
            zip(uploads, model.results, strict=True)
        )
        for change in result.changes
        if change.key[0] == frame_id
    }
    assert found.keys() == wanted.keys()
    for what, (place, table, key) in wanted.items():
        fields = [one["field"] for one in found[what]]
        before, after = model.versions[place], model.versions[place + 1]
        assert sorted(fields) == _changed_fields(before, after, table, key), what
        for one in found[what]:
            assert json.loads(one["before"] or "null") != json.loads(
                one["after"] or "null"
            )


def _changed_fields(before: State, after: State, table: str, key: Key) -> list[str]:
    if table.endswith("embeddings"):
        return ["embedding"]
    old, new = before.table(table).get(key, {}), after.table(table).get(key, {})
    names = {*old, *new} - set(contract(table).key)
    return sorted(
        name for name in names if exact(old.get(name)) != exact(new.get(name))
    )
