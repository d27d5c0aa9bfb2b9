"""Writing COCO: images and annotations side by side, so memory does not grow.

Annotations are numbered from 1, since evaluators take 0 for no match; categories
have the ids that classes have in the project.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import polars as pl

from lakehouse.formats.coco import image_row, label_row
from lakehouse.formats.content import Source, Target
from lakehouse.formats.files import Origin
from lakehouse.formats.losses import Losses
from lakehouse.formats.pictures import FileNames, copied
from lakehouse.formats.rows import BESIDE, Row, beside, dumped, user_fields
from lakehouse.formats.shapes import area_of, box_of, number
from lakehouse.model.problems import Problem
from lakehouse.model.refusing import refuse
from lakehouse.storage import collect

__all__ = ["write"]

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
        for batch in source.batches(target.tell):
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
    refuse(problems, "Nothing was exported.")
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
        annotation |= _keypoints(points, category["keypoints"])
    if "confidence" in label:
        annotation["score"] = label["confidence"]
    if fields := user_fields(label):
        annotation["attributes"] = fields
    row = {name: value for name, value in label.items() if name != "frame_id"}
    back = label_row(annotation, {category["id"]: category}, Losses())
    if extra := beside(row, back):
        annotation[BESIDE] = extra
    return annotation


def _keypoints(points: list[Row], names: list[str]) -> Row:
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
