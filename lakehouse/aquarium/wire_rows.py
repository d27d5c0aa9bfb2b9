"""The rows of the files that the service's client wrote for one call.

Frame and crop rows are JSON lines in the spelling of client 0.0.67, in the order of
the frames, deletions last; vectors are Arrow IPC. `ingest` reads such files. Dates
and devices that nobody gave are null here, where the service's client wrote the
time of the call and a default.
"""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final, Literal

import polars as pl

from lakehouse.aquarium.base_frame import BaseFrame, UpdateType
from lakehouse.aquarium.labels import LabelAdder
from lakehouse.model.labels import URL_FIELDS
from lakehouse.model.metadata import PREFIX

FRAME_VECTORS: Final[dict[str, pl.DataType]] = {
    "frame_ids": pl.String(),
    "frame_embeddings": pl.List(pl.Float64),
}
CROP_VECTORS: Final[dict[str, pl.DataType]] = {
    "crop_ids": pl.List(pl.String),
    "crop_embeddings": pl.List(pl.List(pl.Float64)),
}
FILLER: Final = [0.0, 0.0, 0.0]
"""The client's vector of a frame that has none."""
_FACTS: Final = ("width", "height", "overlay_id", "resize_mode")
"""Fields of a sensor beside its URLs."""
SPACE_PARTS: Final = {
    "position": ("pos_x", "pos_y", "pos_z"),
    "dimensions": ("dim_x", "dim_y", "dim_z"),
    "rotation": ("rot_x", "rot_y", "rot_z", "rot_w"),
}
"""Columns of a cuboid to the names of their parts in the wire format."""
_RENAMED: Final = {"mask_url": "url", "instance_id": "id"}
_OUTSIDE: Final = frozenset(
    {
        "label_id", "label_type", "class_name", "coordinate_frame", "embedding",
        "links", "secondary_labels", "_op", *SPACE_PARTS,
    }
)  # fmt: skip
"""Fields of a label that are no attribute of the same name."""

Row = Mapping[str, Any]


# ---------------------------------- ROWS ---------------------------------- #


def frame_row(
    frame: BaseFrame,
    sensors: list[dict[str, Any]],
    coordinate_frames: list[dict[str, Any]],
) -> dict[str, Any]:
    """The row of a frame file.

    Args:
        frame: A frame of a dataset.
        sensors: Its media.
        coordinate_frames: The coordinate frames of its media.
    """
    fields = frame.fields
    # Latitude and longitude are set by one call, so one of them is enough to look at.
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
        # The client keeps the type of the element and the mode in two maps.
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
        # Readers take from a change only what is listed here as set.
        plain: list[str] = [
            name for name in ("date_captured", "device_id") if name in fields
        ]
        plain += ["geo_data"] * has_place
        plain += ["sensor_data"] * bool(sensors)
        plain += ["coordinate_frames"] * bool(coordinate_frames)
        row["explicitly_set_keys"] = [*plain, *metadata, "reuse_latest_embedding"]
        # The service's id of the version that the change was based on; a lake has none.
        row["previously_written_window"] = None
    return row


def deleted_frame(frame_id: str) -> BaseFrame:
    """A frame that has nothing but its id, and is deleted."""
    return _Deleted(frame_id=frame_id, update_type="DELETE")


def crop_row(frame_id: str, labels: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of a crop file: the labels of one frame of a dataset."""
    return {"task_id": frame_id, "label_data": labels, "type": "GT"}


def inference_row(owner: LabelAdder, update_type: UpdateType) -> dict[str, Any]:
    """The row of an inference file: a frame with its inferences."""
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
    # A deleted frame takes its labels with it.
    if update_type == "DELETE":
        return []
    return [_label(owner, label) for label in owner.labels.values()]


class _Deleted(BaseFrame):
    def _confidence_field(
        self, label_id: str, confidence: float | None
    ) -> dict[str, Any]:
        """No label is ever added."""
        raise NotImplementedError


def _is_metadata(name: str) -> bool:
    return name.startswith(PREFIX)


def _reuses(owner: LabelAdder, fields: Mapping[str, Any]) -> bool:
    """Whether the stored vector stays: in a change, unless one is given."""
    # What is sent replaces what is stored.
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
    for name, parts in SPACE_PARTS.items():
        if name in label:
            # A cuboid's vectors are single numbers in the wire format.
            plain |= dict(zip(parts, label[name], strict=True))
    user = {name: value for name, value in label.items() if _is_metadata(name)}
    # Instances keep their attributes one level deeper, without the prefix.
    if label["label_type"] == "INSTANCE_LABEL_2D":
        inner = {name.removeprefix(PREFIX): value for name, value in user.items()}
        return plain | {"attributes": inner}
    # The wire format keeps links among the attributes, under a prefix.
    links = {
        name if "link__" in name else f"link__{name}": value
        for name, value in as_object(label.get("links")).items()
    }
    return plain | links | as_object(label.get("secondary_labels")) | user


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
    metadata = as_object(one.get("metadata"))
    if parent is not None:
        metadata["parent_frame_id"] = parent
    if metadata:
        row["coordinate_frame_metadata"] = json.dumps(metadata)
    return row


def _given(one: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: one[name] for name in names if one.get(name) is not None}


def as_object(value: Any) -> dict[str, Any]:
    """An object that is given as such or as JSON; empty where it is null."""
    parsed = json.loads(value) if isinstance(value, str) else value
    return dict(parsed or {})


# --------------------------------- FILES ---------------------------------- #


def frame_vector(frame: BaseFrame) -> dict[str, Any]:
    """The row of a frame in a file of vectors; zeros where it has none."""
    vector = frame.fields.get("embedding", FILLER)
    return {"frame_ids": frame.frame_id, "frame_embeddings": vector}


def crop_vectors(frame: BaseFrame) -> dict[str, Any]:
    """The row of a frame's labels in a file of vectors: those that have one."""
    known = {
        label_id: label["embedding"]
        for label_id, label in frame.labels.items()
        if "embedding" in label
    }
    return {"crop_ids": list(known), "crop_embeddings": list(known.values())}


def write_lines(filelike: IO[Any], rows: Iterable[Row]) -> None:
    """Write rows as JSON, one a line."""
    for row in rows:
        filelike.write(json.dumps(row, default=str) + "\n")
