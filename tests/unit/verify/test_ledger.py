"""Entries, logs and checkpoints: what is altered, missing, or makes no sense."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lakehouse
from lakehouse.ledger.ledger import entry_name, log_path
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.storage import open_store
from tests.unit.verify.forgery import forge_entry, forge_header
from tests.unit.verify.prepared import opened

HEAD = 13


@pytest.fixture
def dataset(copied: Path) -> lakehouse.Dataset:
    return opened(copied)


def verified(
    dataset: lakehouse.Dataset, *, full: bool = True
) -> lakehouse.Verification:
    return opened(dataset._collection.store.root).verify(full=full)


def only(verification: lakehouse.Verification) -> dict[str, Any]:
    """The one problem that there should be."""
    assert verification.problems.height == 1, verification.problems.to_dicts()
    return verification.problems.row(0, named=True)


def entry_path(dataset: lakehouse.Dataset, version: int) -> str:
    return f"{dataset._collection.path}/ledger/{entry_name(version)}"


def log_of(dataset: lakehouse.Dataset, table: str, version: int) -> str:
    return log_path(dataset._collection.table_path(table), version)


@pytest.mark.parametrize("version", [0, 5, HEAD])
@pytest.mark.parametrize("full", [True, False])
def test_a_missing_entry(
    dataset: lakehouse.Dataset, version: int, *, full: bool
) -> None:
    dataset._collection.store.delete(entry_path(dataset, version))

    problem = only(verified(dataset, full=full))

    assert problem["check"] == "ledger.missing"
    assert (problem["version"], problem["file"]) == (
        version,
        entry_path(dataset, version),
    )


def test_an_entry_that_cannot_be_decoded(dataset: lakehouse.Dataset) -> None:
    """The logs stand in for it: nothing else is called wrong."""
    for version in (1, 7, HEAD):
        dataset._collection.store.put(entry_path(dataset, version), b"{}\nnothing")

    problems = verified(dataset).problems

    assert problems["check"].to_list() == ["ledger.damaged"] * 3
    assert problems["version"].to_list() == [1, 7, HEAD]


def test_an_entry_of_a_newer_release(dataset: lakehouse.Dataset) -> None:
    forge_entry_format(dataset, 4, 99)

    problem = only(verified(dataset))

    assert (problem["check"], problem["version"]) == ("ledger.newer", 4)
    assert "Upgrade" in problem["hint"]


def forge_entry_format(dataset: lakehouse.Dataset, version: int, number: int) -> None:
    path = entry_path(dataset, version)
    header, rest = dataset._collection.store.read(path).split(b"\n", 1)
    newer = json.dumps(json.loads(header) | {"format": number}).encode()
    dataset._collection.store.put(path, newer + b"\n" + rest)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("version", [3, HEAD])
def test_an_altered_log_is_not_taken_for_an_altered_entry(
    dataset: lakehouse.Dataset, version: int, *, full: bool
) -> None:
    store = dataset._collection.store
    entry, log = entry_path(dataset, version), log_of(dataset, "labels", version)
    store.put(entry, store.read(entry).replace(b'"mira"', b'"mara"'))

    assert only(verified(dataset, full=full))["check"] == "ledger.altered"

    store.put(entry, store.read(entry).replace(b'"mara"', b'"mira"'))
    store.put(log, store.read(log).replace(b"lakehouse ", b"lakehause "))

    problem = only(verified(dataset, full=full))
    assert problem["check"] == "log.altered"
    assert (problem["table"], problem["file"]) == ("labels", log)


def test_an_entry_and_a_log_that_are_both_altered(dataset: lakehouse.Dataset) -> None:
    store = dataset._collection.store
    entry, log = entry_path(dataset, 3), log_of(dataset, "labels", 3)
    store.put(entry, b"not json")
    store.put(log, b"[]\n")

    problems = verified(dataset).problems

    assert set(zip(problems["check"], problems["file"], strict=True)) >= {
        ("ledger.damaged", entry),
        ("log.altered", log),
    }


def test_a_log_without_one_commit(dataset: lakehouse.Dataset) -> None:
    dataset._collection.store.delete(log_of(dataset, "uploads", 4))

    problem = only(verified(dataset))

    assert (problem["check"], problem["table"]) == ("log.missing", "uploads")
    ledger = opened(dataset._collection.store.root)._collection.ledger
    ledger.publish(ledger.read(4))  # as the hint says
    assert verified(dataset).is_sound


def test_a_head_that_is_not_published_is_no_problem(dataset: lakehouse.Dataset) -> None:
    for table in COLLECTION_TABLES[3:]:
        dataset._collection.store.delete(log_of(dataset, table, HEAD))

    verification = verified(dataset)

    assert verification.is_sound, verification.problems.to_dicts()
    assert "not published" in verification.notes[0]


def test_a_commit_without_a_ledger_entry(dataset: lakehouse.Dataset) -> None:
    path = log_of(dataset, "labels", HEAD + 1)
    dataset._collection.store.put(path, b'{"commitInfo": {}}\n')

    problem = only(verified(dataset))

    assert (problem["check"], problem["file"]) == ("log.undecided", path)


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        ("ledger.number", {"version": 7}),
        ("ledger.time", {"time": "2001-01-01T00:00:00+00:00"}),
        ("ledger.content", {"content_version": 3}),
        ("ledger.collected", {"collected": 2}),
        ("ledger.closed", {"closed": [[3, 99]]}),
        ("ledger.header", {"rows": {"frames": 1}}),
    ],
)
def test_a_header_that_makes_no_sense(
    dataset: lakehouse.Dataset, check: str, fields: dict[str, Any]
) -> None:
    path = forge_header(dataset, 10, **fields)

    problems = verified(dataset, full=False).problems

    assert check in problems["check"]
    assert problems.filter(check=check)["file"].item() == path
    assert problems.filter(check=check)["version"].item() == 10


def test_an_upload_that_is_settled_twice(dataset: lakehouse.Dataset) -> None:
    (upload,) = dataset._collection.ledger.read(2).uploads
    forge_header(dataset, 3, uploads=[upload])

    problems = verified(dataset, full=False).problems

    assert "ledger.upload" in problems["check"]
    assert "uploads.rows" in problems["check"]
    assert "versions.rows" in problems["check"]


def test_maintenance_that_changes_content(dataset: lakehouse.Dataset) -> None:
    number = next(
        n
        for n in range(HEAD)
        if dataset._collection.ledger.read(n).kind == "maintenance"
    )
    forge_header(dataset, number, rows=dict.fromkeys(LIVE_TABLES, 5))

    problems = verified(dataset, full=False).problems.filter(check="ledger.content")

    assert set(problems["version"]) == {number}


def test_actions_that_make_no_sense(dataset: lakehouse.Dataset) -> None:
    def vector(lines: list[dict[str, Any]]) -> None:
        for line in lines[1:]:
            for action in line["actions"]:
                if "add" in action and line["table"] == "labels":
                    action["add"]["deletionVector"] = {"storageType": "u"}

    path = forge_entry(dataset, HEAD, vector)

    problems = verified(dataset).problems

    assert problems.filter(check="ledger.actions")["file"].to_list() == [path]


def test_a_checkpoint_that_differs_from_its_log(dataset: lakehouse.Dataset) -> None:
    for number in range(20 - HEAD + 5):
        dataset.add([{"frame_id": f"h{number}", "image_url": "h"}])
    lakehouse.transactions.finish()
    assert verified(dataset).is_sound
    path = log_of(dataset, "labels", 20).replace(".json", ".checkpoint.parquet")
    other = log_of(dataset, "uploads", 20).replace(".json", ".checkpoint.parquet")
    store = dataset._collection.store
    store.put(path, store.read(other))

    problem = only(verified(dataset))

    assert (problem["check"], problem["file"]) == ("checkpoint.wrong", path)
    store.put(path, b"PAR1")
    assert only(verified(dataset))["file"] == path


def test_versions_whose_files_were_collected(dataset: lakehouse.Dataset) -> None:
    """Their content is checked too, by the change log."""
    dataset.compact()
    collected = dataset.collect_garbage(
        retention=timedelta(0), grace=timedelta(0), dry_run=False
    )
    assert collected.closed
    for full in (True, False):
        assert verified(dataset, full=full).is_sound
    closed = collected.closed[-1]
    entry = dataset._collection.ledger.read(closed)
    forge_header(
        dataset, closed, fingerprint={**entry.fingerprint, "labels": "cd" * 16}
    )

    problems = verified(dataset).problems.filter(check="change_log.fingerprint")
    (problem,) = problems.to_dicts()

    assert (problem["version"], problem["table"]) == (closed, "labels_changes")


def test_nothing_is_written(dataset: lakehouse.Dataset) -> None:
    store = open_store(dataset._collection.store.root)
    before = [(file.path, file.modified) for file in store.files("")]

    dataset.verify()

    assert [(file.path, file.modified) for file in store.files("")] == before


def test_a_ledger_without_any_entry(dataset: lakehouse.Dataset) -> None:
    store = dataset._collection.store
    for version in range(HEAD + 1):
        store.delete(entry_path(dataset, version))

    problems = verified(dataset).problems

    assert problems["check"].to_list() == ["ledger.missing"] * (HEAD + 1)
