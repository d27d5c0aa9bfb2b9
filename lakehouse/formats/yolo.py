"""YOLO: a text file an image, a line a label, in shares of the image's sides.

    data.yaml               classes, and where the images of each split are
    images/train/a.jpg      labels/train/a.txt

A line is `class x y width height` of a box's centre, or `class x1 y1 x2 y2 …` of a
polygon. A dataset is of one kind: where only some labels are polygons, all become
boxes. Labels have no ids: they are numbered in the order of the file. Shares are
rounded; sides are read from the images, so an import needs those. Needs Pillow and
PyYAML: the extra `formats`.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError, LakehouseError
from lakehouse.formats.content import (
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    extra_fields,
)
from lakehouse.formats.files import Origin, is_image, require_unique
from lakehouse.formats.names import id_of_name
from lakehouse.formats.pictures import FileNames, fetch_images
from lakehouse.formats.shapes import box_columns, box_of
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

FORM: Final = Form(
    "YOLO",
    frames=frozenset({"width", "height"}),
    labels={
        "BBOX_2D": frozenset({"class_name", "top", "left", "width", "height"}),
        "POLYGON_LIST_2D": frozenset({"class_name", "polygons"}),
    },
    metadata=False,
    media=True,
)

_HINT: Final = "See https://docs.ultralytics.com/datasets/detect."

_SPLITS: Final = ("train", "val", "test")
"""The keys of `data.yaml` that Ultralytics reads; other parts have a key of ours."""

_PIXEL_DIGITS: Final = 6
"""Digits of a pixel that survive its share of a side: finer than any annotation."""

_BOX_NUMBERS: Final = 4

_Size = tuple[int, int]
"""Width and height of an image in pixels."""


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a dataset: its `data.yaml`, or the folder with it.

    Raises:
        InvalidInputError: If it, an image or a line cannot be read; all are named.
    """
    del losses  # every number of a line has a column
    file = path if path.is_file() else path / "data.yaml"
    description, names = _read_description(file)
    frames, labels, problems = list[Row](), list[Row](), Problems()
    images = list(_images(file.parent, description))
    for done, (split, image) in enumerate(images):
        origin.progress("images", done, len(images))
        try:
            size = _size_of(image.read_bytes())
        except (OSError, ValueError) as error:
            problems.add(
                image.name,
                rule="yolo.image",
                message=f"The image cannot be read: {error}.",
                hint="Correct it, or leave it out.",
            )
            continue
        url = origin.url_of(image, file.parent)
        frame: Row = {"frame_id": id_of_name(image.stem), "image_url": url}
        frame |= {"width": size[0], "height": size[1]}
        if split is not None:
            frame[f"{PREFIX}split"] = split
        frames.append(frame)
        labels += [
            {"frame_id": frame["frame_id"]} | label
            for label in _read_labels(_labels_file(image), names, size, problems)
        ]
    problems.raise_if_any("Nothing was written: files cannot be read.")
    require_unique(frames)
    return Content(frames, labels, tuple(names.values()))


def _read_description(file: Path) -> tuple[Mapping[str, Any], dict[int, str]]:
    """The content of `data.yaml`, and the class names by their numbers."""
    try:
        description = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = description["names"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{file} does not describe a YOLO dataset: {error}. It is YAML with names, "
            f"and train and val folders. {_HINT}",
            kind="yolo.data",
        ) from error
    if "kpt_shape" in description:
        raise InvalidInputError(
            "YOLO datasets of keypoints cannot be read. Import keypoints as COCO.",
            kind="yolo.keypoints",
        )
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    return description, {int(number): str(name) for number, name in pairs}


