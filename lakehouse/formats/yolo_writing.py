"""Writing YOLO: images and labels in parallel folders, and `data.yaml`.

What rounding, missing sizes and the one kind of a dataset cost is told exactly:
each line is read back as it is written.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from lakehouse.formats.content import Source, Target
from lakehouse.formats.pictures import FileNames, fetched
from lakehouse.formats.rows import Row, beside
from lakehouse.formats.shapes import box_of
from lakehouse.formats.yolo import shape_row, size_of
from lakehouse.model.problems import Problem
from lakehouse.model.refusing import refuse
from lakehouse.storage import collect

__all__ = ["write"]

_NO_IMAGE: Final = "YOLO reads the sides from the image; the frame has none."
_PLACED: Final = "An image is where it lies beside its labels."
_NUMBERED: Final = "YOLO has no ids: labels are numbered in their order."
_KIND: Final = "Some labels are no polygons, so all are boxes."
_PARTS: Final = "A label is one polygon: its parts become labels of their own."
_ROUNDED: Final = "Shares of the image's sides are rounded."
_SIZE: Final = "Without the size of its image a label has no place."

_Size = tuple[int, int]


def write(source: Source, target: Target) -> None:
    """Write `images/`, `labels/` and `data.yaml`."""
    numbers = {name: place for place, name in enumerate(source.classes.ids)}
    polygons = _is_segmentation(source)
    names, problems, parts = FileNames(), list[Problem](), dict[str, None]()
    for batch in source.batches(target.tell):
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
    refuse(problems, "Nothing was exported.")
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
        losses.add("labels", "label_id", len(labels), _SIZE)
        return
    place = 0
    for label in labels:
        is_polygon = label["label_type"] == "POLYGON_LIST_2D"
        losses.add("labels", "polygons", is_polygon and not polygons, _KIND)
        shapes = _shapes(label, size, polygons=polygons)
        losses.add("labels", "polygons", len(shapes) != 1, _PARTS)
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
