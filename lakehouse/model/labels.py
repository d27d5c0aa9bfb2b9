"""The types of labels and sensors, and which fields each needs.

The wire names and required fields are those of Aquarium's client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

BOX: Final = ("top", "left", "width", "height")
"""The columns of a 2-D box, in pixels."""

MASK_CLASS: Final = "__mask"
"""The class name of whole masks, which is in no class map."""


@dataclass(frozen=True, slots=True)
class LabelType:
    """One type of label."""

    name: str
    required: tuple[str, ...] = ()
    """Columns that a whole label of this type must have."""
    classified: bool = True
    """Whether the label is of a class of the project; masks are not."""


_TYPES: Final = (
    LabelType("BBOX_2D", BOX),
    LabelType("LINE_SEGMENT_2D", ("x1", "y1", "x2", "y2")),
    LabelType("KEYPOINTS_2D", ("keypoints",)),
    LabelType("POLYGON_LIST_2D", ("polygons",)),
    LabelType("CUBOID_3D", ("position", "dimensions", "rotation")),
    LabelType("SEMANTIC_LABEL_URL_2D", ("mask_url",), classified=False),
    LabelType("INSTANCE_LABEL_URL_2D", ("mask_url",), classified=False),
    LabelType("INSTANCE_LABEL_2D", ("instance_id",)),
    LabelType("CLASSIFICATION_2D"),
    LabelType("CLASSIFICATION_3D"),
    LabelType("TEXT_TOKEN", ("index", "token", "visible")),
)

LABEL_TYPES: Final[Mapping[str, LabelType]] = MappingProxyType(
    {known.name: known for known in _TYPES}
)
"""Wire name to type."""

MASK_TYPES: Final = tuple(known.name for known in _TYPES if not known.classified)
"""Types that are whole masks."""

UNSURE_TYPES: Final = (*MASK_TYPES, "INSTANCE_LABEL_2D")
"""Types whose inferences may have no confidence: masks, and the instances in them."""


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
_SENSOR_TYPES: Final = (
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
    {known.name: known for known in _SENSOR_TYPES}
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
"""The fields that name a sensor's medium."""
