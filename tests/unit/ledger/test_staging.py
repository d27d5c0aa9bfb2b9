"""Manifests: what is stored of an upload, under the names that releases agree on."""

import json
from datetime import UTC, datetime

import pytest

from lakehouse.errors import FormatError
from lakehouse.ledger.staging import Manifest

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
