"""The types of labels, and which columns each needs.

The wire names and required fields are those of Aquarium's client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = [
    "BOX",
    "LABEL_TYPES",
    "MASK_CLASS",
    "MASK_TYPES",
    "UNSURE_TYPES",
    "LabelType",
]

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
"""Types whose inferences may tell no confidence: masks, and the instances in them."""
