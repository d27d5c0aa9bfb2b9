"""Nested values: sensors, coordinate frames, polygons, keypoints, JSON objects.

Each normaliser takes a value as sent, in the native or the wire spelling, and
returns it as tables hold it. It raises ValueError with all problems of the value
in one message.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from lakehouse.intake.tabular import to_utc
from lakehouse.model.ids import id_problem
from lakehouse.model.labels import SENSOR_TYPES, URL_FIELDS
from lakehouse.storage.media import checksum_problem

_SENSOR_FIELDS: Final = (
    "sensor_id",
    "sensor_type",
    "coordinate_frame",
    "date_captured",
    "mirror_asset",
    *URL_FIELDS,
    "width",
    "height",
    "overlay_id",
    "resize_mode",
    "checksum",
)
_FRAME_FIELDS: Final = (
    "coordinate_frame_id",
    "coordinate_frame_type",
    "parent_frame_id",
    "metadata",
)
_FRAME_TYPES: Final = (
    "IMAGE",
    "IMAGE_PROJECTION",
    "TEXT",
    "WORLD",
    "AUDIO",
    "VIDEO",
)
MOST_PIXELS: Final = 10_000_000
"""A side of an image: the largest scans of slides and of the Earth have a tenth."""
_CAMERA_MODELS: Final = ("brown_conrady", "fisheye")


def sensors(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """A list of sensors; ids are unique in it."""
    listed = [_flat(item) for item in _list_of_dicts(value, "sensors")]
    problems = [
        problem
        for place, item in enumerate(listed)
        for problem in _sensor_problems(place, item)
    ]
    # After the defaults are set: two sensors without an id are both DEFAULT, and so
    # alike.
    ids = [item["sensor_id"] for item in listed]
    problems += [
        f"sensor id {name!r} is given twice"
        # As text, since an id may be of any type here: its own problem is listed above.
        for name in sorted({str(i) for i in ids if ids.count(i) > 1})
    ]
    if problems:
        raise ValueError("; ".join(problems) + ".")
    for item in listed:
        # Only now, once all problems are collected: a bad date was one of them.
        if item["date_captured"] is not None:
            item["date_captured"] = to_utc(item["date_captured"])
    return listed


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """A sensor with its URLs and facts beside each other, as tables have them."""
    fields = dict(item)
    # The service's wire format nests URLs and sizes in these two; native rows do not.
    for nested in ("data_urls", "sensor_metadata"):
        fields |= _object(fields.pop(nested, None) or {})
    unknown = [name for name in fields if name not in _SENSOR_FIELDS]
    if unknown:
        raise ValueError(f"a sensor has no fields {unknown}.")
    # Every field, in one order: equal sensors then give equal row hashes, however they
    # were spelt.
    flat = {name: fields.get(name) for name in _SENSOR_FIELDS}
    # By None, not by truth: an empty id is a mistake that has to be reported.
    flat["sensor_id"] = "DEFAULT" if flat["sensor_id"] is None else flat["sensor_id"]
    flat["sensor_type"] = flat["sensor_type"] or "IMAGE_V0"
    return flat


def _sensor_problems(place: int, item: Mapping[str, Any]) -> list[str]:
    start = f"sensor {place} ({item['sensor_id']!r})"
    known = SENSOR_TYPES.get(str(item["sensor_type"]))
    # Which fields are wanted depends on the type, so of an unknown one nothing else is
    # said.
    if known is None:
        return [
            f"{start} is of type {item['sensor_type']!r}; known: {', '.join(SENSOR_TYPES)}"
        ]
    problems = [
        f"{start} has no {name}" for name in known.required if item[name] is None
    ]
    if known.one_of and sum(item[name] is not None for name in known.one_of) != 1:
        # Two of them would leave open which is the data.
        problems.append(f"{start} needs exactly one of {' and '.join(known.one_of)}")
    allowed = {*known.required, *known.optional, *known.one_of}
    media = (*URL_FIELDS, "width", "height", "overlay_id", "resize_mode")
    problems += [
        f"{start} is {known.name} and has {name}"
        for name in media
        if item[name] is not None and name not in allowed
    ]
    problems += [
        f"{start}: {name} is {item[name]!r}, not a whole number of 1 to {MOST_PIXELS}"
        for name in ("width", "height")
        if item[name] is not None and not _is_size(item[name])
    ]
    problems += [
        f"{start}: {name} is {item[name]!r}, not text"
        for name in (*URL_FIELDS, "coordinate_frame", "overlay_id", "resize_mode")
        if item[name] is not None and not isinstance(item[name], str)
    ]
    if problem := id_problem(item["sensor_id"]):
        problems.append(f"{start}: the id {problem}")
    if item["checksum"] is not None and (bad := checksum_problem(item["checksum"])):
        problems.append(f"{start}: the checksum {bad}")
    if not isinstance(item["mirror_asset"], bool | None):
        problems.append(
            f"{start}: mirror_asset is {item['mirror_asset']!r}, not true or false"
        )
    if item["date_captured"] is not None:
        try:
            to_utc(item["date_captured"])
        except ValueError as error:
            problems.append(f"{start}: {error}".rstrip("."))
    return problems


def _is_size(value: object) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 < value <= MOST_PIXELS
    )


def coordinate_frames(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """A list of coordinate frames; ids are unique in it."""
    listed = [
        _coordinate_frame(item) for item in _list_of_dicts(value, "coordinate_frames")
    ]
    ids = [item["coordinate_frame_id"] for item in listed]
    twice = sorted({str(name) for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"coordinate frames {twice} are given twice.")
    return listed


def _coordinate_frame(item: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(item)
    wire_metadata = fields.pop("coordinate_frame_metadata", None)
    # The wire format calls it `coordinate_frame_metadata`, and puts the parent into it.
    metadata = _object(fields.pop("metadata", None) or wire_metadata or {})
    unknown = [name for name in fields if name not in _FRAME_FIELDS]
    if unknown:
        raise ValueError(f"a coordinate frame has no fields {unknown}.")
    parent = fields.get("parent_frame_id") or metadata.pop("parent_frame_id", None)
    name, kind = fields.get("coordinate_frame_id"), fields.get("coordinate_frame_type")
    start = f"coordinate frame {name!r}"
    problems: list[str] = []
    if problem := id_problem(name):
        problems.append(f"{start}: the id {problem}")
    if kind not in _FRAME_TYPES:
        problems.append(
            f"{start} is of type {kind!r}; known: {', '.join(_FRAME_TYPES)}"
        )
    if kind == "IMAGE_PROJECTION":
        problems += _camera_problems(start, metadata)
    if problems:
        raise ValueError("; ".join(problems) + ".")
    return {
        "coordinate_frame_id": name,
        "coordinate_frame_type": kind,
        "parent_frame_id": parent,
        "metadata": json.dumps(metadata, sort_keys=True, allow_nan=False)
        if metadata
        else None,
    }


def _camera_problems(start: str, metadata: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{start}: {name} is {metadata.get(name)!r}, not a number other than 0"
        for name in ("fx", "fy")
        if not _is_number(metadata.get(name)) or not metadata[name]
    ]
    model = metadata.get("camera_model")
    if model is not None and model not in _CAMERA_MODELS:
        problems.append(
            f"{start}: camera_model is {model!r}; known: {', '.join(_CAMERA_MODELS)}"
        )
    # Half a principal point says nothing.
    if (metadata.get("cx") is None) != (metadata.get("cy") is None):
        problems.append(f"{start}: cx and cy come together")
    return problems


def polygons(value: Any) -> list[list[list[float]]]:  # noqa: ANN401
    """Polygons as lists of [x, y]; `{"vertices": […]}` is accepted too."""
    made: list[list[list[float]]] = []
    for place, item in enumerate(_list(value, "polygons")):
        # The client of the service sends objects, everybody else plain lists.
        vertices = item["vertices"] if isinstance(item, Mapping) else item
        points = [
            _list(point, "a vertex") for point in _list(vertices, f"polygon {place}")
        ]
        if len(points) < 3:  # noqa: PLR2004 - fewer enclose nothing
            raise ValueError(
                f"polygon {place} has {len(points)} vertices; it needs 3 or more."
            )
        if any(len(point) != 2 or not all(map(_is_number, point)) for point in points):  # noqa: PLR2004
            raise ValueError(f"polygon {place} has a vertex that is not [x, y].")
        # Whole numbers become floats: 1 and 1.0 are the same point, and must hash the
        # same.
        made.append([[float(x), float(y)] for x, y in points])
    return made


def keypoints(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Named points; names are text, not empty, and unique."""
    listed = _list_of_dicts(value, "keypoints")
    names = [item.get("name") for item in listed]
    problems = [
        f"keypoint {n} has no name"
        for n, name in enumerate(names)
        if not isinstance(name, str) or not name
    ]
    problems += [
        f"keypoint {item.get('name')!r}: x or y is not a number"
        for item in listed
        if not _is_number(item.get("x")) or not _is_number(item.get("y"))
    ]
    problems += [
        f"keypoint {name!r} is given twice"
        for name in sorted({str(n) for n in names if names.count(n) > 1})
    ]
    if problems:
        raise ValueError("; ".join(problems) + ".")
    return [
        {"x": float(item["x"]), "y": float(item["y"]), "name": item["name"]}
        for item in listed
    ]


