"""What always holds of a dataset: one named assertion each."""

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
        # Computed from the rows as read: the stored hashes are what is tested.
        hashes = row_hash(rows, list(columns))
        assert hashes.equals(rows.get_column("row_hash"))
        assert Fingerprint.of(hashes).text == entry.fingerprint[table]


def assert_verified(dataset: Versioned, *, full: bool = True) -> None:
    """A verification finds nothing wrong."""
    verification = dataset.verify(full=full)
    assert verification.is_sound, verification.problems.to_dicts()


def assert_equals_model(snapshot: Snapshot, state: State) -> None:
    """The rows are those of the model: values, types and keys."""
    tables = pl.collect_all(
        [
            snapshot.frames(),
            snapshot.labels(),
            snapshot.frame_embeddings(),
            snapshot.label_embeddings(),
        ]
    )
    for table, rows in zip(LIVE_TABLES, tables, strict=True):
        key = contract(table).key
        # The model keeps rows as dicts, but of embeddings the vectors alone.
        is_vector = table.endswith("embeddings")
        actual: dict[Key, Any] = {
            tuple(row[name] for name in key): row["embedding"]
            if is_vector
            else plain(row)
            for row in rows.to_dicts()
        }
        assert len(actual) == rows.height
        expected = state.table(table)
        assert actual.keys() == expected.keys(), table
        for place, row in expected.items():
            pair = actual[place], row
            assert exact(pair[0]) == exact(pair[1]), (table, place, *pair)


def assert_plain_engine_agrees(snapshot: Snapshot) -> None:
    """Polars reads the snapshot's rows from the Delta tables at that version.

    A version whose files were collected has no Delta tables any more: it must say so.
    """
    if collection_of(snapshot).is_closed(snapshot.version):
        with suppress(NotFoundError):
            raise AssertionError(snapshot.tables)
        return
    for table, at in snapshot.tables.items():
        key = list(contract(table).key)
        options = dict(collection_of(snapshot).store.storage_options) or None
        scan = pl.scan_delta(at.uri, version=at.version, storage_options=options)
        plain_rows = scan.sort(key).collect()
        rows = content(collection_of(snapshot), table, snapshot.version).collect()
        assert plain_rows.select(rows.columns).equals(rows.sort(key))


def assert_log_replays(dataset: Versioned) -> None:
    """At each version, a key's last after-image in the change log is its live row."""
    for table in LIVE_TABLES:
        key = list(contract(table).key)
        after_images = dataset.changes(table=table).collect().sort("version")
        # One change of a key in a version: otherwise "the last one" would be a matter
        # of the order in a file.
        twice = after_images.select(pl.struct(*key, "version").is_duplicated().any())
        assert not twice.item()
        for version in dataset.versions()["version"]:
            last = after_images.filter(pl.col("version") <= version)
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
        dataset: The dataset.
        frame_id: A frame that some version has.
        model: The model, with one result for each upload.
        uploads: The ids of the uploads, in the model's order.
    """
    history = dataset.history(frame_id)
    assert history["version"].is_sorted()
    actual = {
        (row["upload_id"], row["table"], row["label_id"], row["op"]): row["changed"]
        for row in history.to_dicts()
    }
    assert len(actual) == history.height
    expected = {
        (
            upload_id,
            one.table,
            one.key[1] if one.key[1:] else None,
            one.op,
        ): (place, one.table, one.key)
        for place, (upload_id, result) in enumerate(
            zip(uploads, model.results, strict=True)
        )
        for one in result.changes
        if one.key[0] == frame_id
    }
    assert actual.keys() == expected.keys()
    for change, (place, table, key) in expected.items():
        fields = [one["field"] for one in actual[change]]
        before, after = model.versions[place], model.versions[place + 1]
        assert sorted(fields) == _changed_fields(before, after, table, key), change
        for one in actual[change]:
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
