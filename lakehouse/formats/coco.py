"""COCO: one JSON file of images, annotations and categories.

Detection, instance segmentation and keypoints, as <https://cocodataset.org/#format-data>
has them; metadata are in `attributes`, as CVAT writes them. Whatever else a row has
is in its member `lakehouse`, so that nothing of it is lost on the way back. Masks as
run lengths have no column here: such labels keep their boxes.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import polars as pl

from lakehouse.formats.content import (
    EXTRA,
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    extra_fields,
    metadata_of,
    to_json,
    user_fields,
    with_extra,
)
from lakehouse.formats.files import Origin, only_file, read_json, require_unique
from lakehouse.formats.names import id_of_name
from lakehouse.formats.pictures import FileNames, copy_images
from lakehouse.formats.shapes import (
    area_of,
    bounding_box,
    box_columns,
    box_of,
    points_of,
    short_number,
)
from lakehouse.intake.tabular import to_utc
from lakehouse.model.problems import Problems
from lakehouse.storage import collect

FORM: Final = Form(
    "COCO", labels=dict.fromkeys(("BBOX_2D", "POLYGON_LIST_2D", "KEYPOINTS_2D"))
)

_HINT: Final = "See https://cocodataset.org/#format-data."

# The members that are read; every other one is counted as lost.
_IMAGE: Final = frozenset(
    {"id", "file_name", "width", "height", "coco_url", "date_captured", "attributes", EXTRA}
)  # fmt: skip
_ANNOTATION: Final = frozenset(
    {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation",
     "keypoints", "num_keypoints", "score", "attributes", EXTRA}
)  # fmt: skip

# `keypoints` is flat: x, y and visibility of each. COCO defines v=0 as not labelled,
# v=1 as labelled but hidden, v=2 as labelled and visible.
_KEYPOINT_NUMBERS: Final = 3
_HIDDEN: Final = 1
_VISIBLE: Final = 2

_BOX_NUMBERS: Final = 4


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a COCO file, or a folder with one.

    Raises:
        InvalidInputError: If it is none; every problem of its references is named.
    """
    file = read_json(only_file(path, "*.json", "COCO"))
    problems = _problems_of(file)
    problems.raise_if_any("Nothing was written: the file cannot be read.")
    categories = {one["id"]: one for one in file["categories"]}
    frames: dict[Any, Row] = {}
    labels: list[Row] = []
    for image in file["images"]:
        frames[image["id"]] = _frame_of(image, origin, losses)
    require_unique(frames.values())
    for annotation in file.get("annotations", ()):
        row = _label_of(annotation, categories, losses)
        labels.append(row | {"frame_id": frames[annotation["image_id"]]["frame_id"]})
    classes = tuple(str(one["name"]) for one in categories.values())
    return Content(list(frames.values()), labels, classes)


def _problems_of(file: Any) -> Problems:  # noqa: ANN401 - whatever was read
    """Everything that keeps a file from being read as COCO."""
    problems = Problems()
    if not isinstance(file, Mapping):
        message = "The file holds no JSON object with images and categories."
        problems.add("file", rule="coco.member", message=message, hint=_HINT)
        return problems
    for name in ("images", "categories"):
        if not isinstance(file.get(name), list):
            message = f"The file has no list {name!r}."
            problems.add(name, rule="coco.member", message=message, hint=_HINT)
    # References cannot be followed without both lists.
    if problems:
        return problems
    images = Counter(one.get("id") for one in file["images"])
    categories = {one.get("id") for one in file["categories"] if "name" in one}
    for image_id, count in images.items():
        if count > 1 or image_id is None:
            message = f"{count} images have this id."
            path = f"images[id={image_id}]"
            problems.add(path, rule="coco.id", message=message, hint=_HINT)
    for place, one in enumerate(file.get("annotations", ())):
        for message in _annotation_problems(one, set(images), categories):
            path = f"annotations[{place}]"
            problems.add(path, rule="coco.annotation", message=message, hint=_HINT)
    return problems