def json_object(value: Any) -> str | None:  # noqa: ANN401
    """A JSON object as text, keys sorted; an empty one is none."""
    fields = _object(value)
    if not fields:
        return None
    # NaN is Python's, and no JSON: other readers could not parse the text.
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, allow_nan=False)


def custom_metrics(value: Any) -> str | None:  # noqa: ANN401
    """A JSON object as text: name to a number, or to a matrix of numbers."""
    return _checked_object(
        value, _is_metric, "neither a number nor a matrix of numbers"
    )


def visualization_assets(value: Any) -> str | None:  # noqa: ANN401
    """A JSON object as text: name to the URL of an image."""
    return _checked_object(value, lambda item: isinstance(item, str), "not text")


def _checked_object(
    value: Any,  # noqa: ANN401
    fits: Callable[[object], bool],
    misfit: str,
) -> str | None:
    fields = _object(value)
    problems = [
        f"{name!r} is {str(item)[:80]}, {misfit}"
        for name, item in fields.items()
        if not fits(item)
    ]
    if problems:
        raise ValueError("; ".join(problems) + ".")
    return json_object(fields)


def _is_metric(value: object) -> bool:
    if _is_number(value):
        return True
    if not isinstance(value, list | tuple) or not value:
        return False
    rows = [row if isinstance(row, list | tuple) else () for row in value]
    # A matrix has rows of one length; a row that is no list counts as one of length 0.
    lengths = {len(row) for row in rows}
    return len(lengths) == 1 and lengths != {0} and all(map(_is_number, chain(*rows)))


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401
    parsed = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, Mapping):
        raise ValueError(f"{str(value)[:80]} is not a JSON object.")  # noqa: TRY004
    # JSON has text keys only; a key 1 would come back as "1" and look like a change.
    return {str(name): item for name, item in parsed.items()}


def _list(value: Any, what: str) -> Sequence[Any]:  # noqa: ANN401
    parsed = json.loads(value) if isinstance(value, str) else value
    # NumPy arrays and Arrow arrays hand out their values so.
    parsed = parsed.tolist() if hasattr(parsed, "tolist") else parsed
    if not isinstance(parsed, list | tuple):
        raise ValueError(f"{what}: {str(value)[:80]} is not a list.")  # noqa: TRY004
    return parsed


def _list_of_dicts(value: Any, what: str) -> list[Mapping[str, Any]]:  # noqa: ANN401
    listed = _list(value, what)
    if not all(isinstance(item, Mapping) for item in listed):
        raise ValueError(f"{what} are a list of objects, not {str(value)[:80]}.")
    return list(listed)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


NESTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "sensors": sensors,
    "coordinate_frames": coordinate_frames,
    "polygons": polygons,
    "keypoints": keypoints,
    "links": json_object,
    "secondary_labels": json_object,
    "custom_metrics": custom_metrics,
    "visualization_assets": visualization_assets,
}
"""Column to its normaliser."""
