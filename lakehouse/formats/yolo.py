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
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError, LakehouseError, Problem
from lakehouse.formats.content import Content, Form, Losses, Row, Source, Target, beside
from lakehouse.formats.files import Origin, fault, is_image, require_unique
from lakehouse.formats.names import id_of_name
from lakehouse.formats.pictures import FileNames, fetched
from lakehouse.formats.shapes import box_of, sides
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problems
from lakehouse.storage import collect

try:
    import yaml
    from PIL import Image
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "YOLO needs Pillow and PyYAML: pip install 'lakehouse[formats]'.",
        kind="extra.missing",
    ) from error


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
        origin.progress("images", done, len(images))
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
    Problems(problems).raise_if_any("Nothing was written: files cannot be read.")
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


_NO_IMAGE: Final = "YOLO reads the sides from the image; the frame has none."
_PLACED: Final = "An image is where it lies beside its labels."
_NUMBERED: Final = "YOLO has no ids: labels are numbered in their order."
_KIND: Final = "Some labels are no polygons, so all are boxes."
_WRITTEN_PARTS: Final = "A label is one polygon: its parts become labels of their own."
_ROUNDED: Final = "Shares of the image's sides are rounded."
_WRITTEN_SIZE: Final = "Without the size of its image a label has no place."

_Size = tuple[int, int]


def write(source: Source, target: Target) -> None:
    """Write `images/`, `labels/` and `data.yaml`."""
    numbers = {name: place for place, name in enumerate(source.classes.ids)}
    polygons = _is_segmentation(source)
    names, problems, parts = FileNames(), list[Problem](), dict[str, None]()
    for batch in source.batches(target.progress):
        frames = [frame for frame, _ in batch]
        images = fetched(frames, source.media, problems) if target.media else ()
        data = list(images) or [None] * len(frames)
        for (frame, labels), picture in zip(batch, data, strict=True):
            part = target.part_of(frame)
            parts |= {part: None} if part else {}
            name = Path(part or "", names.of_frame(frame))
            size = _size(frame, picture, target)
            if picture is not None:
                _put(target.folder / "images" / name, picture)
            lines = list(_lines(labels, numbers, size, target, polygons=polygons))
            text = "".join(f"{line}\n" for line in lines).encode()
            _put((target.folder / "labels" / name).with_suffix(".txt"), text)
    Problems(problems).raise_if_any("Nothing was exported.")
    _describe(target.folder / "data.yaml", list(source.classes.ids), list(parts))


def _is_segmentation(source: Source) -> bool:
    types = collect(source.labels.select(pl.col("label_type").unique()))
    return types["label_type"].to_list() == ["POLYGON_LIST_2D"]


def _size(frame: Row, picture: bytes | None, target: Target) -> _Size | None:
    """The size of a frame's image, and what is told of the frame."""
    target.losses.add("frames", "image_url", "image_url" in frame, _PLACED)
    if picture is None:
        target.losses.add("frames", "frame_id", 1, _NO_IMAGE)
    try:
        found = None if picture is None else size_of(picture)
    except ValueError:
        target.losses.add("frames", "frame_id", 1, _NO_IMAGE)
        found = None
    said = (frame.get("width"), frame.get("height"))
    if found is not None and said != found:
        target.losses.add("frames", "width", 1, "The size is that of the image.")
    if found is None and said[0] and said[1]:
        return said[0], said[1]
    return found


def _lines(
    labels: Sequence[Row],
    numbers: Mapping[str, int],
    size: _Size | None,
    target: Target,
    *,
    polygons: bool,
) -> Iterator[str]:
    losses = target.losses
    if size is None:
        losses.add("labels", "label_id", len(labels), _WRITTEN_SIZE)
        return
    place = 0
    for label in labels:
        is_polygon = label["label_type"] == "POLYGON_LIST_2D"
        losses.add("labels", "polygons", is_polygon and not polygons, _KIND)
        shapes = _shapes(label, size, polygons=polygons)
        losses.add("labels", "polygons", len(shapes) != 1, _WRITTEN_PARTS)
        for values in shapes:
            losses.add(
                "labels", "label_id", label["label_id"] != f"{place:06}", _NUMBERED
            )
            place += 1
            back = shape_row(values, size)
            lost = beside({name: label[name] for name in back if name in label}, back)
            exact = polygons == is_polygon and len(shapes) == 1
            losses.add("labels", "geometry", exact and bool(lost), _ROUNDED)
            told = " ".join(map(repr, values))
            yield f"{numbers[label['class_name']]} {told}"


def _shapes(label: Row, size: _Size, *, polygons: bool) -> list[list[float]]:
    """A label as shares of the image's sides: its box, or each of its polygons."""
    wide, high = size
    if polygons:
        return [
            [share for x, y in polygon for share in (x / wide, y / high)]
            for polygon in label["polygons"]
            if len(polygon) > 2  # noqa: PLR2004 - a line is no polygon
        ]
    box = box_of(label)
    if box is None:
        return []
    left, top, width, height = box
    return [
        [
            (left + width / 2) / wide,
            (top + height / 2) / high,
            width / wide,
            height / high,
        ]
    ]


def _describe(path: Path, classes: Sequence[str], parts: Sequence[str]) -> None:
    """`data.yaml`; JSON text is YAML too."""
    folders = {part: f"images/{part}" for part in parts}
    usual = {part: folders.pop(part, None) for part in ("train", "val", "test")}
    whole = "images" if not parts else None
    lines = [
        f"{part}: {json.dumps(place or whole)}"
        for part, place in usual.items()
        if place or (whole and part != "test")
    ]
    if folders:
        lines.append(f"parts: {json.dumps(folders)}")
    lines.append("names:")
    lines += [f"  {place}: {json.dumps(name)}" for place, name in enumerate(classes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
