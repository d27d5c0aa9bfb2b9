"""Rows for tests."""

from typing import Any

__all__ = ["box", "frame"]


def frame(frame_id: str, **fields: Any) -> dict[str, Any]:
    return {"frame_id": frame_id, "image_url": f"{frame_id}.png"} | fields


def box(frame_id: str, label_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "frame_id": frame_id,
        "label_id": label_id,
        "class_name": "cell",
        "top": 1.0,
        "left": 2.0,
        "width": 3.0,
        "height": 4.0,
    } | fields
