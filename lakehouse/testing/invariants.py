"""What always holds of a dataset, named, as functions that assert it."""

from itertools import pairwise
from typing import Any

import polars as pl

from lakehouse.contracts import LIVE_TABLES, contract
from lakehouse.dataset import Dataset
from lakehouse.fingerprint import Fingerprint
from lakehouse.merging.row_hash import row_hash
from lakehouse.merging.rows import logical_columns
from lakehouse.snapshot import Snapshot
from lakehouse.testing.model import State

__all__ = ["assert_equals_model", "assert_ledger_linear", "assert_sound"]


def assert_ledger_linear(dataset: Dataset) -> None:
    """Entries are numbered without gaps, in the order of time; no upload is in two."""
    head = dataset.collection.head().version
    entries = [dataset.collection.ledger.read(version) for version in range(head + 1)]
    assert [entry.version for entry in entries] == list(range(head + 1))
    times = [entry.time for entry in entries]
    assert all(first < second for first, second in pairwise(times))
    settled = [upload for entry in entries for upload in entry.uploads]
    assert len(settled) == len(set(settled))


def assert_sound(snapshot: Snapshot) -> None:
    """Keys are unique, hashes and fingerprints are right, counts are true."""
    collection, version = snapshot.collection, snapshot.read_version
    entry = collection.ledger.read(snapshot.version)
    for table in LIVE_TABLES:
        rows = collection.scan(table, version).collect()
        shape = contract(table)
        assert not rows.select(pl.struct(shape.key).is_duplicated().any()).item()
        assert rows.height == entry.rows[table]
        columns = logical_columns(shape, shape.extras(rows.schema))
        hashes = row_hash(rows, list(columns))
        assert hashes.equals(rows.get_column("row_hash"))
        assert Fingerprint.of(hashes).text == entry.fingerprint[table]


def assert_equals_model(snapshot: Snapshot, state: State) -> None:
    """The rows are those of the model."""
    frames = _plain(snapshot.frames().collect(), {"class_id"})
    labels = _plain(snapshot.labels().collect(), {"class_id"})
    assert {row["frame_id"]: row for row in frames} == state.frames
    assert {(row["frame_id"], row["label_id"]): row for row in labels} == state.labels
    assert len(frames) == len(state.frames)
    assert len(labels) == len(state.labels)
    vectors = snapshot.frame_embeddings().collect().rows()
    assert dict(vectors) == state.frame_vectors
    crops = snapshot.label_embeddings().collect().rows()
    assert {
        (frame, label): vector for frame, label, vector in crops
    } == state.label_vectors


def _plain(rows: pl.DataFrame, left_out: set[str]) -> list[dict[str, Any]]:
    return [
        {
            name: value
            for name, value in row.items()
            if value is not None and name not in left_out
        }
        for row in rows.to_dicts()
    ]
