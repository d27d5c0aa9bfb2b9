"""Lakes written by earlier code: read alike, written to, collected, and sound."""

import json
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lakehouse
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
)
from tests.behaviour.lakes import format_1

LAKES = Path(__file__).parent / "lakes"
NOW = timedelta(0)

Facts = dict[str, Any]


def unpacked(folder: Path) -> Path:
    with tarfile.open(LAKES / "format_1.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / "format_1"


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake as the code of November 2026 left it, which nobody may change."""
    return unpacked(tmp_path_factory.mktemp("old"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The same lake, to be changed."""
    return unpacked(tmp_path)


@pytest.fixture(scope="session")
def known() -> Facts:
    """What the code of November 2026 read out of it."""
    return dict(json.loads((LAKES / "format_1.json").read_text()))


def opened(root: Path) -> lakehouse.Project:
    return format_1.connect(root).project("cells")


def fingerprints(dataset: lakehouse.Dataset) -> dict[str, str]:
    """As JSON has them: its keys are texts."""
    return {str(v): dataset.at(v).fingerprint for v in dataset.versions()["version"]}


def assert_all_sound(dataset: lakehouse.Dataset) -> None:
    verification = dataset.verify()
    assert verification.is_sound, verification.problems
    for version in dataset.versions()["version"]:
        assert_sound(dataset.at(version))
        assert_plain_engine_agrees(dataset.at(version))
    assert_log_replays(dataset)
    assert_ledger_linear(dataset)


def test_an_old_lake_reads_as_it_did(old: Path, known: Facts) -> None:
    read = format_1.facts(old)

    assert read.keys() == known["before"].keys()
    for part, facts in known["before"].items():
        assert read[part] == facts, part


@pytest.mark.parametrize("name", ["hela", "fixed", "copy", "large"])
def test_an_old_dataset_is_sound(old: Path, name: str) -> None:
    dataset = opened(old).dataset(name)

    assert dataset.verify(full=False).is_sound
    assert_all_sound(dataset)


def test_an_old_inference_set_is_sound(old: Path) -> None:
    model = opened(old).dataset("hela").inference_set("model_a")

    assert model.verify().is_sound
    for version in model.versions()["version"]:
        assert_sound(model.at(version))


def test_uploads_that_waited_in_an_old_lake_are_merged(
    root: Path, known: Facts
) -> None:
    assert format_1.merged_facts(root) == known["merged"]
    for name in ("hela", "large"):
        dataset = opened(root).dataset(name)
        assert dataset.uploads(status="PENDING").is_empty()
        assert dataset.verify().is_sound


def test_an_old_dataset_takes_every_change(root: Path, known: Facts) -> None:
    before = known["before"]["collections"]["hela"]["fingerprints"]
    dataset = opened(root).dataset("hela")
    dataset.merge_pending()
    row = format_1.box(3, "a", class_name="cell")

    for upload in (
        dataset.add([format_1.frame(21)], [row | {"frame_id": "f21"}]),
        dataset.upsert_labels([row]),
        dataset.modify([{"frame_id": "s01", "user__tags": ["c"]}]),
        dataset.delete(["f11"]),
        dataset.revert(20),
        dataset.restore("baseline"),
    ):
        assert upload.status == "DONE", upload.errors()
    dataset.compact()

    assert dataset.latest().fingerprint == dataset.at("baseline").fingerprint
    assert fingerprints(dataset).items() >= before.items()
    assert dataset.verify().is_sound


def test_garbage_of_an_old_dataset_is_collected(root: Path, known: Facts) -> None:
    facts = known["before"]["collections"]["hela"]
    dataset = opened(root).dataset("hela")
    dataset.compact()

    garbage = dataset.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert garbage.files
    assert set(garbage.closed) - set(known["before"]["collected"])
    assert not garbage.damaged
    assert fingerprints(dataset).items() >= facts["fingerprints"].items()
    assert_all_sound(dataset)


def test_segments_and_pins_of_an_old_lake_move_on(root: Path) -> None:
    project = opened(root)
    dataset, segment = project.dataset("hela"), project.segment("loose boxes")
    model = dataset.inference_set("model_a")
    before = model.metrics(iou=0.5).to_dict()

    assert segment.refresh() == 1
    assert segment.out_of_date().is_empty()
    segment.add(dataset, labels=[{"frame_id": "f05", "label_id": "a"}])
    assert segment.elements().height == 4
    guess = format_1.box(4, "i4", class_name="cell", confidence=0.9)
    assert model.add([guess]).status == "DONE"
    assert model.metrics(iou=0.5).to_dict() != before
    model.repin("baseline")
    assert model.pin == dataset.get_checkpoint("baseline").version


@pytest.mark.slow
def test_a_lake_written_today_has_the_same_content(
    tmp_path: Path, known: Facts
) -> None:
    """Fingerprints are for ever: the same calls make the same ones."""
    format_1.write(tmp_path / "lake")

    facts = format_1.facts(tmp_path / "lake")
    for name, collection in known["before"]["collections"].items():
        for field in ("fingerprints", "counts", "mode", "frames", "labels"):
            assert facts["collections"][name][field] == collection[field], name
    merged = format_1.merged_facts(tmp_path / "lake")
    assert merged == known["merged"]
