"""Frames and labels as rows of the wire format, in the spelling of client 0.0.67.

The other way round than `wire`, which reads such rows. Dates and devices that
nobody gave are null here, where the service's client wrote the time of the call
and a default: neither was ever said.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from lakehouse.aquarium.base_frame import BaseFrame, UpdateType
from lakehouse.aquarium.labels import LabelAdder
from lakehouse.model.labels import URL_FIELDS
from lakehouse.model.metadata import PREFIX

_FACTS: Final = ("width", "height", "overlay_id", "resize_mode")
"""What a sensor says of itself beside its addresses."""
_SPACE: Final = {
    "position": ("pos_x", "pos_y", "pos_z"),
    "dimensions": ("dim_x", "dim_y", "dim_z"),
    "rotation": ("rot_x", "rot_y", "rot_z", "rot_w"),
}
_RENAMED: Final = {"mask_url": "url", "instance_id": "id"}
_OUTSIDE: Final = frozenset(
    {
        "label_id", "label_type", "class_name", "coordinate_frame", "embedding",
        "links", "secondary_labels", "_op", *_SPACE,
    }
)  # fmt: skip
"""What of a label is no attribute of its own name."""


def frame_row(
    frame: BaseFrame,
    sensors: list[dict[str, Any]],
    coordinate_frames: list[dict[str, Any]],
) -> dict[str, Any]:
    """The row of a frame file.

    Args:
        frame: A frame of a dataset.
        sensors: Its media.
        coordinate_frames: Where they are.
    """
    fields = frame.fields
    has_place = "latitude" in fields
    metadata = {name: value for name, value in fields.items() if _is_metadata(name)}
    is_list = {name: kind.startswith("list[") for name, kind in frame.types.items()}
    row: dict[str, Any] = {
        "task_id": frame.frame_id,
        "date_captured": fields.get("date_captured"),
        "device_id": fields.get("device_id"),
        "coordinate_frames": [_coordinate_frame(one) for one in coordinate_frames],
        "sensor_data": [_sensor(one) for one in sensors],
        "geo_data": {
            "geo_EPSG4326_lat": fields["latitude"],
            "geo_EPSG4326_lon": fields["longitude"],
        }
        if has_place
        else {},
        "reuse_latest_embedding": _reuses(frame, fields),
        **metadata,
        "user_metadata_types": {
            name: kind.removeprefix("list[").removesuffix("]")
            for name, kind in frame.types.items()
        },
        "user_metadata_modes": {
            name: "list" if listed else "scalar" for name, listed in is_list.items()
        },
        "change": frame.update_type,
    }
    if frame.update_type == "MODIFY":
        plain: list[str] = [
            name for name in ("date_captured", "device_id") if name in fields
        ]
        plain += ["geo_data"] * has_place
        plain += ["sensor_data"] * bool(sensors)
        plain += ["coordinate_frames"] * bool(coordinate_frames)
        row["explicitly_set_keys"] = [*plain, *metadata, "reuse_latest_embedding"]
        row["previously_written_window"] = None
    return row


def deleted_frame(frame_id: str) -> BaseFrame:
    """A frame that says nothing but that it goes."""
    return _Deleted(frame_id=frame_id, update_type="DELETE")


def crop_row(frame_id: str, labels: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of a crop file: the labels of one frame of a dataset."""
    return {"task_id": frame_id, "label_data": labels, "type": "GT"}


def inference_row(owner: LabelAdder, update_type: UpdateType) -> dict[str, Any]:
    """The row of an inference file: a frame and what a model says of it."""
    fields = owner.fields
    user = {
        name.removeprefix(PREFIX): value
        for name, value in fields.items()
        if _is_metadata(name)
    }
    return {
        "task_id": owner.frame_id,
        "type": "Inference",
        "custom_metrics": fields.get("custom_metrics", {}),
        "inference_metadata": {
            "visualization_assets": fields.get("visualization_assets", {}),
            "user_metadata": user,
        },
        "inference_data": wire_labels(owner, update_type),
        "reuse_latest_embedding": _reuses(owner, fields),
        "change": update_type,
    }


def wire_labels(
    owner: LabelAdder, update_type: Literal["ADD", "MODIFY", "DELETE"] = "MODIFY"
) -> list[dict[str, Any]]:
    """The labels of a frame, each as an object of a row."""
    if update_type == "DELETE":
        return []
    return [_label(owner, label) for label in owner.labels.values()]


class _Deleted(BaseFrame):
    def _sureness(self, label_id: str, confidence: float | None) -> dict[str, Any]:
        """No label is ever added."""
        raise NotImplementedError


def _is_metadata(name: str) -> bool:
    return name.startswith(PREFIX)


def _reuses(owner: LabelAdder, fields: Mapping[str, Any]) -> bool:
    """Whether the stored vector is to stay: in a change, unless one is given."""
    if "embedding" in fields:
        return False
    if isinstance(owner, BaseFrame) and owner.update_type == "ADD":
        return owner.reuse_latest_embedding
    return True


def _label(owner: LabelAdder, label: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "uuid": label["label_id"],
        "linked_labels": [],
        "label_type": label["label_type"],
    }
    if "class_name" in label:
        row["label"] = label["class_name"]
    if "coordinate_frame" in label:
        row["label_coordinate_frame"] = label["coordinate_frame"]
    return row | {
        "attributes": _attributes(label),
        "reuse_latest_embedding": _reuses(owner, label),
        "change": label["_op"],
    }


def _attributes(label: Mapping[str, Any]) -> dict[str, Any]:
    plain = {
        _RENAMED.get(name, name): value
        for name, value in label.items()
        if name not in _OUTSIDE and not _is_metadata(name)
    }
    for name, parts in _SPACE.items():
        if name in label:
            plain |= dict(zip(parts, label[name], strict=True))
    user = {name: value for name, value in label.items() if _is_metadata(name)}
    if label["label_type"] == "INSTANCE_LABEL_2D":
        inner = {name.removeprefix(PREFIX): value for name, value in user.items()}
        return plain | {"attributes": inner}
    links = {
        name if "link__" in name else f"link__{name}": value
        for name, value in _object(label.get("links")).items()
    }
    return plain | links | _object(label.get("secondary_labels")) | user


def _sensor(sensor: Mapping[str, Any]) -> dict[str, Any]:
    date = sensor.get("date_captured")
    row = {
        "coordinate_frame": sensor["coordinate_frame"],
        "data_urls": _given(sensor, URL_FIELDS),
        "date_captured": date if date is None else str(date),
        "sensor_id": sensor["sensor_id"],
        "sensor_metadata": _given(sensor, _FACTS),
        "sensor_type": sensor["sensor_type"],
    }
    return row | _given(sensor, ("mirror_asset",))


def _coordinate_frame(one: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: one[name] for name in ("coordinate_frame_id", "coordinate_frame_type")}
    parent = one.get("parent_frame_id")
    told = _object(one.get("metadata"))
    if parent is not None:
        told["parent_frame_id"] = parent
    return row | ({"coordinate_frame_metadata": json.dumps(told)} if told else {})


def _given(one: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: one[name] for name in names if one.get(name) is not None}


def _object(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    return dict(found or {})
