"""What makes a COCO file unreadable: members that are not there, or name nothing.

All of it is told at once, each with the member at fault, before anything is read.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lakehouse.formats.files import fault
from lakehouse.model.problems import Problem

__all__ = ["coco_faults"]

_LISTS: Final = ("images", "categories")
_SIDES: Final = 4
_HINT: Final = "See https://cocodataset.org/#format-data."


def coco_faults(found: Any) -> list[Problem]:  # noqa: ANN401 - whatever was read
    """Everything that keeps a file from being read as COCO."""
    if not isinstance(found, Mapping):
        told = "The file holds no JSON object with images and categories."
        return [fault("file", "coco.member", told, _HINT)]
    faults = [
        fault(name, "coco.member", f"The file has no list {name!r}.", _HINT)
        for name in _LISTS
        if not isinstance(found.get(name), list)
    ]
    if faults:
        return faults
    images = [one.get("id") for one in found["images"]]
    categories = {one.get("id") for one in found["categories"] if "name" in one}
    faults += [
        fault(f"images[id={name}]", "coco.id", f"{count} images have this id.", _HINT)
        for name, count in Counter(images).items()
        if count > 1 or name is None
    ]
    known = set(images)
    for place, one in enumerate(found.get("annotations", ())):
        where = f"annotations[{place}]"
        faults += [
            fault(where, "coco.annotation", told, _HINT)
            for told in _annotation_faults(one, known, categories)
        ]
    return faults


def _annotation_faults(
    one: Mapping[str, Any], images: set[Any], categories: set[Any]
) -> Iterator[str]:
    if one.get("id") is None:
        yield "The annotation has no id."
    if one.get("image_id") not in images:
        yield f"No image has the id {one.get('image_id')!r}."
    if one.get("category_id") not in categories:
        yield f"No category with a name has the id {one.get('category_id')!r}."
    box = one.get("bbox")
    if box and (len(box) != _SIDES or not all(isinstance(x, int | float) for x in box)):
        yield f"bbox is {box!r}, not [left, top, width, height]."
    shape = one.get("segmentation")
    if isinstance(shape, list) and any(len(flat) % 2 for flat in shape):
        yield "A polygon has an odd number of coordinates."
    points = one.get("keypoints")
    if points and len(points) % 3:
        yield "keypoints are no list of x, y, visibility."
    if not box and not shape and not points:
        yield "It has neither bbox, segmentation nor keypoints."
