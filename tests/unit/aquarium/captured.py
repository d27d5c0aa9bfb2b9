"""The rows that the captured calls say."""

from datetime import UTC, datetime
from typing import Any

__all__ = [
    "CAMERA",
    "IMAGE",
    "INFERENCE",
    "LABEL",
    "LINKED",
    "MOVED",
    "NEWER",
    "NOON",
    "OLDER",
    "PLAIN",
    "SIZE",
    "URL",
]

Row = dict[str, Any]

NOON = datetime(2023, 8, 1, 12, tzinfo=UTC)
URL = "https://x.test/1.jpg"
IMAGE: Row = {"coordinate_frame_id": "DEFAULT", "coordinate_frame_type": "IMAGE"}
WORLD: Row = {"coordinate_frame_id": "world", "coordinate_frame_type": "WORLD"}
SIZE: Row = {"width": 640, "height": 480}
CAMERA: Row = {
    "sensor_id": "DEFAULT",
    "sensor_type": "IMAGE_V0",
    "coordinate_frame": "DEFAULT",
    "date_captured": NOON,
    "mirror_asset": False,
    "image_url": URL,
}
FRAME: Row = {
    "frame_id": "frame_1",
    "date_captured": NOON,
    "device_id": "cam0",
    "latitude": 37.5,
    "longitude": -122.25,
    "image_url": URL,
    "sensors": [CAMERA | SIZE],
    "user__split": "train",
    "user__n": 3,
    "user__tags": ["a", "b"],
    **SIZE,
}
OLDER = FRAME | {
    "coordinate_frames": [IMAGE],
    "user__temp_c": 21.5,
    "user__night": False,
}
NEWER = FRAME | {
    "coordinate_frames": [IMAGE | {"parent_frame_id": "world"}, WORLD],
}
LABEL: Row = {
    "frame_id": "frame_1",
    "label_id": "lab_1",
    "label_type": "BBOX_2D",
    "class_name": "cat",
    "class_id": 0,
    "coordinate_frame": "DEFAULT",
    "top": 1.0,
    "left": 2.0,
    "width": 10.5,
    "height": 4.0,
    "iscrowd": False,
    "user__occluded": True,
}
LINKED = LABEL | {"links": '{"track": "t1"}'}
MOVED: Row = {"top": 5.0, "left": 6.0, "width": 7.0, "height": 8.0}
PLAIN = {name: LABEL[name] for name in list(LABEL)[:6]}
INFERENCE = PLAIN | {
    "label_id": "inf_1",
    "top": 1.0,
    "left": 2.0,
    "width": 3.0,
    "height": 4.0,
    "confidence": 0.9,
}
