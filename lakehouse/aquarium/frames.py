"""Frames, label sets and datasets in the client's spelling: what is sent in one call."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from lakehouse.aquarium.base_frame import BaseFrame, UpdateType
from lakehouse.aquarium.inferences import InferencesFrame
from lakehouse.aquarium.label_updates import LabelUpdater
from lakehouse.aquarium.labels import TruthAdder
from lakehouse.aquarium.sensors import SensorAdder
from lakehouse.aquarium.values import (
    checked_confidence,
    checked_date,
    checked_metadata,
    checked_number,
)
from lakehouse.aquarium.wire_files import (
    StreamedFiles,
    crop_row,
    frame_row,
    wire_labels,
)

Metadatum = str | int | float | bool
FrameT = TypeVar("FrameT", bound=BaseFrame)


class LabeledFrame(SensorAdder, TruthAdder, BaseFrame):
    """One frame with its labels.

    ADD overwrites a frame of that id wholly; MODIFY changes what is set here
    and keeps the rest.
    """

    def __init__(
        self,
        *,
        frame_id: str,
        date_captured: str | None = None,
        device_id: str | None = None,
        update_type: UpdateType = "ADD",
    ) -> None:
        SensorAdder.__init__(self)
        BaseFrame.__init__(self, frame_id=frame_id, update_type=update_type)
        if date_captured is not None:
            self.fields["date_captured"] = checked_date(date_captured)
        if device_id is not None:
            self.fields["device_id"] = device_id

    def add_user_metadata(
        self, key: str, val: Metadatum | None, val_type: str | None = None
    ) -> None:
        """A metadata field; added again, the last value counts."""
        name, value, kind = checked_metadata(key, val, val_type, is_list=False)
        self.fields[name], self.types[name] = value, kind

    def add_user_metadata_list(
        self, key: str, val: Sequence[Any] | None, list_elt_type: str | None = None
    ) -> None:
        """A metadata field that is a list."""
        name, value, kind = checked_metadata(key, val, list_elt_type, is_list=True)
        self.fields[name], self.types[name] = value, kind

    def add_geo_latlong_data(self, lat: float, lon: float) -> None:
        """Where the frame was captured, in degrees (EPSG:4326)."""
        self.fields["latitude"] = checked_number(lat, "lat")
        self.fields["longitude"] = checked_number(lon, "lon")

    def _space(self, coord_frame_id: str | None) -> str:
        """A MODIFY frame may name what the stored frame has."""
        space = super()._space(coord_frame_id)
        if space != "world" and self.update_type == "ADD":
            self._require_frame(space)
        return space

    def to_dict(self) -> dict[str, Any]:
        """The frame as a row of the wire format, without its labels."""
        return frame_row(self, self.sensors, self.coordinate_frames)

    def to_row(self) -> dict[str, Any]:
        """The frame as a native row: what was set, and nothing else."""
        row = super().to_row()
        if self.sensors:
            row["sensors"] = self.sensors
        if self.coordinate_frames:
            row["coordinate_frames"] = self.coordinate_frames
        return row


class UpdateGTLabelSet(TruthAdder, LabelUpdater):
    """New and changed labels of one frame that is there; its other labels stay."""

    def __init__(self, *, frame_id: str, is_snapshot: bool | None = True) -> None:
        super().__init__(frame_id=frame_id)
        del is_snapshot  # the client ignores it too

    def to_dict(self) -> dict[str, Any]:
        """The labels as a row of the wire format."""
        return crop_row(self.frame_id, wire_labels(self))


class DatasetFiles(StreamedFiles[FrameT]):
    """A bundle of frames of a dataset, of either kind, as files."""

    def _frame_row(self, frame: BaseFrame) -> dict[str, Any]:
        """A deleted frame has nothing but its id."""
        if isinstance(frame, LabeledFrame):
            return frame.to_dict()
        return frame_row(frame, [], [])

    def _crop_row(self, frame: BaseFrame) -> dict[str, Any]:
        labels = wire_labels(frame, frame.update_type)
        return crop_row(frame.frame_id, labels)

    def _whole_row(self, frame: BaseFrame) -> dict[str, Any]:
        labels = wire_labels(frame, frame.update_type)
        return self._frame_row(frame) | {"label_data": labels}


class LabeledDataset(DatasetFiles[LabeledFrame]):
    """Frames of a dataset to add, and ids of frames to delete, in one upload."""

    _takes = LabeledFrame


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
