"""Versions for ever on a real object store, its network going wrong as well."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import lakehouse
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
)
from lakehouse.transactions import finish
from tests.interop.ceph.conftest import Fail
from tests.rows import box, frame

WHOLE_SECONDS = timedelta(seconds=-1)
"""The gateway's clock has whole seconds: a file written just now may be of the future."""
LEDGER = "/ledger/"


def opened(root: str, options: dict[str, str]) -> lakehouse.Dataset:
    lake = lakehouse.connect(root, storage_options=options, author="mira")
    project = lake.create_project("cells", classes=["cell"], exist_ok=True)
    return project.create_dataset("hela", exist_ok=True)


@pytest.fixture
def dataset(ceph_root: str, ceph_options: dict[str, str]) -> lakehouse.Dataset:
    return opened(ceph_root, ceph_options)


@pytest.fixture
def changed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "a")])
    dataset.checkpoint("baseline")
    dataset.upsert_labels([box("f1", "a", width=9.0), box("f1", "b")])
    dataset.modify([{"frame_id": "f1", "image_url": "other.png", "user__n": 1}])
    dataset.delete(["f2"])
    dataset.compact()
    return dataset


def test_versions_times_checkpoints_histories(changed: lakehouse.Dataset) -> None:
    """F-01, F-03, F-05 to F-08, F-17, F-24, F-29 and F-41."""
    versions = changed.versions()
    assert [changed.at(time).version for time in versions["time"]] == [0, 1, 3, 4, 5]
    assert versions["time"].is_sorted()
    assert changed.at("baseline").labels().collect()["width"].to_list() == [3.0, 3.0]
    assert changed.at(4).counts["frames"] == 2
    urls = [changed.at(v).frame("f1")[0]["image_url"] for v in (3, 4)]
    assert urls == ["f1.png", "other.png"]
    history = changed.history("f1", label_id="a")
    (width,) = [c for c in history["changed"].to_list()[1] if c["field"] == "width"]
    assert (width["before"], width["after"]) == ("3.0", "9.0")
    assert changed.checkpoints()["name"].to_list() == ["baseline"]
    for version in versions["version"]:
        assert_sound(changed.at(version))


def test_f04_restore_and_revert(changed: lakehouse.Dataset) -> None:
    changed.restore("baseline")
    assert changed.latest().fingerprint == changed.at("baseline").fingerprint
    changed.revert(changed.version)
    assert changed.latest().fingerprint == changed.at(5).fingerprint
    assert_log_replays(changed)


def test_every_version_is_read_after_garbage_collection(
    changed: lakehouse.Dataset,
) -> None:
    fingerprints = {v: changed.at(v).fingerprint for v in changed.versions()["version"]}

    garbage = changed.collect_garbage(
        retention=timedelta(0), grace=WHOLE_SECONDS, dry_run=False
    )

    assert garbage.files > 0
    assert not garbage.damaged
    assert {v: changed.at(v).fingerprint for v in fingerprints} == fingerprints
    for version in fingerprints:
        assert_sound(changed.at(version))
        assert_plain_engine_agrees(changed.at(version))


@pytest.mark.parametrize("action", ["before", "lost", "busy"])
@pytest.mark.parametrize("name", ["add", "checkpoint", "restore", "revert", "collect"])
def test_a_decision_whose_answer_goes_wrong_lands_once(
    changed: lakehouse.Dataset, fail: Fail, name: str, action: str
) -> None:
    head = changed._collection.head().version
    calls: dict[str, Callable[[], object]] = {
        "add": lambda: changed.add([frame("g")]),
        "checkpoint": lambda: changed.checkpoint("x"),
        "restore": lambda: changed.restore(1),
        "revert": lambda: changed.revert(5),
        "collect": lambda: changed.collect_garbage(
            retention=timedelta(0), grace=WHOLE_SECONDS, dry_run=False
        ),
    }
    fail("PUT", LEDGER, action)

    calls[name]()

    assert changed._collection.head().version == head + 1
    assert_ledger_linear(changed)
    assert_sound(changed.latest())


def test_writers_race_and_every_upload_lands_once(
    ceph_root: str, ceph_options: dict[str, str], dataset: lakehouse.Dataset
) -> None:
    def write(writer: int) -> None:
        own = opened(ceph_root, ceph_options)
        for number in range(4):
            name = f"w{writer}_{number}"
            own.add([frame(name)], [box(name, "a")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    finish()

    dataset.merge_pending()
    assert dataset.latest().counts == {"frames": 16, "labels": 16}
    assert_ledger_linear(dataset)
    assert_sound(dataset.latest())
