"""The types of sensors: which URLs each has, and which coordinate frame.

Wire names are those of Aquarium's client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["SENSOR_TYPES", "URL_FIELDS", "SensorType"]


@dataclass(frozen=True, slots=True)
class SensorType:
    """One type of sensor."""

    name: str
    required: tuple[str, ...]
    """Fields that must be there."""
    optional: tuple[str, ...] = ()
    """Fields that may be there."""
    one_of: tuple[str, ...] = ()
    """Fields of which exactly one must be there."""


_SIZE: Final = ("width", "height")
_TYPES: Final = (
    SensorType("IMAGE_V0", ("image_url",), ("preview_url", *_SIZE)),
    SensorType(
        "IMAGE_OVERLAY_V0", ("image_url", "overlay_id"), ("resize_mode", *_SIZE)
    ),
    SensorType("TEXT", ("text",)),
    SensorType("POINTCLOUD_PCD_V0", ("pcd_url",)),
    SensorType(
        "POINTCLOUD_V0",
        (),
        ("range_url", "intensity_url"),
        one_of=("pointcloud_url", "kitti_format_url"),
    ),
    SensorType("OBJ_V0", ("obj_url",)),
    SensorType("AUDIO_V0", ("audio_url",)),
    SensorType("VIDEO_V0", ("video_url",)),
)

SENSOR_TYPES: Final[Mapping[str, SensorType]] = MappingProxyType(
    {known.name: known for known in _TYPES}
)
"""Wire name to type."""

URL_FIELDS: Final = (
    "image_url",
    "preview_url",
    "text",
    "pcd_url",
    "pointcloud_url",
    "kitti_format_url",
    "range_url",
    "intensity_url",
    "obj_url",
    "audio_url",
    "video_url",
)
"""What a sensor's medium is named by."""
