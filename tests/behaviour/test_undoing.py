"""Restore and revert: what was done is undone, and nothing is forgotten."""

import pytest

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def changed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add(
        [frame("f1", user__n=1, embedding=[1.0, 2.0]), frame("f2")],
        [box("f1", "a", embedding=[0.5, 0.25]), box("f2", "a")],
    )
    dataset.upsert_labels([box("f1", "a", width=9.0), box("f1", "b")])
    dataset.modify([{"frame_id": "f1", "user__split": "train"}])
    dataset.delete(["f2"])
    return dataset


def widths(dataset: lakehouse.Dataset) -> dict[tuple[str, str], float]:
    rows = dataset.latest().labels().select("frame_id", "label_id", "width").collect()
    return {(frame_id, label_id): width for frame_id, label_id, width in rows.rows()}


def test_f04_restore_makes_an_earlier_content_the_latest(
    changed: lakehouse.Dataset,
) -> None:
    upload = changed.restore(1, message="the relabelling was wrong")

    assert (upload.status, upload.version, changed.version) == ("DONE", 5, 5)
    assert upload.message == "the relabelling was wrong"
    assert changed.latest().fingerprint == changed.at(1).fingerprint
    assert upload.counts["created"] == upload.counts["modified"] == 1
    assert upload.label_counts["deleted"] == 1
    assert widths(changed) == {("f1", "a"): 3.0, ("f2", "a"): 3.0}
    assert changed.latest().frame_embeddings().collect().height == 1
    # The relabelling is told for ever.
    history = changed.history("f1", label_id="a").filter(table="labels")
    assert history["version"].to_list() == [1, 2, 5]
    assert changed.at(2).labels().collect()["width"].max() == 9.0


def test_a_restore_can_be_restored(changed: lakehouse.Dataset) -> None:
    changed.restore(1)
    changed.restore(4)

    assert changed.latest().fingerprint == changed.at(4).fingerprint
    assert changed.versions()["version"].to_list() == list(range(7))


def test_restoring_what_is_there_changes_nothing(changed: lakehouse.Dataset) -> None:
    upload = changed.restore("latest")

    assert upload.status == "DONE"
    assert sum(upload.counts.values()) == 0
    assert changed.latest().fingerprint == changed.at(4).fingerprint


def test_a_restore_writes_only_what_differs(changed: lakehouse.Dataset) -> None:
    changed.add([frame(f"g{n}") for n in range(50)])
    before = changed.version

    changed.modify([{"frame_id": "g7", "device_id": "cam"}])
    changed.restore(before)

    written = changed.changes(after=before + 1, table="frames").collect()
    assert written["frame_id"].to_list() == ["g7"]
    assert not changed.changes(after=before, table="labels").collect().height


def test_the_same_restore_again_is_the_same_upload(changed: lakehouse.Dataset) -> None:
    first = changed.restore(1, upload_id="mine")
    again = changed.restore(1, upload_id="mine")

    assert first.id == again.id == "mine"
    assert changed.version == first.version
    with pytest.raises(lakehouse.InvalidInputError, match="is taken"):
        changed.restore(2, upload_id="mine")
    with pytest.raises(lakehouse.InvalidInputError, match="is taken"):
        changed.revert(2, upload_id="mine")


def test_what_waits_is_merged_before_a_restore(changed: lakehouse.Dataset) -> None:
    lake = lakehouse.connect(store=changed._collection.store, merge="deferred")
    waiting = lake.project("cells").dataset("hela").delete(["f1"])

    changed.restore(1)

    assert waiting.version == 5
    assert changed.latest().fingerprint == changed.at(1).fingerprint


def test_revert_undoes_one_change_and_keeps_later_work(
    changed: lakehouse.Dataset,
) -> None:
    upload = changed.revert(2)

    assert upload.status == "DONE"
    assert widths(changed) == {("f1", "a"): 3.0}
    frames = changed.latest().frames().collect()
    assert frames["user__split"].to_list() == ["train"]


def test_revert_brings_a_deleted_frame_back_with_all_it_had(
    changed: lakehouse.Dataset,
) -> None:
    changed.delete(["f1"])
    changed.revert(changed.version)

    assert changed.latest().fingerprint == changed.at(4).fingerprint
    assert changed.latest().label_embeddings().collect().height == 1


def test_rows_changed_since_are_conflicts_and_left_alone(
    changed: lakehouse.Dataset,
) -> None:
    changed.modify(labels=[box("f1", "a", width=12.0)])

    upload = changed.revert(2)

    assert (upload.status, upload.counts["rejected"]) == ("PARTIAL", 1)
    assert upload.label_counts["deleted"] == upload.label_counts["rejected"] == 1
    assert widths(changed) == {("f1", "a"): 12.0}
    (problem,) = upload.errors().to_dicts()
    assert (problem["path"], problem["rule"]) == ("labels['a']", "revert.conflict")
    assert "history" in problem["hint"]


def test_conflicts_are_overwritten_when_asked(changed: lakehouse.Dataset) -> None:
    changed.modify(labels=[box("f1", "a", width=12.0)])

    upload = changed.revert(2, conflicts="overwrite")

    assert upload.status == "DONE"
    assert widths(changed) == {("f1", "a"): 3.0}


def test_a_frame_with_later_labels_stays(changed: lakehouse.Dataset) -> None:
    added = changed.add([frame("g")], [box("g", "a")])
    changed.upsert_labels([box("g", "later")])

    upload = changed.revert(added)

    assert upload.errors()["rule"].to_list() == ["revert.in_use"]
    assert ("g", "later") in widths(changed)
    assert ("g", "a") not in widths(changed)
    changed.revert(added, conflicts="overwrite")
    assert "g" not in changed.latest().frames().collect()["frame_id"]
    assert ("g", "later") not in widths(changed)


def test_a_label_does_not_come_back_to_a_frame_that_is_gone(
    changed: lakehouse.Dataset,
) -> None:
    gone = changed.delete(labels=[{"frame_id": "f1", "label_id": "b"}])
    changed.delete(["f1"])

    upload = changed.revert(gone)

    assert (upload.status, widths(changed)) == ("FAILED", {})
    assert upload.errors()["rule"].to_list() == ["revert.no_owner"]


def test_a_revert_can_be_reverted(changed: lakehouse.Dataset) -> None:
    before = changed.latest().fingerprint

    changed.revert(changed.revert(2))

    assert changed.latest().fingerprint == before


def test_what_cannot_be_reverted_is_refused(changed: lakehouse.Dataset) -> None:
    changed.checkpoint("x")
    head = changed._collection.head().version

    with pytest.raises(lakehouse.InvalidInputError, match="settled no upload"):
        changed.revert(0)
    with pytest.raises(lakehouse.InvalidInputError, match="settled no upload"):
        changed.revert(head)
    with pytest.raises(lakehouse.NotFoundError):
        changed.revert(99)
    with pytest.raises(lakehouse.NotFoundError, match="no upload 'x'"):
        changed.revert("x")
    assert changed._collection.head().version == head


@pytest.mark.s3
def test_undoing_works_on_s3(s3_root: str, s3_options: dict[str, str]) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a")])
    dataset.checkpoint("base")
    dataset.delete(["f1"])

    dataset.restore("base")
    dataset.revert(dataset.delete(["f2"]))

    assert dataset.latest().fingerprint == dataset.at("base").fingerprint
