"""The rules for a single row, in plain Python: what is invalid, what is stored.

These rules need no dataset: sizes, degrees, dates, the geometry that each type of
label requires. `ModelDataset` has the others.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lakehouse.model.ids import id_problem
from lakehouse.model.labels import LABEL_TYPES, MASK_CLASS, MASK_TYPES

Row = dict[str, Any]

_IMAGE: Final = ("image_url", "width", "height")
_NUMBERS: Final = (
    *("top", "left", "width", "height", "x1", "y1", "x2", "y2"),
    *("area", "latitude", "longitude"),
)
# Geometry to the type it implies. The order decides: every box has a width, and a
# polygon may have one as well.
_INFERRED: Final = (
    ("polygons", "POLYGON_LIST_2D"),
    ("keypoints", "KEYPOINTS_2D"),
    ("x1", "LINE_SEGMENT_2D"),
    ("token", "TEXT_TOKEN"),
    ("width", "BBOX_2D"),
)


def exact(value: object) -> object:
    """A value that is equal only to values of the same types, down to the leaves.

    >>> exact({"a": 1}) == exact({"a": 1.0})
    False
    """
    if isinstance(value, Mapping):
        # As a set: the order of keys in a row, or in a struct, carries no meaning.
        return frozenset((key, exact(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(exact(item) for item in value)
    if isinstance(value, datetime):
        # Equal moments are equal, whatever zone they were sent in.
        return value.astimezone(UTC)
    return type(value).__name__, value


def plain(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    """A value without the fields of structs that are null."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value


def kind_of(value: object) -> str | None:
    """The metadata type of a value: `int`, `list[str]`, `list[]`; None for none.

    >>> kind_of([1, 0.5]), kind_of([1, "a"])
    ('list[float]', None)
    """
    if not isinstance(value, list):
        name = type(value).__name__
        return name if name in {"str", "int", "float", "bool"} else None
    kinds = {kind_of(item) for item in value}
    # A whole number among fractions is one of them: the field is of floats.
    if kinds == {"int", "float"}:
        kinds = {"float"}
    return None if len(kinds) > 1 else f"list[{next(iter(kinds), '')}]"


# ----------------------------------- FRAMES --------------------------------- #


def is_bad_frame(row: Row) -> bool:
    """Whether every dataset rejects the frame."""
    latitude, longitude = row.get("latitude"), row.get("longitude")
    return (
        _is_bad_row(row)
        or (latitude is None) != (longitude is None)
        or abs(latitude or 0) > 90  # noqa: PLR2004 - degrees
        or abs(longitude or 0) > 180  # noqa: PLR2004 - degrees
        or _is_bad_date(row.get("date_captured"))
        or _is_contradictory(row)
    )


def _is_contradictory(row: Row) -> bool:
    """Whether the frame's image is given, and no sensor has it."""
    url, sensors = row.get("image_url"), row.get("sensors")
    if url is None or sensors is None:
        return False
    return url not in [sensor.get("image_url") for sensor in sensors]


def utc_of(value: Any) -> datetime:  # noqa: ANN401 - text or a datetime
    """A date as sent, as UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def _is_bad_date(value: Any) -> bool:  # noqa: ANN401 - text or a datetime
    try:
        if value is not None:
            utc_of(value)
    except ValueError:
        return True
    return False


def frame_of(row: Row, types: Mapping[str, str]) -> Row:
    """The fields that are set, as a snapshot returns them; no vector."""
    stored = _typed(row, types)
    if "date_captured" in stored:
        stored["date_captured"] = utc_of(stored["date_captured"])
    return stored


def with_sensor_image(row: Row) -> Row:
    """A frame whose image is that of its sensors."""
    images = [one for one in row["sensors"] if one["sensor_type"] == "IMAGE_V0"]
    default = [one for one in images if one["sensor_id"] == "DEFAULT"]
    shown: Row = next(iter([*default, *images]), {})
    kept = {name: value for name, value in row.items() if name not in _IMAGE}
    return kept | {name: shown[name] for name in _IMAGE if name in shown}


def with_image(sensors: list[Row], row: Row) -> list[Row]:
    """Sensors after a change of the frame's image: that of sensor DEFAULT."""
    image = {name: row[name] for name in _IMAGE if row.get(name) is not None}
    is_default = [
        (one["sensor_id"], one["sensor_type"]) == ("DEFAULT", "IMAGE_V0")
        for one in sensors
    ]
    if not any(is_default):
        fresh = {"sensor_id": "DEFAULT", "sensor_type": "IMAGE_V0"}
        return [*sensors, fresh | image]
    return [
        one | image if hit else one
        for one, hit in zip(sensors, is_default, strict=True)
    ]


