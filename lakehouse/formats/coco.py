"""COCO: one JSON file of images, annotations and categories.

Detection, instance segmentation and keypoints, as <https://cocodataset.org/#format-data>
has them; further attributes lie in `attributes`, as CVAT writes them. Whatever else
a row has lies in its member `lakehouse`, so nothing of it is lost on the way back.
Masks of run lengths have no column here: such labels keep their boxes.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import polars as pl

from lakehouse.errors import Problem
from lakehouse.formats.content import (
    BESIDE,
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    beside,
    completed,
    dumped,
    metadata_of,
    user_fields,
)
from lakehouse.formats.files import Origin, fault, read_json, require_unique, the_file
from lakehouse.formats.names import id_of_name
from lakehouse.formats.pictures import FileNames, copied
from lakehouse.formats.shapes import area_of, box_of, extent, number, points_of, sides
from lakehouse.intake.tabular import to_utc
from lakehouse.model.problems import Problems
from lakehouse.storage import collect

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
    Problems(coco_faults(found)).raise_if_any(
        "Nothing was written: the file cannot be read."
    )
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
            row["date_captured"] = to_utc(image["date_captured"]).isoformat()
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


_FILE: Final = "annotations.json"
_LEAST_POINTS: Final = 3
_VISIBLE: Final = 2
_BARE: Final = Origin(())


def write(source: Source, target: Target) -> None:
    """Write `annotations.json`, and `images/` where images are asked for."""
    categories = _categories(source)
    by_name = {one["name"]: one for one in categories}
    names, problems = FileNames(), list[Problem]()
    parts = (target.folder / ".images", target.folder / ".annotations")
    with (
        parts[0].open("w", encoding="utf-8") as images,
        parts[1].open("w", encoding="utf-8") as annotations,
    ):
        image_id = annotation_id = 0
        for batch in source.batches(target.progress):
            pictures: list[tuple[Row, Path]] = []
            for frame, labels in batch:
                image_id += 1
                image = _image(frame, image_id, names.of_image(frame))
                _append(images, image)
                path = target.folder / "images" / image["file_name"]
                pictures.append((frame, path))
                for label in labels:
                    annotation_id += 1
                    told = _annotation(label, annotation_id, image_id, by_name)
                    _append(annotations, told)
            if target.media:
                copied(pictures, source.media, problems)
    Problems(problems).raise_if_any("Nothing was exported.")
    _join(target.folder / _FILE, categories, *parts)


def _image(frame: Row, image_id: int, name: str) -> Row:
    image: Row = {"id": image_id, "file_name": name}
    image |= {side: frame[side] for side in ("width", "height") if side in frame}
    url = frame.get("image_url")
    if url is not None and url != name:
        image["coco_url"] = url
    if "date_captured" in frame:
        image["date_captured"] = frame["date_captured"]
    if fields := user_fields(frame):
        image["attributes"] = fields
    if extra := beside(frame, image_row(image, _BARE, Losses())):
        image[BESIDE] = extra
    return image


def _annotation(
    label: Row, number_: int, image_id: int, categories: Mapping[str, Row]
) -> Row:
    category = categories[label["class_name"]]
    box = box_of(label)
    annotation: Row = {
        "id": number_,
        "image_id": image_id,
        "category_id": category["id"],
        "bbox": [number(side) for side in box or (0, 0, 0, 0)],
        "area": label.get("area", area_of(label, box)),
        "iscrowd": int(label.get("iscrowd", False)),
        "segmentation": [
            [number(value) for point in polygon for value in point]
            for polygon in label.get("polygons", [])
            if len(polygon) >= _LEAST_POINTS
        ],
    }
    if points := label.get("keypoints"):
        annotation |= _keypoint_values(points, category["keypoints"])
    if "confidence" in label:
        annotation["score"] = label["confidence"]
    if fields := user_fields(label):
        annotation["attributes"] = fields
    row = {name: value for name, value in label.items() if name != "frame_id"}
    back = label_row(annotation, {category["id"]: category}, Losses())
    if extra := beside(row, back):
        annotation[BESIDE] = extra
    return annotation


def _keypoint_values(points: list[Row], names: list[str]) -> Row:
    there = {point["name"]: (point["x"], point["y"], _VISIBLE) for point in points}
    flat = [value for name in names for value in there.get(name, (0, 0, 0))]
    return {
        "keypoints": [number(value) for value in flat],
        "num_keypoints": len(points),
    }


def _categories(source: Source) -> list[Row]:
    """The classes of the project, with every keypoint name that labels use."""
    used = (
        source.labels.filter(pl.col("label_type") == "KEYPOINTS_2D")
        .select(
            "class_name",
            pl.col("keypoints").list.eval(pl.element().struct.field("name")),
        )
        .explode("keypoints")
        .unique()
        .sort("class_name", "keypoints")
    )
    names: dict[str, list[str]] = {}
    for class_name, keypoint in collect(used).drop_nulls().iter_rows():
        names.setdefault(class_name, []).append(keypoint)
    made: list[Row] = []
    for known in source.classes.classes:
        category: Row = {"id": known.class_id, "name": known.name}
        category["supercategory"] = known.category or ""
        told = dict.fromkeys((*known.keypoint_names, *names.get(known.name, ())))
        if told:
            category["keypoints"] = list(told)
            category["skeleton"] = [list(pair) for pair in known.skeleton]
        made.append(category)
    return made


def _append(file: IO[str], member: Row) -> None:
    file.write(("," if file.tell() else "") + "\n" + dumped(member))


def _join(path: Path, categories: list[Row], images: Path, annotations: Path) -> None:
    """One file of the two that were written side by side."""
    info: dict[str, Any] = {"description": "Exported by lakehouse"}
    with path.open("w", encoding="utf-8") as whole:
        whole.write(f'{{"info":{dumped(info)},"licenses":[],\n')
        whole.write(f'"categories":{dumped(categories)},\n"images":[')
        for part, end in ((images, '],\n"annotations":['), (annotations, "]}\n")):
            with part.open(encoding="utf-8") as written:
                shutil.copyfileobj(written, whole)
            whole.write(end)
            part.unlink()