def _images(
    folder: Path, description: Mapping[str, Any]
) -> Iterator[tuple[str | None, Path]]:
    """The images of each split, in order."""
    root = folder / str(description.get("path") or ".")
    # `path` is often absolute on the machine that wrote the file; the file's folder is
    # then the better guess.
    root = root if root.is_dir() else folder
    listed = {name: str(description[name]) for name in _SPLITS if description.get(name)}
    others = description.get("parts") or {}
    listed |= {str(name): str(place) for name, place in others.items()}
    folders = [root / place for place in listed.values()]
    for split, place in zip(listed, folders, strict=True):
        # YOLO requires train and val: a dataset without splits names one folder twice.
        is_shared = folders.count(place) > 1
        if is_shared and split != next(iter(listed)):
            continue
        for image in sorted(place.rglob("*")):
            if is_image(image):
                yield None if is_shared else split, image


def _labels_file(image: Path) -> Path:
    """The file of an image's labels: `labels` in place of the last `images`."""
    parts = list(image.parts)
    if "images" in parts:
        # Ultralytics replaces the last one too: a dataset may lie below a folder of
        # that name.
        place = len(parts) - 1 - parts[::-1].index("images")
        parts[place] = "labels"
    return Path(*parts).with_suffix(".txt")


def _read_labels(
    file: Path, names: Mapping[int, str], size: _Size, problems: Problems
) -> Iterator[Row]:
    # An image without a file has no labels: Ultralytics calls it a background.
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = (line for line in text.splitlines() if line.strip())
    for place, line in enumerate(lines):
        try:
            yield {"label_id": f"{place:06}"} | _read_line(line, names, size)
        except ValueError as error:
            problems.add(
                f"{file.name}:{place + 1}",
                rule="yolo.line",
                message=f"{error}: {line[:60]!r}.",
                hint=_HINT,
            )


def _read_line(line: str, names: Mapping[int, str], size: _Size) -> Row:
    kind, *texts = line.split()
    values = [float(text) for text in texts]
    if int(kind) not in names:
        raise ValueError(f"names have no class {kind}")
    # Four numbers are always a box: a polygon has three points or more, so six.
    if len(values) < _BOX_NUMBERS or len(values) % 2:
        raise ValueError("the line is neither a box nor a polygon")
    return {"class_name": names[int(kind)]} | _shape_columns(values, size)


def _shape_columns(values: list[float], size: _Size) -> Row:
    """Shares of an image's sides as the columns of a box or polygon, in pixels.

    Args:
        values: Centre and sides of a box, or the vertices of a polygon.
        size: Width and height of the image.
    """
    wide, high = size
    if len(values) == _BOX_NUMBERS:
        x, y, width, height = values
        box = (
            (x - width / 2) * wide, (y - height / 2) * high, width * wide, height * high
        )  # fmt: skip
        left, top, width, height = (round(side, _PIXEL_DIGITS) for side in box)
        return {"label_type": "BBOX_2D"} | box_columns((left, top, width, height))
    points = [
        [round(x * wide, _PIXEL_DIGITS), round(y * high, _PIXEL_DIGITS)]
        for x, y in zip(values[::2], values[1::2], strict=True)
    ]
    return {"label_type": "POLYGON_LIST_2D", "polygons": [points]}


def _size_of(data: bytes) -> _Size:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except OSError as error:
        raise ValueError(str(error)) from error


# ---------------------------------- WRITING --------------------------------- #

_NO_IMAGE: Final = "YOLO reads the sides from the image; the frame has none."
_NO_SIZE: Final = "Without the size of its image a label has no shares."
_NO_URL: Final = "YOLO has no URLs: the image is a file beside its labels."
_NUMBERED: Final = "YOLO has no ids: labels are numbered in their order."
_ALL_BOXES: Final = "Some labels are no polygons, so all are boxes."
_ONE_POLYGON: Final = "A label is one polygon: its parts become labels of their own."
_ROUNDED: Final = "Shares of the image's sides are rounded."


