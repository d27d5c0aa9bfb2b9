"""Manifests: what is stored of an upload, under the names that releases agree on."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import lakehouse
from lakehouse.errors import FormatError, NotFoundError
from lakehouse.ledger.prepared import prepare
from lakehouse.ledger.staging import Manifest
from lakehouse.model.operations import Operations
from lakehouse.transactions.garbage import leftovers
from tests.rows import frame

MANIFEST = Manifest(
    upload_id="0190f0f0-0000-7000-8000-000000000000",
    content_hash="00-00",
    submitted_at=datetime(2026, 11, 29, tzinfo=UTC),
    frame_count=1,
    label_count=2,
    parts={"labels": ["labels-ab-0.parquet"]},
    encoded_parts={"labels": [{"add": {"path": "labels-ab-0.parquet"}}]},
    classes={"cell": 1},
)


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    assert Manifest.decode(MANIFEST.encode()) == MANIFEST


def test_encoded_parts_are_stored_as_images() -> None:
    stored = json.loads(MANIFEST.encode())

    assert stored["images"] == MANIFEST.encoded_parts
    assert "encoded_parts" not in stored


def test_a_manifest_of_a_newer_release_is_refused() -> None:
    stored = json.loads(MANIFEST.encode()) | {"format": 2}

    with pytest.raises(FormatError, match="Upgrade the package"):
        Manifest.decode(json.dumps(stored).encode())


def test_a_manifest_of_an_earlier_release_is_placed_by_its_id() -> None:
    stored = json.loads(MANIFEST.encode())
    del stored["order"]

    assert Manifest.decode(json.dumps(stored).encode()).place == MANIFEST.upload_id


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"not json", b"\xff\xfe"])
def test_a_damaged_manifest_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(FormatError, match="not the manifest of a staged upload"):
        Manifest.decode(data)


def staged(dataset: lakehouse.Dataset, content_hash: str) -> Manifest:
    manifest = replace(MANIFEST, upload_id="vendor7", content_hash=content_hash)
    prepared = prepare(Operations.empty(), {}, dataset._collection.layout)
    return dataset._collection.staging.stage(prepared, replace(manifest, parts={}))


def test_sweeping_leaves_other_rows_that_were_staged_under_the_id(
    dataset: lakehouse.Dataset,
) -> None:
    staging = dataset._collection.staging
    staged(dataset, "other rows")

    staging.sweep("vendor7", "settled rows")
    assert staging.manifest("vendor7").content_hash == "other rows"

    staging.sweep("vendor7", "other rows")
    with pytest.raises(NotFoundError):
        staging.manifest("vendor7")


def test_garbage_collection_keeps_other_rows_under_a_settled_id_for_their_time(
    dataset: lakehouse.Dataset,
) -> None:
    collection = dataset._collection
    dataset.add([frame("f1")], upload_id="vendor7")
    staged(dataset, "other rows")
    files = collection.store.files(f"{collection.path}/staging")
    assert files
    version, day = collection.head().version, timedelta(days=1)
    now = datetime.now(UTC) + 20 * day

    assert leftovers(collection, files, version, now=now, grace=7 * day) == []
    later = now + 20 * day
    assert leftovers(collection, files, version, now=later, grace=7 * day) == files
