"""Short hands for what a model says, sent by the client."""

from typing import Any, Final

import polars as pl

import lakehouse
import lakehouse.aquarium as al

__all__ = [
    "BOX",
    "PLACE",
    "SURE",
    "guess",
    "inferences",
    "native",
    "rows",
    "send",
]

BOX: Final[dict[str, Any]] = {"top": 1, "left": 2, "width": 3.5, "height": 4}
SURE: Final[dict[str, Any]] = {"classification": "cat", "confidence": 0.9}
PLACE: Final[dict[str, Any]] = {
    "project_id": "p",
    "dataset_id": "d",
    "inferences_id": "m",
}


def guess(frame_id: str = "f", *label_ids: str, **fields: Any) -> al.InferencesFrame:
    frame = al.InferencesFrame(frame_id=frame_id)
    for label_id in label_ids or ("i",):
        frame.add_inference_2d_bbox(label_id=label_id, **(BOX | SURE | fields))
    return frame


def inferences(*frames: al.InferencesFrame, **options: Any) -> al.Inferences:
    content = al.Inferences(**options)
    for frame in frames:
        content.add_frame(frame)
    return content


def send(
    client: al.Client, *frames: al.InferencesFrame, **options: Any
) -> lakehouse.Upload:
    content = inferences(*frames)
    return client.create_or_update_inferences(**PLACE, inferences=content, **options)


def native(client: al.Client, name: str = "m") -> lakehouse.InferenceSet:
    return client.lake.project("p").dataset("d").inference_set(name)


def rows(client: al.Client) -> pl.DataFrame:
    inferences = native(client).latest().inferences()
    return inferences.sort("frame_id", "label_id").collect()