def write(source: Source, target: Target) -> None:
    """Write `images/`, `labels/` and `data.yaml`."""
    numbers = {name: place for place, name in enumerate(source.classes.ids)}
    polygons = _is_segmentation(source)
    names, problems, splits = FileNames(), Problems(), dict[str, None]()
    for batch in source.batches(target.progress):
        frames = [frame for frame, _ in batch]
        images = fetch_images(frames, source.media, problems) if target.media else ()
        data = list(images) or [None] * len(frames)
        for (frame, labels), picture in zip(batch, data, strict=True):
            split = target.part_of(frame)
            splits |= {split: None} if split else {}
            name = Path(split or "", names.of_frame(frame))
            size = _image_size(frame, picture, target.losses)
            if picture is not None:
                _put(target.folder / "images" / name, picture)
            lines = _lines(labels, numbers, size, target.losses, polygons=polygons)
            text = "".join(f"{line}\n" for line in lines).encode()
            _put((target.folder / "labels" / name).with_suffix(".txt"), text)
    problems.raise_if_any("Nothing was exported.")
    _describe(target.folder / "data.yaml", list(source.classes.ids), list(splits))


def _is_segmentation(source: Source) -> bool:
    types = collect(source.labels.select(pl.col("label_type").unique()))
    # A YOLO dataset is of one kind: a single label of another makes it one of boxes.
    return types["label_type"].to_list() == ["POLYGON_LIST_2D"]


def _image_size(frame: Row, picture: bytes | None, losses: Losses) -> _Size | None:
    """The size of a frame's image; what YOLO loses of the frame is counted."""
    losses.add("frames", "image_url", "image_url" in frame, _NO_URL)
    if picture is None:
        losses.add("frames", "frame_id", 1, _NO_IMAGE)
    try:
        size = None if picture is None else _size_of(picture)
    except ValueError:
        losses.add("frames", "frame_id", 1, _NO_IMAGE)
        size = None
    given = (frame.get("width"), frame.get("height"))
    if size is not None and given != size:
        losses.add("frames", "width", 1, "The size is that of the image.")
    if size is None and given[0] and given[1]:
        return given[0], given[1]
    return size


def _lines(
    labels: Sequence[Row],
    numbers: Mapping[str, int],
    size: _Size | None,
    losses: Losses,
    *,
    polygons: bool,
) -> Iterator[str]:
    if size is None:
        losses.add("labels", "label_id", len(labels), _NO_SIZE)
        return
    place = 0
    for label in labels:
        is_polygon = label["label_type"] == "POLYGON_LIST_2D"
        losses.add("labels", "polygons", is_polygon and not polygons, _ALL_BOXES)
        shapes = _shapes(label, size, polygons=polygons)
        losses.add("labels", "polygons", len(shapes) != 1, _ONE_POLYGON)
        for values in shapes:
            is_renamed = label["label_id"] != f"{place:06}"
            losses.add("labels", "label_id", is_renamed, _NUMBERED)
            place += 1
            back = _shape_columns(values, size)
            given = {name: label[name] for name in back if name in label}
            # Where the shape itself is another, that is the loss, not the rounding.
            is_same_shape = polygons == is_polygon and len(shapes) == 1
            is_rounded = is_same_shape and bool(extra_fields(given, back))
            losses.add("labels", "geometry", is_rounded, _ROUNDED)
            # `repr` is the shortest text that reads back as the same float.
            text = " ".join(map(repr, values))
            yield f"{numbers[label['class_name']]} {text}"


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


def _describe(path: Path, classes: Sequence[str], splits: Sequence[str]) -> None:
    """Write `data.yaml`."""
    folders = {split: f"images/{split}" for split in splits}
    usual = {split: folders.pop(split, None) for split in _SPLITS}
    # YOLO requires train and val: without splits both are the one folder.
    whole = "images" if not splits else None
    # JSON strings are YAML too, so that every name is quoted as it must be.
    lines = [
        f"{split}: {json.dumps(place or whole)}"
        for split, place in usual.items()
        if place or (whole and split != "test")
    ]
    if folders:
        lines.append(f"parts: {json.dumps(folders)}")
    lines.append("names:")
    lines += [f"  {place}: {json.dumps(name)}" for place, name in enumerate(classes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
