"""Rows of the wire format become native rows.

Only what a MODIFY row lists as explicitly set counts: its dates and devices are
defaults of the client, and so are those of inference rows. Vectors are ignored
where the row says that the stored one is to be reused, which then stays, and
`[0, 0, 0]` is the client's filler for none.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lakehouse.aquarium.sending import Rows
from lakehouse.aquarium.values import is_filler
from lakehouse.errors import Problem
from lakehouse.model.ids import NAME_PATTERN
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import KEEPS_VECTOR

Vector = Sequence[float] | None
"""A vector as sent."""

_OPS: Final = ("ADD", "MODIFY", "DELETE")
_DEFAULT_DEVICE: Final = "default_device"
_PLAIN: Final = (
    "top", "left", "width", "height", "x1", "y1", "x2", "y2", "polygons", "keypoints",
    "center", "area", "iscrowd", "resize_mode", "index", "token", "visible",
)  # fmt: skip
_SPACE: Final = {
    "position": ("pos_x", "pos_y", "pos_z"),
    "dimensions": ("dim_x", "dim_y", "dim_z"),
    "rotation": ("rot_x", "rot_y", "rot_z", "rot_w"),
}


def add_rows(
    rows: Rows,
    frame: Mapping[str, Any],
    crop: Mapping[str, Any],
    vector: Vector,
    crop_vectors: Mapping[str, Vector],
) -> None:
    """Add a frame row and the labels of its crop row.

    Args:
        rows: What they are added to, of a dataset or of an inference set.
        frame: A row of a frame file.
        crop: The row of the crop file of the same frame; the same row again for
            inferences, which have frame and labels in one.
        vector: The frame's, as sent.
        crop_vectors: Label id to its vector, as sent.
    """
    frame_id = str(frame["task_id"])
    labels = _labels(rows, crop)
    odd = {str(row["change"]) for row in (frame, *labels) if _op(row) not in _OPS}
    if odd:
        rows.problems.append(_odd_change(frame_id, sorted(odd)))
        rows.add_frame("MODIFY", {"frame_id": frame_id})
        return
    op = _op(frame)
    of_set = rows.layout.kind == "inference_set"
    plain = (*_PLAIN, "confidence") if of_set else _PLAIN
    native = _inference_frame(rows, frame, op) if of_set else _frame(frame, op)
    if op != "DELETE":
        native |= _vector(frame, vector, replaces=op == "ADD")
    if op != "MODIFY" or len(native) > 1 or not labels:
        rows.add_frame(op, native, _types(frame))
    if op == "DELETE":
        return
    for label in labels:
        found = _label(frame_id, label, plain)
        crop_vector = crop_vectors.get(label["uuid"])
        found |= _vector(label, crop_vector, replaces=op == "ADD")
        # A frame that is replaced wholly has no label to merge into.
        rows.add_label("ADD" if op == "ADD" else _op(label), found)


def _op(row: Mapping[str, Any]) -> str:
    return str(row.get("change") or "ADD")


def _odd_change(frame_id: str, odd: list[str]) -> Problem:
    return Problem(
        frame_id,
        None,
        f"frames['{frame_id}'].change",
        "wire.change",
        f"change is {', '.join(odd)}.",
        f"It is one of {', '.join(_OPS)}.",
    )


def _types(row: Mapping[str, Any]) -> dict[str, str]:
    """Metadata column to its declared type, as the two side maps have it."""
    modes = _object(row.get("user_metadata_modes"))
    kinds = _object(row.get("user_metadata_types"))
    return {
        name: f"list[{kind}]" if modes.get(name) == "list" else str(kind)
        for name, kind in kinds.items()
    }


def _labels(rows: Rows, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The labels of a row; the newer client repeats those of inferences as labels."""
    names = ["label_data", "inference_data"]
    if rows.layout.kind == "inference_set":
        names.reverse()
    return next((list(row[name]) for name in names if row.get(name)), [])


def _vector(
    row: Mapping[str, Any], vector: Vector, *, replaces: bool
) -> dict[str, Any]:
    """What a row says of its vector: zeros in threes are the client's filler."""
    if row.get("reuse_latest_embedding"):
        return {KEEPS_VECTOR: True} if replaces else {}
    if not vector or is_filler(vector):
        return {}
    return {"embedding": [float(number) for number in vector]}


