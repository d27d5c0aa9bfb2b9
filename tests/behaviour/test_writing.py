"""The verbs, what they refuse, and what they report."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

import lakehouse
from tests.rows import box, frame


def rules(upload: lakehouse.Upload, severity: str = "error") -> list[str]:
    return sorted(upload.errors().filter(severity=severity)["rule"].to_list())


def test_if_exists_rejects_or_skips(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", user__n=1)])

    rejected = dataset.add([frame("f1"), frame("f2")], if_exists="reject")
    skipped = dataset.add([frame("f1")], if_exists="skip")

    assert (rejected.status, rules(rejected)) == ("PARTIAL", ["frame.exists"])
    assert skipped.counts["unchanged"] == 1
    assert dataset.latest().frame("f1")[0]["user__n"] == 1


def test_nulls_are_kept_or_clear(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", user__n=1, device_id="cam")])

    dataset.modify([{"frame_id": "f1", "user__n": None, "device_id": "new"}])
    assert dataset.latest().frame("f1")[0]["user__n"] == 1
    dataset.modify([{"frame_id": "f1", "user__n": None}], nulls="clear")

    row, _ = dataset.latest().frame("f1")
    assert (row["user__n"], row["device_id"]) == (None, "new")


def test_abort_lands_nothing(dataset: lakehouse.Dataset) -> None:
    upload = dataset.add(
        [frame("f1"), frame("f2")], [box("f2", "a", width=0.0)], on_error="abort"
    )

    assert upload.status == "FAILED"
    assert rules(upload) == ["box.degenerate", "upload.aborted"]
    assert dataset.latest().counts["frames"] == 0


def test_based_on_rejects_frames_changed_since(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1"), frame("f2")])
    base = dataset.latest()
    dataset.upsert_labels([box("f1", "a")])

    upload = dataset.modify(
        [{"frame_id": "f1", "user__n": 1}, {"frame_id": "f2", "user__n": 1}],
        based_on=base,
    )

    assert (upload.counts["modified"], rules(upload)) == (1, ["frame.stale"])
    assert "version 2 by mira" in upload.errors()["message"][0]


def test_all_problems_are_listed_at_once(dataset: lakehouse.Dataset) -> None:
    upload = dataset.add(
        [frame("f1", latitude=100.0, longitude=0.0)],
        [
            box("f1", "a", class_name="cel", width=-1.0),
            box("f1", "b", label_type="BLOB"),
        ],
    )

    assert rules(upload) == [
        "box.degenerate",
        "class.unknown",
        "label_type.unknown",
        "value.range",
    ]
    assert upload.errors()["hint"].null_count() == 0
    with pytest.raises(lakehouse.UploadFailedError, match=r"labels\['a'\].width"):
        upload.raise_for_status()


@pytest.mark.parametrize(
    ("frames", "labels", "message"),
    [
        ([{"frame_id": "f", "image_urll": "x"}], None, "image_url"),
        ([{"frame_id": ""}], None, "is empty"),
        ([{"image_url": "x"}], None, "no frame_id"),
        ([frame("f"), frame("f")], None, "2 times"),
        ([frame("f")], [box("f", "a"), box("f", "a")], "2 times"),
        ([frame("f")], [box("f", "a", confidence=0.5)], "inference"),
    ],
)
def test_unreadable_rows_are_refused_before_anything_is_written(
    dataset: lakehouse.Dataset, frames: object, labels: object, message: str
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match=message) as caught:
        dataset.add(frames, labels)  # type: ignore[arg-type]

    assert caught.value.problems
    assert dataset.uploads().height == 0


def test_a_column_of_mixed_types_rejects_only_the_rows_at_fault(
    dataset: lakehouse.Dataset,
) -> None:
    upload = dataset.add(
        [frame("f1", user__n=1), frame("f2", user__n="two"), frame("f3", user__n=3)]
    )

    assert upload.counts["created"] == 2
    assert upload.errors()["frame_id"].to_list() == ["f2"]
    frames, _ = upload.rejected()
    assert frames["frame_id"].to_list() == ["f2"]


def test_whole_numbers_enter_float_fields_and_not_the_reverse(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add([frame("f1", user__x=0.5, user__n=1)])

    upload = dataset.add([frame("f2", user__x=2), frame("f3", user__n=1.5)])

    assert rules(upload) == ["metadata.type"]
    assert dataset.latest().frame("f2")[0]["user__x"] == 2.0


def test_declared_metadata_and_models_hold_from_the_start(
    project: lakehouse.Project,
) -> None:
    dataset = project.create_dataset(
        "declared",
        frame_metadata={"n": "int", "tags": "list[str]"},
        frame_embedding_model="m",
    )

    upload = dataset.add([frame("f1", user__n="x"), frame("f2", user__tags=["a"])])

    assert rules(upload) == ["metadata.type"]
    assert dataset._collection.embedding_spec("frame_embeddings", 1).model == "m"


def test_modifying_an_image_changes_the_sensor_default(
    dataset: lakehouse.Dataset,
) -> None:
    sensors = [
        {"sensor_id": "DEFAULT", "sensor_type": "IMAGE_V0", "image_url": "old.png"},
        {"sensor_id": "lidar", "sensor_type": "POINTCLOUD_PCD_V0", "pcd_url": "p.pcd"},
    ]
    dataset.add([{"frame_id": "f1", "sensors": sensors}])
    assert dataset.latest().frame("f1")[0]["image_url"] == "old.png"

    dataset.modify([{"frame_id": "f1", "image_url": "new.png"}])

    row, _ = dataset.latest().frame("f1")
    assert [sensor["image_url"] for sensor in row["sensors"]] == ["new.png", None]
    assert (row["image_url"], row["sensors"][1]["pcd_url"]) == ("new.png", "p.pcd")


def test_every_label_type_comes_back_as_sent(dataset: lakehouse.Dataset) -> None:
    common: dict[str, Any] = {"frame_id": "f", "class_name": "cell"}
    labels: list[dict[str, Any]] = [
        {"label_id": "line", "x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0},
        {"label_id": "points", "keypoints": [{"x": 1.0, "y": 2.0, "name": "tip"}]},
        {"label_id": "polygon", "polygons": [{"vertices": [(0, 0), (4, 0), (4, 4)]}]},
        {
            "label_id": "cuboid",
            "position": [0.0] * 3,
            "dimensions": [1.0] * 3,
            "rotation": [0.0, 0.0, 0.0, 1.0],
        },
        {
            "label_id": "mask",
            "label_type": "SEMANTIC_LABEL_URL_2D",
            "mask_url": "m.png",
            "class_name": None,
        },
        {
            "label_id": "instances",
            "label_type": "INSTANCE_LABEL_URL_2D",
            "mask_url": "i.png",
        },
        {
            "label_id": "instances_1",
            "label_type": "INSTANCE_LABEL_2D",
            "instance_id": 1,
        },
        {
            "label_id": "class2",
            "label_type": "CLASSIFICATION_2D",
            "secondary_labels": {"night": True},
        },
        {"label_id": "class3", "label_type": "CLASSIFICATION_3D"},
        {"label_id": "token", "index": 0, "token": "the", "visible": True},
    ]

    upload = dataset.add([frame("f")], [common | label for label in labels])

    assert upload.status == "DONE", upload.errors()["message"].to_list()
    outcomes = {
        row["label_id"]: row for row in dataset.latest().labels().collect().to_dicts()
    }
    assert outcomes["polygon"]["polygons"] == [[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]]]
    assert outcomes["points"]["keypoints"] == [{"x": 1.0, "y": 2.0, "name": "tip"}]
    assert (outcomes["mask"]["class_name"], outcomes["mask"]["class_id"]) == (
        "__mask",
        None,
    )
    assert outcomes["class2"]["secondary_labels"] == '{"night": true}'
    kinds = {row["label_type"] for row in outcomes.values()}
    assert len(kinds) == 10
    missing = dataset.upsert_labels(
        [{**common, "label_id": "x", "label_type": "CUBOID_3D"}]
    )
    assert rules(missing) == ["geometry.missing"] * 3


def test_every_sensor_type_comes_back_as_sent(dataset: lakehouse.Dataset) -> None:
    sensors: list[dict[str, Any]] = [
        {
            "sensor_id": "i",
            "sensor_type": "IMAGE_V0",
            "image_url": "i",
            "width": 4,
            "height": 3,
        },
        {
            "sensor_id": "o",
            "sensor_type": "IMAGE_OVERLAY_V0",
            "image_url": "o",
            "overlay_id": "heat",
        },
        {"sensor_id": "t", "sensor_type": "TEXT", "text": "hello"},
        {
            "sensor_id": "p",
            "sensor_type": "POINTCLOUD_PCD_V0",
            "pcd_url": "p",
            "coordinate_frame": "rig",
        },
        {"sensor_id": "b", "sensor_type": "POINTCLOUD_V0", "kitti_format_url": "k"},
        {"sensor_id": "m", "sensor_type": "OBJ_V0", "obj_url": "m"},
        {"sensor_id": "a", "sensor_type": "AUDIO_V0", "audio_url": "a"},
        {
            "sensor_id": "v",
            "sensor_type": "VIDEO_V0",
            "video_url": "v",
            "date_captured": "2026-01-01T00:00:00Z",
        },
    ]
    frames = [{"coordinate_frame_id": "rig", "coordinate_frame_type": "WORLD"}]

    upload = dataset.add(
        [{"frame_id": "f", "sensors": sensors, "coordinate_frames": frames}]
    )

    assert upload.status == "DONE", upload.errors()["message"].to_list()
    row, _ = dataset.latest().frame("f")
    assert [sensor["sensor_type"] for sensor in row["sensors"]] == [
        s["sensor_type"] for s in sensors
    ]
    assert (row["image_url"], row["width"]) == ("i", 4)
    bad = dataset.add(
        [{"frame_id": "g", "sensors": [{"sensor_type": "AUDIO_V0", "image_url": "x"}]}]
    )
    assert rules(bad) == ["sensor.invalid"]
    assert "has no audio_url" in bad.errors()["message"][0]


def test_deferred_uploads_that_do_not_overlap_share_a_version(
    lake_root: str, dataset: lakehouse.Dataset
) -> None:
    deferred = (
        lakehouse.connect(lake_root, merge="deferred").project("cells").dataset("hela")
    )
    apart = [deferred.add([frame(f"f{n}")]) for n in range(3)]
    overlapping = deferred.modify([{"frame_id": "f0", "user__n": 1}])
    assert deferred.is_processing
    with pytest.raises(lakehouse.WaitTimeoutError, match="still pending"):
        apart[0].wait(timedelta(seconds=0))

    deferred.merge_pending()

    assert [upload.version for upload in apart] == [1, 1, 1]
    assert overlapping.version == 2
    assert apart[0].wait().status == "DONE"
    assert not deferred.is_processing


def test_the_same_upload_id_is_the_same_upload(dataset: lakehouse.Dataset) -> None:
    first = dataset.add([frame("f1")], upload_id="vendor-7")
    again = dataset.add([frame("f1")], upload_id="vendor-7")

    assert (first.version, again.version, dataset.version) == (1, 1, 1)
    with pytest.raises(lakehouse.InvalidInputError, match="taken"):
        dataset.add([frame("f2")], upload_id="vendor-7")


def test_an_upload_of_several_verbs_is_one_version(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "a")])
    with dataset.open_upload(message="mixed", metadata={"ticket": 7}) as draft:
        draft.add([frame("f3")])
        draft.modify(labels=[box("f1", "a", width=5.0)])
        draft.delete(labels=[{"frame_id": "f2", "label_id": "a"}])

    assert draft.upload is not None
    assert (draft.upload.version, draft.upload.metadata) == (2, {"ticket": 7})
    assert dataset.latest().counts == {"frames": 3, "labels": 1}
    with pytest.raises(lakehouse.InvalidInputError), dataset.open_upload() as broken:
        broken.add([{"frame_id": "f9", "image": "x"}])
    assert dataset.version == 2


def test_archived_datasets_and_projects_are_not_written(
    dataset: lakehouse.Dataset, project: lakehouse.Project
) -> None:
    dataset.archive()
    with pytest.raises(lakehouse.ArchivedError, match="archived=False"):
        dataset.add([frame("f1")])
    assert project.datasets() == []
    dataset.archive(archived=False)
    assert dataset.add([frame("f1")]).status == "DONE"


def test_classes_are_appended_and_renamed_explicitly(
    dataset: lakehouse.Dataset, project: lakehouse.Project
) -> None:
    dataset.add([frame("f")], [box("f", "a")])
    project.add_classes(["nucleus"])
    project.rename_class("cell", "whole cell")

    upload = dataset.upsert_labels(
        [box("f", "b", class_name="nucleus"), box("f", "c", class_name="whole cell")]
    )

    assert upload.status == "DONE"
    ids = dict(
        dataset.latest().labels().select("label_id", "class_id").collect().rows()
    )
    assert ids == {"a": 0, "b": 2, "c": 0}


def test_arrow_lazy_frames_and_files_are_taken(
    dataset: lakehouse.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = pl.DataFrame([frame("f1"), frame("f2")])
    path = tmp_path_factory.mktemp("files") / "frames.parquet"
    rows.write_parquet(path)

    counts = [
        dataset.add(data).counts
        for data in (
            rows.to_arrow(),
            rows.lazy(),
            path,
            rows.to_arrow().to_batches(),
            rows.to_dicts(),
        )
    ]

    assert [count["created"] for count in counts] == [2, 0, 0, 0, 0]
    assert [count["unchanged"] for count in counts] == [0, 2, 2, 2, 2]


def test_an_upload_that_was_never_acknowledged_is_not_waited_for(
    dataset: lakehouse.Dataset,
) -> None:
    staging = (
        f"{dataset._collection.path}/staging/{dataset._collection.staging.new_id()}"
    )
    part = pl.DataFrame({"frame_id": ["f1"]})
    dataset._collection.store.write_table(f"{staging}/frames-0.parquet", part)

    assert not dataset.is_processing
    assert dataset.merge_pending() == []
