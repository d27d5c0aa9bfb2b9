"""Random frames of the client, with every type of label and sensor.

A frame is drawn as plain facts, from which the client's objects are built; ids are
the test's, so that frames are changed, deleted and sent again.
"""

from typing import Any, Final

from hypothesis import strategies as st

import lakehouse.aquarium as al
from tests.unit.aquarium.random_labels import (
    LABELS,
    Facts,
    add_label,
    change_label,
    one_of_each,
)

__all__ = [
    "EVERYTHING",
    "FRAMES",
    "VECTORS",
    "changed",
    "inferences_frame",
    "labels_of",
    "whole",
]

_SENSORS: Final = ("text", "audio", "video", "pcd", "bins", "obj", "overlay", "camera")
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
        "sensors": st.sets(st.sampled_from(_SENSORS)),
        "labels": st.lists(LABELS, max_size=4),
        "metadata": _METADATA,
        "metrics": st.dictionaries(st.just("loss"), st.floats(0, 9)),
        "date": st.none() | st.just("2023-08-01T12:00:00+00:00"),
        "device": st.none() | st.just("cam0"),
        "place": st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
        "numbers": st.lists(st.floats(1, 9), min_size=2, max_size=2),
    }
)
"""The facts of a frame."""
EVERYTHING: Final[Facts] = {
    "sensors": set(_SENSORS),
    "labels": one_of_each("cat"),
    "metadata": {"split": "train", "n": 3, "t": 0.5, "night": True, "tags": ["a"]},
    "metrics": {"loss": 0.5},
    "date": "2023-08-01T12:00:00+00:00",
    "device": "cam0",
    "place": (37.5, -122.25),
    "numbers": [1.5, 2.5],
}
"""A frame of which everything is said that can be."""
VECTORS: Final = st.sampled_from(["", "frames", "labels", "frames and labels"])
"""What has vectors."""


def whole(
    frame_id: str, facts: Facts, *, vectors: str = "", keeps: bool = False
) -> al.LabeledFrame:
    """The frame, to be added."""
    frame = al.LabeledFrame(
        frame_id=frame_id, date_captured=facts["date"], device_id=facts["device"]
    )
    frame.reuse_latest_embedding = keeps
    _add_sensors(frame, facts["sensors"])
    _add_facts(frame, facts)
    for number, label in enumerate(facts["labels"]):
        add_label(frame, f"{frame_id}_{number}", label)
    if not keeps:
        _add_vectors(frame, facts, vectors)
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


def labels_of(frame_id: str, stored: Facts, facts: Facts) -> al.UpdateGTLabelSet:
    """New labels, and changes to those that the frame has already."""
    update = al.UpdateGTLabelSet(frame_id=frame_id)
    for number, label in enumerate(facts["labels"]):
        add_label(update, f"{frame_id}_new_{number}", label)
    for (number, old), new in zip(
        enumerate(stored["labels"]), facts["labels"], strict=False
    ):
        change_label(update, f"{frame_id}_{number}", old, new)
    return update


def inferences_frame(
    frame_id: str, facts: Facts, *, vectors: str = ""
) -> al.InferencesFrame:
    """What a model says of the frame: an inference for each of its labels."""
    frame = al.InferencesFrame(frame_id=frame_id)
    for number, label in enumerate(facts["labels"]):
        add_label(frame, f"{frame_id}_{number}", label, "add_inference_")
    for name, value in facts["metadata"].items():
        frame.add_user_metadata(name, None if value == [] else value)
    for name, value in facts["metrics"].items():
        frame.add_custom_metric(name, value)
    if facts["device"] is not None:
        frame.add_visualization_asset("heat", "https://x.test/é.png")
    _add_vectors(frame, facts, vectors)
    return frame


def _add_vectors(frame: Any, facts: Facts, vectors: str) -> None:
    if "frames" in vectors:
        frame.add_frame_embedding(embedding=facts["numbers"])
    if "labels" in vectors:
        for number, label_id in enumerate(frame.labels):
            vector = [number + 1.0, *facts["numbers"]]
            frame.add_crop_embedding(label_id=label_id, embedding=vector)


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
