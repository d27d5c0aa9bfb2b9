"""What the state machine and its model found, each at its smallest."""

import polars as pl
import pytest

import lakehouse
from lakehouse.errors import StorageError
from lakehouse.storage import open_store
from lakehouse.testing.faults import FaultyStore
from tests.rows import box, frame


def test_a_retry_takes_values_of_every_type(dataset: lakehouse.Dataset) -> None:
    sensors = [{"sensor_id": "s", "sensor_type": "IMAGE_V0", "image_url": "s.png"}]
    upload = dataset.add(
        [{"frame_id": "f1", "sensors": sensors, "embedding": [1.0]}],
        [{"frame_id": "f1", "label_id": "p", "class_name": "cel", "polygons": []}],
    )

    mended = upload.retry(
        frames=[{"frame_id": "f1", "sensors": sensors, "embedding": [1.0, 2.0]}],
        labels=[
            {
                "frame_id": "f1",
                "label_id": "p",
                "class_name": "cell",
                "polygons": [[[0, 0], [1, 0], [1, 1]]],
            }
        ],
    )

    assert mended.status == "DONE", mended.errors()
    assert dataset.latest().counts == {"frames": 1, "labels": 1}
    assert dataset.latest().frame_embeddings().collect().height == 1


def test_a_retry_still_rejects_frames_that_exist(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", user__by="a colleague")])
    upload = dataset.add([frame("f1")], if_exists="reject")

    again = upload.retry(frames=[frame("f1", user__by="me")])

    assert again.status == "FAILED"
    assert again.errors()["rule"].to_list() == ["frame.exists"]
    assert dataset.latest().frames().collect()["user__by"].to_list() == ["a colleague"]


def test_a_retry_still_clears(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", device_id="cam", user__n=1)])
    upload = dataset.modify(
        [{"frame_id": "f1", "device_id": None, "user__n": "one"}], nulls="clear"
    )
    assert upload.status == "FAILED"

    upload.retry(frames=[{"frame_id": "f1", "device_id": None, "user__n": 2}])

    row = dataset.latest().frames().select("device_id", "user__n").collect()
    assert row.row(0) == (None, 2)


def test_an_empty_list_is_a_list_of_any_type(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", user__tags=["a"])])

    upload = dataset.add([frame("f2", user__tags=[]), frame("f3", user__new=[])])

    assert upload.status == "DONE", upload.errors()
    rows = dataset.latest().frames().sort("frame_id").collect()
    assert rows["user__tags"].to_list() == [["a"], [], None]
    assert "user__new" not in rows.columns


@pytest.mark.parametrize("value", [[1, "a"], [True, 1], ["a", 0.5]])
def test_a_list_of_several_types_is_rejected_not_thinned(
    dataset: lakehouse.Dataset, value: object
) -> None:
    upload = dataset.add([frame("f1", user__tags=value), frame("f2")])

    assert upload.status == "PARTIAL"
    assert upload.errors()["rule"].to_list() == ["metadata.type"]


def test_clearing_takes_a_labels_vector_away(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1")], [box("f1", "a", embedding=[1.0, 2.0])])

    upload = dataset.modify(
        labels=[{"frame_id": "f1", "label_id": "a", "embedding": None}], nulls="clear"
    )

    assert upload.label_counts["modified"] == 1
    assert dataset.latest().label_embeddings().collect().height == 0


def test_labels_of_skipped_frames_are_counted(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1")])

    upload = dataset.add([frame("f1")], [box("f1", "a")], if_exists="skip")

    assert upload.label_counts["unchanged"] == 1


def test_a_store_that_fails_amid_a_merge_fails_no_upload(
    dataset: lakehouse.Dataset, lake_root: str
) -> None:
    dataset.add([frame("f1")], [box("f1", "a")])
    counted = FaultyStore(open_store(lake_root))
    lake = lakehouse.connect(store=counted)
    lake.project("cells").dataset("hela").modify([{"frame_id": "f1", "width": 1}])
    scans = [at for at, call in enumerate(counted.calls) if call.startswith("scan")]
    assert len(scans) > 3

    for width, at in enumerate(scans, start=2):
        store = FaultyStore(open_store(lake_root), at, "late")
        rows = [{"frame_id": "f1", "width": width}]
        try:
            broken = lakehouse.connect(store=store).project("cells").dataset("hela")
            broken.modify(rows)
        except StorageError as error:
            assert error.retryable  # noqa: PT017 - some scans may fail unharmed
        dataset.merge_pending()

    assert dataset.uploads().filter(pl.col("status") == "FAILED").height == 0