def _annotation_problems(
    one: Mapping[str, Any], images: set[Any], categories: set[Any]
) -> Iterator[str]:
    if one.get("id") is None:
        yield "The annotation has no id."
    if one.get("image_id") not in images:
        yield f"No image has the id {one.get('image_id')!r}."
    if one.get("category_id") not in categories:
        yield f"No category with a name has the id {one.get('category_id')!r}."
    box = one.get("bbox")
    if box and (
        len(box) != _BOX_NUMBERS or not all(isinstance(x, int | float) for x in box)
    ):
        yield f"bbox is {box!r}, not [left, top, width, height]."
    shape = one.get("segmentation")
    if isinstance(shape, list) and any(len(flat) % 2 for flat in shape):
        yield "A polygon has an odd number of coordinates."
    points = one.get("keypoints")
    if points and len(points) % _KEYPOINT_NUMBERS:
        yield "keypoints are not a list of x, y, visibility."
    if not box and not shape and not points:
        yield "It has neither bbox, segmentation nor keypoints."


def _frame_of(image: Mapping[str, Any], origin: Origin, losses: Losses) -> Row:
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
        losses.add("frames", "date_captured", 1, "It is not a date of ISO 8601.")
    row |= metadata_of(image.get("attributes") or {}, "frames", losses)
    return with_extra(row, image.get(EXTRA))


def _label_of(
    annotation: Mapping[str, Any],
    categories: Mapping[Any, Mapping[str, Any]],
    losses: Losses,
) -> Row:
    """An annotation as a label, without its frame."""
    for name in annotation.keys() - _ANNOTATION:
        losses.add("labels", name, annotation[name] is not None, "A label has no such field.")  # fmt: skip
    category = categories[annotation["category_id"]]
    row: Row = {"label_id": str(annotation["id"]), "class_name": str(category["name"])}
    row |= _polygons_of(annotation, losses)
    row |= _keypoints_of(annotation, category, losses)
    # COCO requires bbox and area of every annotation. Where they only repeat what
    # follows from the shape they are no columns: the label came without them.
    implied = bounding_box(points_of(row))
    box = annotation.get("bbox")
    if box and (implied is None or tuple(box) != implied):
        row |= box_columns(box)
    row["label_type"] = _type_of(row)
    area = annotation.get("area")
    if area is not None and area != area_of(row, box_of(row)):
        row["area"] = float(area)
    if annotation.get("iscrowd"):
        row["iscrowd"] = True
    if annotation.get("score") is not None:
        row["confidence"] = annotation["score"]
    row |= metadata_of(annotation.get("attributes") or {}, "labels", losses)
    return with_extra(row, annotation.get(EXTRA))


def _type_of(row: Row) -> str:
    if "keypoints" in row:
        return "KEYPOINTS_2D"
    return "POLYGON_LIST_2D" if "polygons" in row else "BBOX_2D"


def _polygons_of(annotation: Mapping[str, Any], losses: Losses) -> Row:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return {}
    # A list holds polygons [x1, y1, x2, y2, …]; an object holds run lengths.
    if not isinstance(segmentation, list):
        reason = "Run-length masks have no column; the box is kept."
        losses.add("labels", "segmentation", EXTRA not in annotation, reason)
        return {}
    polygons = [
        [[float(x), float(y)] for x, y in zip(flat[::2], flat[1::2], strict=True)]
        for flat in segmentation
    ]
    return {"polygons": polygons}


