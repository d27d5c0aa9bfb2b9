"""Folders of captured calls, in the files of either client line."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lakehouse.aquarium as al

__all__ = ["Folder", "as_frame", "bundle"]

Row = dict[str, Any]

_CLASSES = {"cat": 0, "dog": 1}
_PREFIX = "user__"


class Folder:
    """A folder of captured calls, in order, in the form of either client line."""

    def __init__(self, path: Path, *, newer: bool = False) -> None:
        self.path = path
        self.newer = newer
        self.requests: list[Row] = []

    def send(self, content: al.LabeledDataset, **body: Any) -> None:
        """Frames and labels in files of their own, as a stream sends them."""
        number = len(self.requests)
        frames, crops = io.StringIO(), io.StringIO()
        content.write_frames_to_file_streaming(frames)
        content.write_labels_to_file_streaming(crops)
        urls = {
            "frame": [self._lines(f"{number}_frame", frames)],
            "crop": [self._lines(f"{number}_crop", crops)],
        }
        for kind in ("frame", "crop"):
            vectors = io.BytesIO()
            write = getattr(content, f"write_{kind}_embeddings_to_file_streaming")
            write(vectors)
            name = f"{number}_{kind}_embeddings_batch_000001.arrow"
            if written := self._vectors(name, vectors):
                urls[f"{kind}_embeddings"] = [written]
        self._request("/p/datasets", {"dataset_id": "d", "data_url": urls} | body)

    def batch(self, content: al.LabeledDataset) -> None:
        """Frame and labels in one row, as a batch sends them."""
        self._request("/p/datasets", {"dataset_id": "d"} | self._both(content))

    def infer(self, content: al.Inferences, name: str) -> None:
        """Inferences, which always have frame and labels in one row."""
        named = {"inferences_id": name, "pipeline_mode": "STREAMING"}
        self._request("/p/datasets/d/inferences", named | self._both(content))

    def _both(self, content: al.LabeledDataset | al.Inferences) -> Row:
        number, lines, vectors = len(self.requests), io.StringIO(), io.BytesIO()
        content.write_to_file(lines)
        content.write_embeddings_to_file(vectors)
        body: Row = {"data_url": [self._lines(f"{number}", lines)]}
        name = f"{number}_embeddings_batch_000001.arrow"
        if written := self._vectors(name, vectors):
            body["embeddings_url"] = written
        return body

    def _request(self, path: str, body: Row) -> None:
        self.requests.append({"path": f"/api/v1/projects{path}", "json": body})
        (self.path / "requests.json").write_text(json.dumps(self.requests))

    def _lines(self, name: str, text: io.StringIO) -> str:
        rows = [json.loads(line) for line in text.getvalue().splitlines()]
        if self.newer:
            rows = [newer(row) for row in rows]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        file = f"{name}_data_batch_000001.jsonl"
        (self.path / file).write_text(lines)
        return f"gs://bucket/{file}"

    def _vectors(self, name: str, vectors: io.BytesIO) -> str | None:
        if not vectors.getvalue():
            return None
        (self.path / name).write_bytes(vectors.getvalue())
        return f"gs://bucket/{name}"


# ------------------------------- THE NEWER CLIENT ------------------------------ #


def newer(row: Row) -> Row:
    """The row as the newer client writes it: what differs is what does not count."""
    if "inference_data" in row:
        row = _newer_inference(row)
    if "coordinate_frames" in row:
        row = _newer_frame(row)
    if "label_data" in row:
        row = row | {"label_data": _newer_labels(row["label_data"])}
        row |= {"type": "Inference"} if "type" in row else {}
    return row


def _newer_frame(row: Row) -> Row:
    frames = [
        {"coordinate_frame_metadata": json.dumps({"parent_frame_id": None})} | one
        for one in row["coordinate_frames"]
    ]
    made = row | {
        "coordinate_frames": frames,
        "device_id": row["device_id"] or "default_device",
        "geo_data": json.dumps(row["geo_data"]),
    }
    if "explicitly_set_keys" in row:
        more = ["user_metadata_modes", "user_metadata_types"]
        made["explicitly_set_keys"] = [*more, *row["explicitly_set_keys"]]
    return made


def _newer_inference(row: Row) -> Row:
    """A whole frame row of defaults, and the inferences twice."""
    labels = _newer_labels(row["inference_data"])
    world = {"coordinate_frame_id": "world", "coordinate_frame_type": "WORLD"}
    defaults: Row = {
        "date_captured": "2026-11-22 13:42:44.544022",
        "device_id": None,
        "coordinate_frames": [world],
        "sensor_data": [],
        "geo_data": {},
        "user_metadata_types": {},
        "user_metadata_modes": {},
    }
    made = defaults | row | {"inference_data": labels, "label_data": labels}
    unsaid = ("type",) if made["custom_metrics"] else ("type", "custom_metrics")
    return {name: value for name, value in made.items() if name not in unsaid}


def _newer_labels(labels: Iterable[Row]) -> list[Row]:
    """Masks come before their instances."""
    made = [_newer_label(label) for label in labels]
    return sorted(made, key=lambda one: bool(one["label_type"] == "INSTANCE_LABEL_2D"))


def _newer_label(label: Row) -> Row:
    made = {name: value for name, value in label.items() if name != "linked_labels"}
    attributes = dict(made["attributes"])
    if "attributes" in attributes:
        inner = attributes["attributes"]
        attributes["attributes"] = {_PREFIX + name: inner[name] for name in inner}
    if label["change"] == "MODIFY":
        names = ("center", "polygons", "index", "token", "visible")
        attributes = dict.fromkeys(names) | attributes
        made = {"label_coordinate_frame": None} | made
    if "label" in made:
        made["class_id"] = _CLASSES.get(made["label"])
    return made | {"attributes": attributes}


# ------------------------------------ CONTENT ---------------------------------- #


def bundle(
    frames: Iterable[al.LabeledFrame], deleted: Iterable[str] = ()
) -> al.LabeledDataset:
    """Frames and deletions as one call sends them."""
    content = al.LabeledDataset()
    for frame in frames:
        content.add_frame(frame)
    for frame_id in deleted:
        content.delete_frame(frame_id)
    return content


def as_frame(update: al.UpdateGTLabelSet) -> al.LabeledFrame:
    """A label set as it travels: a change of its frame that changes no field."""
    frame = al.LabeledFrame(frame_id=update.frame_id, update_type="MODIFY")
    frame.labels = update.labels
    return frame
