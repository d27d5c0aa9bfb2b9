"""Sensors and coordinate frames of a frame."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from lakehouse.model.labels import SENSOR_TYPES


def test_every_type_of_sensor_lands(bench: Any) -> None:
    frame = al.LabeledFrame(frame_id="f")
    frame.add_coordinate_frame_3d(
        coord_frame_id="lidar", position={"x": 1, "y": 0, "z": 2}
    )
    frame.add_image(image_url="i", preview_url="p", width=640, height=480)
    frame.add_image_overlay(overlay_id="heat", image_url="o", resize_mode="fill")
    frame.add_text(sensor_id="text", text="said")
    frame.add_audio(sensor_id="audio", audio_url="a", mirror_asset=True)
    frame.add_video(sensor_id="video", video_url="v")
    frame.add_obj(sensor_id="mesh", obj_url="m")
    frame.add_point_cloud_pcd(sensor_id="pcd", pcd_url="c", coord_frame_id="lidar")
    frame.add_point_cloud_bins(sensor_id="bins", kitti_format_url="k", range_url="r")

    upload = bench.send(frame)

    assert upload.errors().height == 0
    (row,) = bench.frames().to_dicts()
    sensors = {sensor["sensor_id"]: sensor for sensor in row["sensors"]}
    assert {sensor["sensor_type"] for sensor in row["sensors"]} == set(SENSOR_TYPES)
    assert (row["image_url"], row["width"], row["height"]) == ("i", 640, 480)
    assert sensors["audio"]["mirror_asset"] is True
    assert sensors["pcd"]["coordinate_frame"] == "lidar"
    assert sensors["mesh"]["coordinate_frame"] == "world"
    assert sensors["DEFAULT:heat"]["coordinate_frame"] == "DEFAULT"


def test_a_camera_is_kept_with_all_numbers(bench: Any) -> None:
    frame = al.LabeledFrame(frame_id="f")
    frame.add_coordinate_frame_3d(coord_frame_id="car")
    frame.add_coordinate_frame_2d(
        coord_frame_id="camera",
        fx=500,
        fy=510,
        cx=320,
        cy=240,
        k1=0.1,
        parent_frame_id="car",
    )
    frame.add_image(image_url="i", coord_frame_id="camera")

    bench.send(frame)

    (row,) = bench.frames().to_dicts()
    cameras = {c["coordinate_frame_id"]: c for c in row["coordinate_frames"]}
    assert cameras["camera"]["parent_frame_id"] == "car"
    camera = json.loads(cameras["camera"]["metadata"])
    assert (camera["fx"], camera["k1"]) == (500, 0.1)
    assert camera["camera_model"] == "brown_conrady"


CAMERA: dict[str, Any] = {"coord_frame_id": "c", "fx": 1, "fy": 1}


@pytest.mark.parametrize(
    ("verb", "sent"),
    [
        ("add_coordinate_frame_3d", {"coord_frame_id": "world"}),
        ("add_coordinate_frame_3d", {"coord_frame_id": "a", "position": {"x": 1}}),
        ("add_coordinate_frame_3d", {"coord_frame_id": "a", "parent_frame_id": "b"}),
        ("add_coordinate_frame_2d", CAMERA | {"fx": 0}),
        ("add_coordinate_frame_2d", CAMERA | {"cx": 1}),
        ("add_coordinate_frame_2d", CAMERA | {"cx": -1, "cy": 1}),
        ("add_coordinate_frame_2d", CAMERA | {"camera_model": "pinhole"}),
        ("add_coordinate_frame_2d", CAMERA | {"camera_matrix": [[1, 0], [0, 1]]}),
        ("add_image", {"image_url": "i"}),
        ("add_image", {"image_url": "i", "sensor_id": "b", "coord_frame_id": "none"}),
        ("add_image", {"image_url": "i", "sensor_id": "b", "width": 1.5}),
        ("add_image", {"image_url": "i", "sensor_id": "b", "date_captured": "soon"}),
        ("add_point_cloud_bins", {"sensor_id": "b"}),
        (
            "add_point_cloud_bins",
            {"sensor_id": "b", "pointcloud_url": "p", "kitti_format_url": "k"},
        ),
    ],
)
def test_invalid_media_are_refused_at_the_call(
    frame: Callable[..., al.LabeledFrame], verb: str, sent: dict[str, Any]
) -> None:
    with pytest.raises(lakehouse.InvalidInputError):
        getattr(frame(), verb)(**sent)


def test_new_sensors_replace_the_sensors_and_nothing_else(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame(device_id="cam0")
    new.add_user_metadata("split", "train")
    new.add_label_2d_bbox(
        label_id="l", classification="cat", top=0, left=0, width=1, height=1
    )
    bench.send(new)
    before = bench.labels()
    change = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    change.add_image(image_url="new", width=10, height=20)

    bench.client.update_dataset_frames("p", "d", [change])

    (row,) = bench.frames().to_dicts()
    assert (row["image_url"], row["width"], row["height"]) == ("new", 10, 20)
    assert [sensor["image_url"] for sensor in row["sensors"]] == ["new"]
    assert (row["device_id"], row["user__split"]) == ("cam0", "train")
    assert bench.labels().equals(before)


def test_a_frame_without_an_image_lands_with_a_warning(bench: Any) -> None:
    upload = bench.send(al.LabeledFrame(frame_id="f"))

    assert upload.status == "DONE"
    assert upload.errors().select("rule", "severity").rows() == [
        ("sensor.missing", "warning")
    ]
