"""Unlabelled datasets: frames without ground truth, and what a model proposes for them.

A proposal is no truth, so it is no label here: the frames become a dataset, and
proposals go to its inference set `proposals`, with their confidence. Labels come
later, as to any dataset.
"""

import copy
from collections.abc import Iterable
from typing import Any, Final

from lakehouse.aquarium.base_frame import UpdateType
from lakehouse.aquarium.frames import DatasetFiles, LabeledFrame
from lakehouse.aquarium.inferences import InferencesFrame
from lakehouse.aquarium.label_values import checked_confidence

__all__ = [
    "PROPOSALS",
    "UnlabeledDataset",
    "UnlabeledFrame",
    "proposals_on",
    "without_proposals",
]

PROPOSALS: Final = "proposals"
"""The inference set that proposals go to."""


class UnlabeledFrame(LabeledFrame):
    """A frame without ground truth; what is added to it is proposed by a model.

    All proposals but masks need a `confidence`, a float from 0.0 to 1.0.
    """

    def __init__(
        self,
        *,
        frame_id: str,
        date_captured: str | None = None,
        device_id: str | None = None,
        reuse_latest_embedding: bool | None = False,
        update_type: UpdateType = "ADD",
    ) -> None:
        super().__init__(
            frame_id=frame_id,
            date_captured=date_captured,
            device_id=device_id,
            update_type=update_type,
        )
        self.reuse_latest_embedding = bool(reuse_latest_embedding)

    def _sureness(self, label_id: str, confidence: float | None) -> dict[str, Any]:
        return {"confidence": checked_confidence(label_id, confidence)}


class UnlabeledDataset(DatasetFiles[UnlabeledFrame]):
    """Frames without ground truth to add, and ids to delete, in one call."""

    _takes = UnlabeledFrame


def without_proposals(frame: UnlabeledFrame) -> UnlabeledFrame:
    """The frame alone, as its dataset takes it."""
    bare = copy.copy(frame)
    bare.labels = {}
    return bare


def proposals_on(frames: Iterable[UnlabeledFrame]) -> list[InferencesFrame]:
    """The proposals alone, as the inference set takes them.

    A frame that is only changed, without a proposal, is none of its business.
    """
    told: list[InferencesFrame] = []
    for frame in frames:
        if frame.update_type == "MODIFY" and not frame.labels:
            continue
        said = InferencesFrame(
            frame_id=frame.frame_id,
            reuse_latest_embedding=frame.reuse_latest_embedding,
            update_type=frame.update_type,
        )
        said.labels = frame.labels
        said.crop_model_id = frame.crop_model_id
        told.append(said)
    return told