def _keypoints_of(
    annotation: Mapping[str, Any], category: Mapping[str, Any], losses: Losses
) -> Row:
    flat = annotation.get("keypoints")
    step = _KEYPOINT_NUMBERS
    if not flat or not any(flat[2::step]):
        return {}
    # The names are the category's: an annotation has a place for each of them.
    names = category.get("keypoints") or range(1, len(flat) // step + 1)
    triples = zip(flat[::step], flat[1::step], flat[2::step], strict=True)
    labelled = [
        ({"x": float(x), "y": float(y), "name": str(name)}, visibility)
        for name, (x, y, visibility) in zip(names, triples, strict=True)
        if visibility
    ]
    has_hidden = any(visibility == _HIDDEN for _, visibility in labelled)
    reason = "A keypoint is labelled or not: that it is hidden is lost."
    losses.add("labels", "keypoints", has_hidden, reason)
    return {"keypoints": [point for point, _ in labelled]}


# ---------------------------------- WRITING --------------------------------- #


def write(source: Source, target: Target) -> None:
    """Write `annotations.json`, and `images/` where images are asked for."""
    categories = _categories(source)
    by_name = {one["name"]: one for one in categories}
    names, problems = FileNames(), Problems()
    # JSON wants all images before all annotations, and batches have both: each list
    # grows in a file of its own, so that memory holds one batch.
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
                    category = by_name[label["class_name"]]
                    member = _annotation(label, annotation_id, image_id, category)
                    _append(annotations, member)
            if target.media:
                copy_images(pictures, source.media, problems)
    problems.raise_if_any("Nothing was exported.")
    _join(target.folder / "annotations.json", categories, *parts)


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
    if extra := extra_fields(frame, _frame_of(image, Origin(()), Losses())):
        image[EXTRA] = extra
    return image


def _annotation(
    label: Row, annotation_id: int, image_id: int, category: Mapping[str, Any]
) -> Row:
    box = box_of(label)
    annotation: Row = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category["id"],
        "bbox": [short_number(side) for side in box or (0, 0, 0, 0)],
        "area": label.get("area", area_of(label, box)),
        "iscrowd": int(label.get("iscrowd", False)),
        "segmentation": [
            [short_number(value) for point in polygon for value in point]
            for polygon in label.get("polygons", [])
            # Readers take four numbers for a box (pycocotools), and two are nothing.
            if len(polygon) > 2  # noqa: PLR2004 - a line is no polygon
        ],
    }
    if points := label.get("keypoints"):
        by_name = {
            point["name"]: (point["x"], point["y"], _VISIBLE) for point in points
        }
        triples = [by_name.get(name, (0, 0, 0)) for name in category["keypoints"]]
        flat = [short_number(value) for triple in triples for value in triple]
        annotation |= {"keypoints": flat, "num_keypoints": len(points)}
    if "confidence" in label:
        annotation["score"] = label["confidence"]
    if fields := user_fields(label):
        annotation["attributes"] = fields
    row = {name: value for name, value in label.items() if name != "frame_id"}
    back = _label_of(annotation, {category["id"]: category}, Losses())
    if extra := extra_fields(row, back):
        annotation[EXTRA] = extra
    return annotation


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
    categories: list[Row] = []
    for known in source.classes.classes:
        category: Row = {"id": known.class_id, "name": known.name}
        category["supercategory"] = known.category or ""
        # The class map's names come first: its skeleton counts by their places.
        keypoints = dict.fromkeys((*known.keypoint_names, *names.get(known.name, ())))
        if keypoints:
            category["keypoints"] = list(keypoints)
            category["skeleton"] = [list(pair) for pair in known.skeleton]
        categories.append(category)
    return categories


def _append(file: IO[str], member: Row) -> None:
    file.write(("," if file.tell() else "") + "\n" + to_json(member))


def _join(path: Path, categories: list[Row], images: Path, annotations: Path) -> None:
    """Write one file from the two lists that were written side by side."""
    info: dict[str, Any] = {"description": "Exported by lakehouse"}
    with path.open("w", encoding="utf-8") as whole:
        whole.write(f'{{"info":{to_json(info)},"licenses":[],\n')
        whole.write(f'"categories":{to_json(categories)},\n"images":[')
        for part, end in ((images, '],\n"annotations":['), (annotations, "]}\n")):
            with part.open(encoding="utf-8") as members:
                shutil.copyfileobj(members, whole)
            whole.write(end)
            part.unlink()
