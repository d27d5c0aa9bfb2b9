"""Random frames of the client, with every type of label and sensor.

A frame is drawn as plain facts, from which the client's objects are built; ids are
the test's, so that frames are changed, deleted and sent again.
"""

from typing import Any, Final

from hypothesis import strategies as st

import lakehouse.aquarium as al

__all__ = ["FRAMES", "changed", "labels_of", "whole"]

Facts = dict[str, Any]

_SIZE: Final = st.integers(1, 90) | st.floats(0.5, 90)
_ATTRIBUTES: Final = st.fixed_dictionaries(
    {}, optional={"q": st.booleans(), "r": st.sampled_from(["a", "ü"])}
)
_LABEL: Final = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(
            [
                "2d_bbox", "2d_line_segment", "2d_keypoints", "2d_polygon_list",
                "3d_cuboid", "2d_semseg", "2d_instance_seg", "2d_classification",
                "3d_classification", "text_token",
            ]
        ),
        "class": st.sampled_from(["cat", "dog"]),
        "numbers": st.lists(_SIZE, min_size=10, max_size=10),
        "attributes": _ATTRIBUTES,
        "crowd": st.none() | st.booleans(),
        "links": st.just({}) | st.just({"track": "t1"}),
    }
)  # fmt: skip
_SENSORS: Final = st.sets(
    st.sampled_from(
        ["text", "audio", "video", "pcd", "bins", "obj", "overlay", "camera"]
    )
)
_METADATA: Final = st.fixed_dictionaries(
    {},
    optional={
        "split": st.sampled_from(["train", "test"]),
        "n": st.integers(-9, 9),
        "t": st.floats(-9, 9),
        "night": st.booleans(),
        "tags": st.lists(st.sampled_from("ab"), max_size=2),
    },
)
FRAMES: Final = st.fixed_dictionaries(
    {
        "sensors": _SENSORS,
        "labels": st.lists(_LABEL, max_size=4),
        "metadata": _METADATA,
        "date": st.none() | st.just("2023-08-01T12:00:00+00:00"),
        "device": st.none() | st.just("cam0"),
        "place": st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
        "numbers": st.lists(st.floats(1, 9), min_size=2, max_size=2),
    }
)
"""The facts of a frame."""


def whole(
    frame_id: str, facts: Facts, *, vectors: bool, keeps: bool = False
) -> al.LabeledFrame:
    """The frame, to be added."""
    frame = al.LabeledFrame(
        frame_id=frame_id, date_captured=facts["date"], device_id=facts["device"]
    )
    frame.reuse_latest_embedding = keeps
    _add_sensors(frame, facts["sensors"])
    _add_facts(frame, facts)
    for number, label in enumerate(facts["labels"]):
        _add(frame, f"{frame_id}_{number}", label)
    if vectors and not keeps:
        frame.add_frame_embedding(embedding=facts["numbers"])
        for number, label_id in enumerate(frame.labels):
            vector = [number + 1.0, *facts["numbers"]]
            frame.add_crop_embedding(label_id=label_id, embedding=vector)
    return frame


def changed(frame_id: str, facts: Facts) -> al.LabeledFrame:
    """A change of the frame: metadata, place, and its image where it has sensors."""
    frame = al.LabeledFrame(
        frame_id=frame_id, device_id=facts["device"], update_type="MODIFY"
    )
    if facts["sensors"]:
        frame.add_image(image_url=f"https://x.test/{frame_id}-new.jpg", width=9)
    _add_facts(frame, facts)
    return frame


def labels_of(frame_id: str, facts: Facts) -> al.UpdateGTLabelSet:
    """New labels, and new classes for those that the frame has already."""
    update = al.UpdateGTLabelSet(frame_id=frame_id)
    for number, label in enumerate(facts["labels"]):
        _add(update, f"{frame_id}_new_{number}", label)
    for number in range(2):
        update.update_label_2d_bbox(
            label_id=f"{frame_id}_{number}", top=facts["numbers"][0]
        )
    return update


def _add_facts(frame: al.LabeledFrame, facts: Facts) -> None:
    for name, value in facts["metadata"].items():
        if isinstance(value, list):
            frame.add_user_metadata_list(name, value, "str")
        else:
            frame.add_user_metadata(name, value)
    if facts["place"] is not None:
        frame.add_geo_latlong_data(*facts["place"])


def _add_sensors(frame: al.LabeledFrame, sensors: set[str]) -> None:
    url = f"https://x.test/{frame.frame_id}"
    frame.add_coordinate_frame_3d(
        coord_frame_id="body", position={"x": 1, "y": 2.5, "z": 3}
    )
    if "camera" in sensors:
        frame.add_coordinate_frame_2d(
            coord_frame_id="lens", fx=2, fy=3.5, k1=0.1, parent_frame_id="body"
        )
        frame.add_image(sensor_id="cam", image_url=url, coord_frame_id="lens")
    frame.add_image(image_url=f"{url}.jpg", width=640, height=480)
    if "overlay" in sensors:
        frame.add_image_overlay(
            sensor_id="over", overlay_id="heat", image_url=url, resize_mode="fill"
        )
    if "text" in sensors:
        frame.add_text(sensor_id="t", text="some – text", date_captured="2023-08-01")
    if "audio" in sensors:
        frame.add_audio(sensor_id="a", audio_url=url)
    if "video" in sensors:
        frame.add_video(sensor_id="v", video_url=url, mirror_asset=True)
    if "pcd" in sensors:
        frame.add_point_cloud_pcd(sensor_id="p", pcd_url=url)
    if "bins" in sensors:
        frame.add_point_cloud_bins(
            sensor_id="b", kitti_format_url=url, coord_frame_id="body"
        )
    if "obj" in sensors:
        frame.add_obj(sensor_id="o", obj_url=url)


def _add(owner: Any, label_id: str, facts: Facts) -> None:
    numbers: list[float] = facts["numbers"]
    kind, user = facts["kind"], {"user_attrs": facts["attributes"]}
    classed = {"classification": facts["class"], **user}
    box = dict(zip(("top", "left", "width", "height"), numbers, strict=False))
    more = {"iscrowd": facts["crowd"], "links": facts["links"]}
    floats = [float(number) for number in numbers]
    polygons = [{"vertices": [(1, 2.5), (numbers[0], 4), (5, numbers[1])]}]
    points = [{"x": numbers[0], "y": 2, "name": "ear"}, {"x": 1, "y": 2, "name": "ü"}]
    fields: dict[str, Facts] = {
        "2d_bbox": classed | box | more,
        "2d_line_segment": classed
        | dict(zip(("x1", "y1", "x2", "y2"), numbers, strict=False))
        | more,
        "2d_keypoints": classed | box | {"keypoints": points, "center": [1.5, 2]},
        "2d_polygon_list": classed | {"polygons": polygons},
        "3d_cuboid": classed
        | more
        | {"position": floats[:3], "dimensions": floats[3:6], "rotation": floats[6:]},
        "2d_semseg": {"mask_url": "m.png", "resize_mode": "fill"},
        "2d_instance_seg": {
            "mask_url": "i.png",
            "instance_mapping": [
                {"id": 7, "classification": facts["class"], "attributes": {"q": True}}
            ],
        },
        "2d_classification": classed | {"secondary_labels": {"weather": "sun"}},
        "3d_classification": classed,
        "text_token": classed | {"index": 3, "token": "tok", "visible": True},
    }
    getattr(owner, f"add_label_{kind}")(label_id=label_id, **fields[kind])
