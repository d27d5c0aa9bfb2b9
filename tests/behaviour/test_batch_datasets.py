"""A BATCH dataset is loaded once, whole, and does not change any more."""

from collections.abc import Callable

import pytest

import lakehouse
from lakehouse.errors import InvalidInputError
from tests.rows import box, frame


@pytest.fixture
def batch(project: lakehouse.Project) -> lakehouse.Dataset:
    return project.create_dataset("legacy", mode="BATCH")


@pytest.fixture
def loaded(batch: lakehouse.Dataset) -> lakehouse.Dataset:
    assert batch.add([frame("f1"), frame("f2")], [box("f1", "a")]).status == "DONE"
    return batch


def test_one_bad_frame_fails_the_whole_load_which_may_be_made_again(
    batch: lakehouse.Dataset,
) -> None:
    bad = [box("f1", "a"), box("f2", "a", class_name="cel")]

    failed = batch.add([frame("f1"), frame("f2")], bad)

    assert failed.status == "FAILED"
    assert batch.latest().counts == {"frames": 0, "labels": 0}
    mended = failed.retry(labels=[box("f2", "a")])
    assert mended.status == "DONE"
    assert batch.latest().counts == {"frames": 2, "labels": 2}


CHANGES: dict[str, Callable[[lakehouse.Dataset, str | None], object]] = {
    "add": lambda dataset, own: dataset.add([frame("g")], upload_id=own),
    "modify": lambda dataset, own: dataset.modify(
        [{"frame_id": "f1", "user__n": 1}], upload_id=own
    ),
    "upsert_labels": lambda dataset, own: dataset.upsert_labels(
        [box("f1", "b")], upload_id=own
    ),
    "delete": lambda dataset, own: dataset.delete(["f1"], upload_id=own),
    "restore": lambda dataset, own: dataset.restore(0, upload_id=own),
    "revert": lambda dataset, own: dataset.revert(1, upload_id=own),
}


@pytest.mark.parametrize("own", [None, "0198c0de-0000-7000-8000-000000000001"])
@pytest.mark.parametrize("change", list(CHANGES))
def test_no_change_gets_round_the_refusal(
    loaded: lakehouse.Dataset, change: str, own: str | None
) -> None:
    before = loaded.latest().fingerprint
    (upload,) = loaded.uploads()["upload_id"]

    with pytest.raises(InvalidInputError, match=upload) as caught:
        CHANGES[change](loaded, own)

    assert caught.value.kind == "dataset.immutable"
    assert "clone_as_mutable" in str(caught.value)
    assert loaded.version == 1
    assert loaded.latest().fingerprint == before
    assert loaded.uploads().height == 1


def test_the_load_itself_may_be_sent_again(batch: lakehouse.Dataset) -> None:
    own = "0198c0de-0000-7000-8000-000000000001"
    rows = [frame("f1")]

    assert batch.add(rows, upload_id=own).version == 1
    assert batch.add(rows, upload_id=own).version == 1
    with pytest.raises(InvalidInputError, match="other rows"):
        batch.add([frame("f2")], upload_id=own)


def test_of_two_loads_acknowledged_side_by_side_one_lands(
    lake_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = lakehouse.connect(lake_root).create_project("cells", classes=["cell"])
    batch = project.create_dataset("legacy", mode="BATCH")
    later = lakehouse.connect(lake_root, merge="deferred").project("cells")
    first = later.dataset("legacy").add([frame("f1")])
    # Another writer looked before the first was acknowledged.
    second = later.dataset("legacy")
    monkeypatch.setattr(second, "_require_writable", print)
    lost = second.add([frame("f2")])

    batch.merge_pending()

    assert (first.status, lost.status) == ("DONE", "FAILED")
    with pytest.raises(
        lakehouse.UploadFailedError, match=f"loaded by upload {first.id}"
    ):
        lost.raise_for_status()
    assert batch.latest().frames().collect()["frame_id"].to_list() == ["f1"]
    assert batch.verify().is_sound


def test_batch_datasets_and_their_uploads_have_lists_of_their_own(
    project: lakehouse.Project, loaded: lakehouse.Dataset
) -> None:
    streaming = project.create_dataset("hela")
    streaming.add([frame("f1")])

    assert [one.name for one in project.datasets(mode="BATCH")] == ["legacy"]
    assert [one.name for one in project.datasets(mode="STREAMING")] == ["hela"]
    assert project.uploads(mode="BATCH")["target"].to_list() == ["cells/legacy"]
    assert project.uploads(mode="STREAMING")["target"].to_list() == ["cells/hela"]
    assert (loaded.is_mutable, streaming.is_mutable) == (False, True)


def test_a_batch_inference_set_is_loaded_once_too(loaded: lakehouse.Dataset) -> None:
    model = loaded.create_inference_set("model_a", mode="BATCH")
    model.add([box("f1", "x", confidence=0.5)])

    with pytest.raises(InvalidInputError, match="BATCH inference set"):
        model.add([box("f1", "y", confidence=0.5)], upload_id="mine")
