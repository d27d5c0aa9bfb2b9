"""YOLO: a text file an image, a line a label, in shares of the image's sides.

    data.yaml               classes, and where the images of each part are
    images/train/a.jpg      labels/train/a.txt

A line is `class x y width height` of a box's centre, or `class x1 y1 x2 y2 …` of a
polygon. A dataset is of one kind: where only some labels are polygons, all become
boxes. Labels have no ids: they are numbered in the order they stand in. Shares are
rounded; sides are read from the images, so an import needs those. Needs Pillow and
PyYAML: the extra `formats`.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lakehouse.errors import InvalidInputError, LakehouseError
from lakehouse.formats.content import Content, Form
from lakehouse.formats.files import Origin, fault, is_image, require_unique
from lakehouse.formats.losses import Losses
from lakehouse.formats.names import id_of_name
from lakehouse.formats.rows import Row
from lakehouse.formats.shapes import sides
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problem
from lakehouse.model.refusing import refuse

try:
    import yaml
    from PIL import Image
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "YOLO needs Pillow and PyYAML: pip install 'lakehouse[formats]'.",
        kind="extra.missing",
    ) from error

__all__ = ["DIGITS", "FORM", "read", "shape_row", "size_of"]

_BOX: Final = frozenset({"class_name", "top", "left", "width", "height"})
_SIZE: Final = frozenset({"width", "height"})
FORM: Final = Form(
    "YOLO",
    frames=_SIZE,
    labels={"BBOX_2D": _BOX, "POLYGON_LIST_2D": frozenset({"class_name", "polygons"})},
    metadata=False,
    media=True,
)

DIGITS: Final = 6
"""Digits of a pixel that come back: finer than any annotation."""

_SIDES: Final = 4
_PARTS: Final = ("train", "val", "test")
_HINT: Final = "See https://docs.ultralytics.com/datasets/detect."


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a dataset: its `data.yaml`, or the folder with it.

    Raises:
        InvalidInputError: If it, an image or a line cannot be read; all are named.
    """
    described = path if path.is_file() else path / "data.yaml"
    found, names = _described(described)
    frames, labels, problems = list[Row](), list[Row](), list[Problem]()
    images = list(_images(described.parent, found))
    for done, (part, image) in enumerate(images):
        origin.tell("images", done, len(images))
        try:
            size = size_of(image.read_bytes())
        except (OSError, ValueError) as error:
            told = f"The image cannot be read: {error}."
            problems.append(fault(image.name, "yolo.image", told, "Mend it."))
            continue
        url = origin.url_of(image, described.parent)
        frame: Row = {"frame_id": id_of_name(image.stem), "image_url": url}
        frame |= {"width": size[0], "height": size[1]}
        if part is not None:
            frame[f"{PREFIX}split"] = part
        frames.append(frame)
        file = _labels_of(image)
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        for place, line in enumerate(line for line in lines if line.strip()):
            try:
                row = _line(line, names, size)
            except ValueError as error:
                told = f"{error}: {line[:60]!r}."
                problems.append(
                    fault(f"{file.name}:{place + 1}", "yolo.line", told, _HINT)
                )
                continue
            labels.append(
                {"frame_id": frame["frame_id"], "label_id": f"{place:06}"} | row
            )
    refuse(problems, "Nothing was written: files cannot be read.")
    require_unique(frames)
    del losses
    return Content(frames, labels, tuple(names.values()))


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of an image in pixels.

    Raises:
        ValueError: If it is none.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except OSError as error:
        raise ValueError(str(error)) from error


def shape_row(values: list[float], size: tuple[int, int]) -> Row:
    """Shares of an image's sides as the columns of a box or polygon, in pixels.

    Args:
        values: Centre and sides of a box, or the vertices of a polygon.
        size: Width and height of the image.
    """
    wide, high = size
    if len(values) == _SIDES:
        x, y, width, height = values
        box = (
            (x - width / 2) * wide, (y - height / 2) * high, width * wide, height * high
        )  # fmt: skip
        left, top, width, height = (round(side, DIGITS) for side in box)
        return {"label_type": "BBOX_2D"} | sides((left, top, width, height))
    points = [
        [round(x * wide, DIGITS), round(y * high, DIGITS)]
        for x, y in zip(values[::2], values[1::2], strict=True)
    ]
    return {"label_type": "POLYGON_LIST_2D", "polygons": [points]}


def _described(file: Path) -> tuple[Mapping[str, Any], dict[int, str]]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = found["names"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{file} does not describe a YOLO dataset: {error}. It is YAML with names, "
            f"and train and val folders. {_HINT}",
            kind="yolo.data",
        ) from error
    if "kpt_shape" in found:
        raise InvalidInputError(
            "YOLO datasets of keypoints are not read. Keypoints come as COCO.",
            kind="yolo.keypoints",
        )
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    return found, {int(number): str(name) for number, name in pairs}


def _images(
    folder: Path, found: Mapping[str, Any]
) -> Iterator[tuple[str | None, Path]]:
    """The images of each part, in order; the same folder twice is one without parts."""
    root = folder / str(found.get("path") or ".")
    root = root if root.is_dir() else folder
    listed = {part: str(found[part]) for part in _PARTS if found.get(part)}
    listed |= {
        str(part): str(place) for part, place in (found.get("parts") or {}).items()
    }
    folders = [root / place for place in listed.values()]
    for part, place in zip(listed, folders, strict=True):
        name = part if folders.count(place) == 1 else None
        if name is None and part != next(iter(listed)):
            continue
        for image in sorted(place.rglob("*")):
            if is_image(image):
                yield name, image


def _labels_of(image: Path) -> Path:
    """The file of an image's labels: `labels` stands for the last `images`."""
    parts = list(image.parts)
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        parts[place] = "labels"
    return Path(*parts).with_suffix(".txt")


def _line(line: str, names: Mapping[int, str], size: tuple[int, int]) -> Row:
    kind, *told = line.split()
    values = [float(text) for text in told]
    if int(kind) not in names:
        raise ValueError(f"names have no class {kind}")
    if len(values) < _SIDES or len(values) % 2:
        raise ValueError("the line is neither a box nor a polygon")
    return {"class_name": names[int(kind)]} | shape_row(values, size)
