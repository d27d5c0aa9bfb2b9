"""Versions for ever in an object store: the whole story once more, on S3."""

from datetime import timedelta

import pytest

import lakehouse
from lakehouse.testing.invariants import assert_sound
from tests.rows import box, frame

pytestmark = pytest.mark.s3


@pytest.fixture
def changed(s3_root: str, s3_options: dict[str, str]) -> lakehouse.Dataset:
    lake = lakehouse.connect(s3_root, storage_options=s3_options, author="mira")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "a")])
    dataset.checkpoint("baseline")
    dataset.upsert_labels([box("f1", "a", width=9.0), box("f1", "b")])
    dataset.modify([{"frame_id": "f1", "image_url": "other.png"}])
    dataset.delete(["f2"])
    return dataset


def test_f03_f17_f24_f29_versions_are_read_by_number_and_time(
    changed: lakehouse.Dataset,
) -> None:
    versions = changed.versions()

    assert [changed.at(time).version for time in versions["time"]] == [0, 1, 3, 4, 5]
    assert changed.at(4).counts["frames"] == 2
    urls = [changed.at(version).frame("f1")[0]["image_url"] for version in (3, 4)]
    assert urls == ["f1.png", "other.png"]
    for version in versions["version"]:
        assert_sound(changed.at(version))


def test_f05_f06_f41_histories_have_old_and_new_labels(
    changed: lakehouse.Dataset,
) -> None:
    history = changed.history("f1").filter(table="labels")

    assert history["label_id"].to_list() == ["a", "a", "b"]
    assert {"field": "width", "before": "3.0", "after": "9.0"} in history["changed"][1]


def test_f07_f08_checkpoints_freeze_are_listed_and_archived(
    changed: lakehouse.Dataset,
) -> None:
    assert changed.at("baseline").labels().collect()["width"].to_list() == [3.0, 3.0]
    changed.get_checkpoint("baseline").archive()
    assert not changed.checkpoints().height
    assert changed.checkpoints(archived=True)["version"].to_list() == [1]


def test_f04_f74_what_was_undone_is_no_difference(changed: lakehouse.Dataset) -> None:
    diff = changed.diff("baseline", "latest")
    assert diff.frames()["frame_id"].to_list() == ["f1", "f2"]

    changed.restore("baseline")

    assert changed.diff("baseline", "latest").is_empty


def test_garbage_goes_and_the_rest_is_sound(changed: lakehouse.Dataset) -> None:
    changed.compact()

    garbage = changed.collect_garbage(retention=timedelta(0), grace=timedelta(0))

    assert garbage.dry_run
    assert changed.verify(full=True).is_sound
