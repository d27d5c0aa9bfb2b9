"""Pascal VOC: an XML file an image, with boxes.

The elements are those of the challenge's development kit; width is xmax − xmin, as
annotation tools have it. Whatever else a row has is in its element `lakehouse`, as
JSON, so that nothing of a box is lost on the way back. VOC has no ids of labels: they
are numbered in the order of the file.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from lakehouse.formats.content import (
    EXTRA,
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    extra_fields,
    with_extra,
)
from lakehouse.formats.files import Origin, require_unique
from lakehouse.formats.names import id_of_name
from lakehouse.formats.pictures import FileNames, copy_images
from lakehouse.formats.shapes import box_columns, corners_of, short_number
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problems

FORM: Final = Form("Pascal VOC", labels={"BBOX_2D": None})

_DATABASE: Final = "lakehouse"
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
_FLAGS: Final = ("truncated", "occluded", "difficult")
_POSE: Final = "Unspecified"
_SHAPES: Final = ("polygon", "robndbox", "part")
# All but the characters of XML 1.0, https://www.w3.org/TR/xml/#charsets.
_FORBIDDEN: Final = re.compile(
    "[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)
_HINT: Final = "Correct the file, or leave it out."


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read an XML file, or every one below a folder.

    Raises:
        InvalidInputError: If there is none, or any cannot be read; all are named.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.xml"))
    frames, labels, problems = list[Row](), list[Row](), Problems()
    for place, file in enumerate(files):
        origin.progress("files", place, len(files))
        try:
            root = ET.parse(file).getroot()  # noqa: S314 - expat bounds entities
            frame, objects = _frame(root, file, origin), list(_objects(root, losses))
        except (ET.ParseError, ValueError, OSError) as error:
            message = f"The file cannot be read: {error}."
            problems.add(file.name, rule="voc.file", message=message, hint=_HINT)
            continue
        frames.append(frame)
        labels += [{"frame_id": frame["frame_id"]} | label for label in objects]
    if not files:
        problems.add(
            str(path),
            rule="voc.file",
            message="The folder holds no .xml file.",
            hint="Name another folder.",
        )
    problems.raise_if_any("Nothing was written: files cannot be read.")
    require_unique(frames)
    classes = dict.fromkeys(str(label["class_name"]) for label in labels)
    return Content(frames, labels, tuple(classes))


def _frame(root: ET.Element, file: Path, origin: Origin) -> Row:
    row: Row = {"frame_id": id_of_name(file.stem)}
    name, path = root.findtext("filename"), root.findtext("path")
    # In files of other tools `path` is a path on the annotator's own disk.
    if root.findtext("source/database") == _DATABASE and path:
        row["image_url"] = path
    elif name:
        row["image_url"] = origin.url(name)
    for side in ("width", "height"):
        if pixels := int(float(root.findtext(f"size/{side}") or 0)):
            row[side] = pixels
    return with_extra(row, _extra_of(root))


def _objects(root: ET.Element, losses: Losses) -> Iterator[Row]:
    for place, element in enumerate(root.iter("object")):
        corners = [element.findtext(f"bndbox/{name}") for name in _CORNERS]
        if None in corners or not element.findtext("name"):
            raise ValueError(
                f"Object {place} has no name, or its bndbox misses a corner"
            )
        row = _label(element, [float(text) for text in corners if text], place)
        for shape in _SHAPES:
            reason = "Only the bndbox of an object is read."
            losses.add("labels", shape, element.find(shape) is not None, reason)
        yield with_extra(row, _extra_of(element))


def _label(element: ET.Element, corners: list[float], place: int) -> Row:
    left, top, right, bottom = corners
    row: Row = {"label_id": f"{place:06}", "class_name": element.findtext("name")}
    row |= {"label_type": "BBOX_2D"} | box_columns(
        (left, top, right - left, bottom - top)
    )
    for flag in _FLAGS:
        if (element.findtext(flag) or "0").strip() == "1":
            row[PREFIX + flag] = 1
    pose = element.findtext("pose") or _POSE
    if pose != _POSE:
        row[f"{PREFIX}pose"] = pose
    return row


def _extra_of(element: ET.Element) -> Row | None:
    text = element.findtext(EXTRA)
    return json.loads(text) if text else None


# ---------------------------------- WRITING --------------------------------- #


def write(source: Source, target: Target) -> None:
    """Write `Annotations/`, and `JPEGImages/` where images are asked for."""
    names, problems = FileNames(), Problems()
    folder = target.folder / "Annotations"
    folder.mkdir()
    for batch in source.batches(target.progress):
        pictures: list[tuple[Row, Path]] = []
        for frame, labels in batch:
            name = names.of_frame(frame, "")
            image = names.of_image(frame)
            root = _annotation(frame, image, name)
            root.extend(_object(label, place) for place, label in enumerate(labels))
            ET.indent(root)
            ET.ElementTree(root).write(folder / f"{name}.xml", encoding="utf-8")
            pictures.append((frame, target.folder / "JPEGImages" / image))
        if target.media:
            copy_images(pictures, source.media, problems)
    problems.raise_if_any("Nothing was exported.")


def _annotation(frame: Row, image: str, name: str) -> ET.Element:
    root = ET.Element("annotation")
    _text(root, "folder", "JPEGImages")
    _text(root, "filename", image)
    if "image_url" in frame:
        _text(root, "path", frame["image_url"])
    _text(ET.SubElement(root, "source"), "database", _DATABASE)
    size = ET.SubElement(root, "size")
    for side in ("width", "height"):
        _text(size, side, frame.get(side, 0))
    _text(size, "depth", 3)
    _text(root, "segmented", 0)
    back = _frame(root, Path(f"{name}.xml"), Origin(()))
    _add_extra(root, extra_fields(frame, back))
    return root


def _object(label: Row, place: int) -> ET.Element:
    element = ET.Element("object")
    _text(element, "name", label["class_name"])
    _text(element, "pose", label.get(f"{PREFIX}pose", _POSE))
    for flag in _FLAGS:
        _text(element, flag, int(label.get(PREFIX + flag) == 1))
    corners = corners_of((label["left"], label["top"], label["width"], label["height"]))
    box = ET.SubElement(element, "bndbox")
    for name, value in zip(_CORNERS, corners, strict=True):
        _text(box, name, short_number(value))
    row = {name: value for name, value in label.items() if name != "frame_id"}
    _add_extra(element, extra_fields(row, _label(element, list(corners), place)))
    return element


def _add_extra(element: ET.Element, extra: Row) -> None:
    """Add as JSON what VOC has no element for; ASCII, so XML can hold all of it."""
    if extra:
        _text(element, EXTRA, json.dumps(extra))


def _text(parent: ET.Element, name: str, value: Any) -> None:  # noqa: ANN401
    # A text that lost characters is read back differently, so it is in the extra.
    ET.SubElement(parent, name).text = _FORBIDDEN.sub("", str(value))
