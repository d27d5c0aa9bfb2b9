"""A picture of a frame with its labels drawn.

Needs Pillow: the extra `plot`. Images of 16 bits are stretched to their own
contrast; for an image that cannot be read there is a black canvas, and its caption
says so.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from lakehouse.errors import LakehouseError
from lakehouse.model.class_map import ClassMap, Colour
from lakehouse.storage.media import Media

try:
    from PIL import Image, ImageDraw
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "Drawing needs Pillow: pip install 'lakehouse[plot]'.", kind="extra.missing"
    ) from error


UNKNOWN_CLASS: Final[Colour] = (160, 160, 160)  # grey
CANVAS_WITHOUT_SIZE: Final = (640, 480)  # of a frame whose image cannot be read

_CAPTION_HEIGHT: Final = 22  # pixels: one line of Pillow's own font, with a margin
_TEXTS_IN_CAPTION: Final = 4  # labels without a shape; more would leave the picture
_LINE_WIDTH: Final = 2
_POINT_RADIUS: Final = 3
_GAP: Final = 8


def draw_frame(
    frame: Mapping[str, Any],
    labels: pl.DataFrame,
    classes: ClassMap,
    *,
    title: str | None = None,
    media: Media | None = None,
) -> Image.Image:
    """Draw a frame and its labels in the colours of their classes.

    Args:
        frame: A row of frames.
        labels: The rows of its labels.
        classes: The colours of classes; unknown classes are grey.
        title: The first part of the line above the picture.
        media: Reads the image; by default from where its URL points.
    """
    picture, note = _picture(frame, media or Media())
    pen = ImageDraw.Draw(picture)
    texts: list[str] = []  # of labels that have no shape
    for label in labels.iter_rows(named=True):
        known = classes.get(str(label["class_name"]))
        texts += _draw(pen, label, UNKNOWN_CLASS if known is None else known.color)
    caption = "  ·  ".join(
        [part for part in (title, note, *texts[:_TEXTS_IN_CAPTION]) if part]
    )
    return _captioned(picture, caption)


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures beside each other, from the left, aligned at the top."""
    width = sum(picture.width for picture in pictures) + _GAP * (len(pictures) - 1)
    height = max(picture.height for picture in pictures)
    sheet = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + _GAP
    return sheet


def _draw(
    pen: ImageDraw.ImageDraw, label: Mapping[str, Any], colour: Colour
) -> list[str]:
    """Draw the shapes of one label; returns a text instead for a label without any."""
    drawn = False
    for polygon in label["polygons"] or []:
        points = [(x, y) for x, y in polygon]
        pen.line([*points, points[0]], fill=colour, width=_LINE_WIDTH)
        drawn = True
    for point in label["keypoints"] or []:
        x, y = point["x"], point["y"]
        radius = _POINT_RADIUS
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        pen.text((x + 5, y - 5), point["name"], fill=colour)
        drawn = True
    if label["x1"] is not None:
        pen.line(
            [(label["x1"], label["y1"]), (label["x2"], label["y2"])],
            fill=colour,
            width=_LINE_WIDTH,
        )
        drawn = True
    if label["width"] is not None and label["height"] is not None:
        left, top = label["left"], label["top"]
        pen.rectangle(
            (left, top, left + label["width"], top + label["height"]),
            outline=colour,
            width=_LINE_WIDTH,
        )
        drawn = True
    return [] if drawn else [f"{label['label_type']} {label['class_name']}"]


def _picture(frame: Mapping[str, Any], media: Media) -> tuple[Image.Image, str | None]:
    url = frame["image_url"]
    size = (
        frame["width"] or CANVAS_WITHOUT_SIZE[0],
        frame["height"] or CANVAS_WITHOUT_SIZE[1],
    )
    if url is None:
        return Image.new("RGB", size, "black"), "no image"
    try:
        return _eight_bit(Image.open(io.BytesIO(media.read(url)))), None
    # Pillow has an error of its own for a small file that unfolds to a giant image.
    except (LakehouseError, OSError, ValueError, Image.DecompressionBombError):
        return Image.new("RGB", size, "black"), f"cannot read {Path(str(url)).name}"


def _eight_bit(picture: Image.Image) -> Image.Image:
    if picture.mode in {"RGB", "RGBA", "L", "P", "1", "CMYK", "YCbCr"}:
        return picture.convert("RGB")
    # Microscopes write 12 bits into 16: shown as they are, they would be black. The
    # half percent at either end is cut, so that one hot pixel does not set the scale.
    values = np.asarray(picture, dtype=np.float64)
    low, high = np.percentile(values, [0.5, 99.5])
    scaled = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def _captioned(picture: Image.Image, caption: str) -> Image.Image:
    if not caption:
        return picture
    sheet = Image.new("RGB", (picture.width, picture.height + _CAPTION_HEIGHT), "white")
    sheet.paste(picture, (0, _CAPTION_HEIGHT))
    ImageDraw.Draw(sheet).text((6, 5), caption, fill="black")
    return sheet
