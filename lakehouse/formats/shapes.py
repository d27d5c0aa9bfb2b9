"""Boxes as formats write them, and the bounding boxes and areas of other shapes."""

from collections.abc import Iterable, Sequence
from typing import Any

from lakehouse.formats.content import Row

Box = tuple[float, float, float, float]
"""Left, top, width, height, in pixels."""


def box_of(row: Row) -> Box | None:
    """The box of a label: its own, or the one around its polygons or keypoints."""
    if all(name in row for name in ("left", "top", "width", "height")):
        return row["left"], row["top"], row["width"], row["height"]
    return bounding_box(points_of(row))


def points_of(row: Row) -> list[tuple[float, float]]:
    """The vertices or keypoints of a label."""
    corners = [(x, y) for polygon in row.get("polygons", []) for x, y in polygon]
    return corners or [(point["x"], point["y"]) for point in row.get("keypoints", [])]


def bounding_box(points: Sequence[tuple[float, float]]) -> Box | None:
    """The box around points; None for none.

    >>> bounding_box([(1, 2), (4, 6)])
    (1, 2, 3, 4)
    """
    if not points:
        return None
    across, down = zip(*points, strict=True)
    left, top = min(across), min(down)
    return left, top, max(across) - left, max(down) - top


def area_of(row: Row, box: Box | None) -> float:
    """The area of a label's polygons (shoelace formula), else of its box."""
    if row.get("polygons"):
        return sum(_shoelace(polygon) for polygon in row["polygons"])
    return 0.0 if box is None else box[2] * box[3]


def _shoelace(polygon: Iterable[Sequence[float]]) -> float:
    points = list(polygon)
    following = [*points[1:], *points[:1]]
    pairs = zip(points, following, strict=True)
    return abs(sum(x * v - u * y for (x, y), (u, v) in pairs)) / 2


def box_columns(box: Box) -> Row:
    """A box in the columns of labels."""
    left, top, width, height = map(float, box)
    return {"top": top, "left": left, "width": width, "height": height}


def corners_of(box: Box) -> Box:
    """Left, top, right and bottom of a box."""
    left, top, width, height = box
    return left, top, left + width, top + height


def short_number(value: float) -> Any:  # noqa: ANN401 - int or float
    """A float without a fraction as a whole short_number, as people write it.

    >>> short_number(3.0), short_number(3.5)
    (3, 3.5)
    """
    return int(value) if float(value).is_integer() else value
