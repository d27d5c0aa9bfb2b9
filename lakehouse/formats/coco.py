"""COCO: one JSON file of images, annotations and categories.

Detection, instance segmentation and keypoints, as <https://cocodataset.org/#format-data>
has them; further attributes lie in `attributes`, as CVAT writes them. Whatever else
a row has lies in its member `lakehouse`, so nothing of it is lost on the way back.
Masks of run lengths have no column here: such labels keep their boxes.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from lakehouse.formats.coco_checks import coco_faults
from lakehouse.formats.content import Content, Form
from lakehouse.formats.files import Origin, read_json, require_unique, the_file
from lakehouse.formats.losses import Losses
from lakehouse.formats.names import id_of_name
from lakehouse.formats.rows import BESIDE, Row, completed, metadata_of
from lakehouse.formats.shapes import area_of, box_of, extent, points_of, sides
from lakehouse.intake.dates import moment
from lakehouse.model.refusing import refuse

__all__ = ["FORM", "TYPES", "image_row", "label_row", "read"]

TYPES: Final = ("BBOX_2D", "POLYGON_LIST_2D", "KEYPOINTS_2D")
FORM: Final = Form("COCO", labels=dict.fromkeys(TYPES))

_IMAGE: Final = frozenset(
    {"id", "file_name", "width", "height", "coco_url", "date_captured", "attributes", BESIDE}
)  # fmt: skip
_ANNOTATION: Final = frozenset(
    {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation",
     "keypoints", "num_keypoints", "score", "attributes", BESIDE}
)  # fmt: skip
_HALF_SEEN: Final = 1
_POINT: Final = 3


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a COCO file, or a folder with one.

    Raises:
        InvalidInputError: If it is none; every fault of its references is named.
    """
    found = read_json(the_file(path, "*.json", "COCO"))
    refuse(coco_faults(found), "Nothing was written: the file cannot be read.")
    categories = {one["id"]: one for one in found["categories"]}
    frames: dict[Any, Row] = {}
    labels: list[Row] = []
    for image in found["images"]:
        frames[image["id"]] = image_row(image, origin, losses)
    require_unique(frames.values())
    for annotation in found.get("annotations", ()):
        row = label_row(annotation, categories, losses)
        labels.append(row | {"frame_id": frames[annotation["image_id"]]["frame_id"]})
    classes = tuple(str(one["name"]) for one in categories.values())
    return Content(list(frames.values()), labels, classes)


def image_row(image: Mapping[str, Any], origin: Origin, losses: Losses) -> Row:
    """An image as a frame."""
    for name in image.keys() - _IMAGE:
        losses.add(
            "frames", name, image[name] is not None, "A frame has no such field."
        )
    name = str(image.get("file_name") or image["id"])
    row: Row = {"frame_id": id_of_name(str(PurePosixPath(name).with_suffix("").name))}
    if url := image.get("coco_url"):
        row["image_url"] = url
    elif "file_name" in image:
        row["image_url"] = origin.url(name)
    row |= {side: image[side] for side in ("width", "height") if image.get(side)}
    try:
        if image.get("date_captured"):
            row["date_captured"] = moment(image["date_captured"]).isoformat()
    except ValueError:
        losses.add("frames", "date_captured", 1, "It is no date of ISO 8601.")
    row |= metadata_of(image.get("attributes") or {}, "frames", losses)
    return completed(row, image.get(BESIDE))


def label_row(
    annotation: Mapping[str, Any],
    categories: Mapping[Any, Mapping[str, Any]],
    losses: Losses,
) -> Row:
    """An annotation as a label, without its frame."""
    for name in annotation.keys() - _ANNOTATION:
        losses.add("labels", name, annotation[name] is not None, "A label has no such field.")  # fmt: skip
    category = categories[annotation["category_id"]]
    row: Row = {"label_id": str(annotation["id"]), "class_name": str(category["name"])}
    row |= _polygons(annotation, losses)
    row |= _keypoints(annotation, category, losses)
    shape = extent(points_of(row))
    box = annotation.get("bbox")
    if box and (shape is None or tuple(box) != shape):
        row |= sides(box)
    row["label_type"] = _type_of(row)
    told = annotation.get("area")
    if told is not None and told != area_of(row, box_of(row)):
        row["area"] = float(told)
    if annotation.get("iscrowd"):
        row["iscrowd"] = True
    if annotation.get("score") is not None:
        row["confidence"] = annotation["score"]
    row |= metadata_of(annotation.get("attributes") or {}, "labels", losses)
    return completed(row, annotation.get(BESIDE))


def _type_of(row: Row) -> str:
    if "keypoints" in row:
        return "KEYPOINTS_2D"
    return "POLYGON_LIST_2D" if "polygons" in row else "BBOX_2D"


def _polygons(annotation: Mapping[str, Any], losses: Losses) -> Row:
    found = annotation.get("segmentation")
    if not found:
        return {}
    if not isinstance(found, list):
        reason = "Run-length masks have no column; the box is kept."
        losses.add("labels", "segmentation", BESIDE not in annotation, reason)
        return {}
    made = [
        [[float(x), float(y)] for x, y in zip(flat[::2], flat[1::2], strict=True)]
        for flat in found
    ]
    return {"polygons": made}


def _keypoints(
    annotation: Mapping[str, Any], category: Mapping[str, Any], losses: Losses
) -> Row:
    flat = annotation.get("keypoints")
    if not flat or not any(flat[2::_POINT]):
        return {}
    names = category.get("keypoints") or range(1, len(flat) // _POINT + 1)
    triples = zip(flat[::_POINT], flat[1::_POINT], flat[2::_POINT], strict=True)
    seen = [
        ({"x": float(x), "y": float(y), "name": str(name)}, mark)
        for name, (x, y, mark) in zip(names, triples, strict=True)
        if mark
    ]
    hidden = Counter(mark for _, mark in seen)[_HALF_SEEN]
    reason = "A keypoint is there or not: hidden ones count as there."
    losses.add("labels", "keypoints", bool(hidden), reason)
    return {"keypoints": [point for point, _ in seen]}
