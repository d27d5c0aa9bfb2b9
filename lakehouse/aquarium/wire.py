"""Rows of the wire format become native rows.

Only what a MODIFY row lists as explicitly set counts: its dates and devices are
defaults of the client. Vectors are ignored where the row says that the stored
one is to be reused, and `[0, 0, 0]` is the client's filler for none.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lakehouse.aquarium.values import refused
from lakehouse.model.metadata import PREFIX

__all__ = ["frame_row", "label_rows"]

Vectors = Mapping[str, list[float]]

_FILLER: Final = [0.0, 0.0, 0.0]
_OPS: Final = ("ADD", "MODIFY", "DELETE")
_PLAIN: Final = (
    "top", "left", "width", "height", "x1", "y1", "x2", "y2", "polygons", "keypoints",
    "center", "area", "iscrowd", "resize_mode", "index", "token", "visible",
)  # fmt: skip
_SPACE: Final = {
    "position": ("pos_x", "pos_y", "pos_z"),
    "dimensions": ("dim_x", "dim_y", "dim_z"),
    "rotation": ("rot_x", "rot_y", "rot_z", "rot_w"),
}


def _op(row: Mapping[str, Any]) -> str:
    op = row.get("change") or "ADD"
    if op not in _OPS:
        raise refused(
            f"{row.get('task_id')}: change is {op!r}, not one of {_OPS}.", "wire.change"
        )
    return str(op)


def frame_row(
    row: Mapping[str, Any], vectors: Vectors
) -> tuple[str, dict[str, Any] | None]:
    """The operation of a frame row, and the frame natively.

    The frame is None where the row changes labels only.
    """
    op = _op(row)
    frame: dict[str, Any] = {"frame_id": row["task_id"]}
    if op == "DELETE":
        return op, frame
    explicit = set(row.get("explicitly_set_keys") or []) if op == "MODIFY" else set(row)
    for name in ("date_captured", "device_id"):
        if name in explicit and row.get(name) is not None:
            frame[name] = row[name]
    if "sensor_data" in explicit and (sensors := row.get("sensor_data")):
        frame["sensors"] = [_sensor(sensor) for sensor in sensors]
    if "coordinate_frames" in explicit and (frames := row.get("coordinate_frames")):
        frame["coordinate_frames"] = list(frames)
    if "geo_data" in explicit and (geo := _object(row.get("geo_data"))):
        frame["latitude"] = geo["geo_EPSG4326_lat"]
        frame["longitude"] = geo["geo_EPSG4326_lon"]
    frame |= {name: value for name, value in row.items() if name.startswith(PREFIX)}
    vector = vectors.get(row["task_id"])
    if vector not in (None, _FILLER) and not row.get("reuse_latest_embedding"):
        frame["embedding"] = vector
    return op, frame if op == "ADD" or len(frame) > 1 else None


def label_rows(
    row: Mapping[str, Any], vectors: Vectors
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations of a crop row, and the labels natively."""
    labels = row.get("label_data") or row.get("inference_data") or []
    for label in labels:
        native = _label(row["task_id"], label)
        vector = vectors.get(label["uuid"])
        if vector not in (None, _FILLER) and not label.get("reuse_latest_embedding"):
            native["embedding"] = vector
        yield _op(label), native


def _label(frame_id: str, label: Mapping[str, Any]) -> dict[str, Any]:
    attributes = _object(label.get("attributes"))
    kind = label["label_type"]
    native: dict[str, Any] = {
        "frame_id": frame_id,
        "label_id": label["uuid"],
        "label_type": kind,
        "class_name": label.get("label"),
        "coordinate_frame": label.get("label_coordinate_frame"),
    }
    native |= {name: attributes.pop(name) for name in _PLAIN if name in attributes}
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