def _inference_frame(rows: Rows, row: Mapping[str, Any], op: str) -> dict[str, Any]:
    """What a model says of a frame as a whole; its metadata come without types."""
    frame: dict[str, Any] = {"frame_id": row["task_id"]}
    if op == "DELETE":
        return frame
    told = _object(row.get("inference_metadata"))
    parts = {
        "custom_metrics": row.get("custom_metrics"),
        "visualization_assets": told.get("visualization_assets"),
    }
    frame |= {name: value for name, value in parts.items() if value}
    for name, value in _object(told.get("user_metadata")).items():
        if re.fullmatch(NAME_PATTERN, name):
            frame[PREFIX + name.removeprefix(PREFIX)] = value
        else:
            rows.problems.append(_odd_name(str(row["task_id"]), name))
    return frame


def _odd_name(frame_id: str, name: str) -> Problem:
    return Problem(
        frame_id,
        None,
        f"frames['{frame_id}'].user_metadata",
        "name.invalid",
        f"{name!r} is no name of a metadata field.",
        "Names are letters, digits and underscores.",
    )


def _frame(row: Mapping[str, Any], op: str) -> dict[str, Any]:
    frame: dict[str, Any] = {"frame_id": row["task_id"]}
    if op == "DELETE":
        return frame
    explicit = set(row.get("explicitly_set_keys") or []) if op == "MODIFY" else set(row)
    for name in ("date_captured", "device_id"):
        if name in explicit and row.get(name) is not None:
            frame[name] = row[name]
    if frame.get("device_id") == _DEFAULT_DEVICE:
        del frame["device_id"]
    if "sensor_data" in explicit and (sensors := row.get("sensor_data")):
        frame["sensors"] = [_sensor(sensor) for sensor in sensors]
    if "coordinate_frames" in explicit and (frames := row.get("coordinate_frames")):
        frame["coordinate_frames"] = list(frames)
    if "geo_data" in explicit and (geo := _object(row.get("geo_data"))):
        frame["latitude"] = geo["geo_EPSG4326_lat"]
        frame["longitude"] = geo["geo_EPSG4326_lon"]
    frame |= {name: value for name, value in row.items() if name.startswith(PREFIX)}
    return frame


def _label(
    frame_id: str, label: Mapping[str, Any], plain: Sequence[str]
) -> dict[str, Any]:
    """A label; attributes of the names in `plain` are columns as they are."""
    attributes = _object(label.get("attributes"))
    kind = label["label_type"]
    native: dict[str, Any] = {
        "frame_id": frame_id,
        "label_id": label["uuid"],
        "label_type": kind,
        "class_name": label.get("label"),
        "coordinate_frame": label.get("label_coordinate_frame"),
    }
    native |= {name: attributes.pop(name) for name in plain if name in attributes}
    for name, parts in _SPACE.items():
        if parts[0] in attributes:
            native[name] = [attributes.pop(part) for part in parts]
    if "url" in attributes:
        native["mask_url"] = attributes.pop("url")
    if kind == "INSTANCE_LABEL_2D" and "id" in attributes:
        native["instance_id"] = attributes.pop("id")
        inner = _object(attributes.pop("attributes", None))
        attributes |= {
            name if name.startswith(PREFIX) else PREFIX + name: value
            for name, value in inner.items()
        }
    links = {
        name: value for name, value in attributes.items() if name.startswith("link__")
    }
    user = {
        name: value for name, value in attributes.items() if name.startswith(PREFIX)
    }
    rest = {
        name: value
        for name, value in attributes.items()
        if name not in links and name not in user and not name.startswith("derived__")
    }
    if links:
        native["links"] = {
            name.removeprefix("link__"): value for name, value in links.items()
        }
    if rest and kind == "CLASSIFICATION_2D":
        native["secondary_labels"] = rest
    present = {name: value for name, value in native.items() if value is not None}
    return present | user


def _sensor(sensor: Mapping[str, Any]) -> dict[str, Any]:
    urls, facts = (
        _object(sensor.get("data_urls")),
        _object(sensor.get("sensor_metadata")),
    )
    flat = {
        name: value
        for name, value in sensor.items()
        if name not in {"data_urls", "sensor_metadata"}
    }
    facts = {name: None if value == "None" else value for name, value in facts.items()}
    return flat | urls | facts


def _object(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    return dict(found or {})