def changes_image(row: Row) -> bool:
    """Whether a MODIFY names the image and not the sensors."""
    return row.get("sensors") is None and any(
        row.get(name) is not None for name in _IMAGE
    )


# ----------------------------------- LABELS --------------------------------- #


def is_bad_label(row: Row, op: str) -> bool:
    """Whether every dataset rejects the label."""
    if id_problem(row.get("label_id")):
        return True
    if op == "DELETE":
        return False
    kind = type_of(row) if op == "ADD" else row.get("label_type")
    if _is_bad_row(row) or (kind is not None and kind not in LABEL_TYPES):
        return True
    names = [point["name"] for point in row.get("keypoints") or []]
    if len(names) != len(set(names)) or (row.get("area") or 0) < 0:
        return True
    return op == "ADD" and _is_incomplete(row, kind)


def _is_incomplete(row: Row, kind: str | None) -> bool:
    if kind is None:
        return True
    needs_class = row.get("class_name") is None and kind not in MASK_TYPES
    required = LABEL_TYPES[kind].required
    return needs_class or any(row.get(name) is None for name in required)


def type_of(row: Row) -> str | None:
    """The type of a complete label: as given, or as its geometry implies."""
    implied = (kind for name, kind in _INFERRED if row.get(name) is not None)
    given: str | None = row.get("label_type")
    return next(implied, None) if given is None else given


def label_of(row: Row, types: Mapping[str, str], op: str) -> Row:
    """The fields that are set, as a snapshot returns them; no vector."""
    stored = _typed(row, types)
    for name in ("polygons", "keypoints"):
        if name in stored:
            stored[name] = _floats(stored[name])
    if op == "ADD":
        stored["label_type"] = type_of(row)
        if stored["label_type"] in MASK_TYPES:
            stored.setdefault("class_name", MASK_CLASS)
    return stored


# ------------------------------------ BOTH ---------------------------------- #


def _is_bad_row(row: Row) -> bool:
    """Whether a number, a vector or a metadata value is unusable."""
    vector = row.get("embedding")
    sizes = (row.get("width"), row.get("height"))
    return (
        any(isinstance(value, float) and math.isinf(value) for value in row.values())
        or any(size is not None and size <= 0 for size in sizes)
        or (vector is not None and len(vector) < 2)  # noqa: PLR2004 - the rule
        or any(
            value is not None and kind_of(value) is None
            for name, value in row.items()
            if name.startswith("user__")
        )
    )


def _typed(row: Row, types: Mapping[str, str]) -> Row:
    """The fields that are set, with whole numbers of float fields as floats."""
    is_frame = "label_id" not in row
    return {
        name: _as(value, _field_type(name, types, is_frame=is_frame))
        for name, value in row.items()
        if value is not None and name != "embedding" and _is_kept(name, value, types)
    }


def _is_kept(name: str, value: object, types: Mapping[str, str]) -> bool:
    """Whether a value is stored: an empty list says nothing of a new field's type."""
    # Columns of the contract have a type, so an empty list is a value there.
    return value != [] or not name.startswith("user__") or name in types


def _field_type(name: str, types: Mapping[str, str], *, is_frame: bool) -> str | None:
    if name in _NUMBERS and not (is_frame and name in _IMAGE):
        return "float"
    return types.get(name)


def _as(value: Any, kind: str | None) -> Any:  # noqa: ANN401 - a field of any type
    if kind == "float":
        return float(value)
    return [float(item) for item in value] if kind == "list[float]" else value


def _floats(value: Any) -> Any:  # noqa: ANN401 - a nested geometry
    """Every number in a nested value as a float."""
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, dict):
        return {name: _floats(item) for name, item in value.items()}
    return float(value) if isinstance(value, int) else value
