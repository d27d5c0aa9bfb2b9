"""Frames, label sets and datasets in the client's spelling: what is sent in one call."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from lakehouse.aquarium.label_updates import LabelUpdater
from lakehouse.aquarium.label_values import checked_vector, is_filler
from lakehouse.aquarium.labels import LabelAdder
from lakehouse.aquarium.sensors import SensorAdder
from lakehouse.aquarium.values import (
    checked_date,
    checked_id,
    checked_metadata,
    checked_mode,
    checked_number,
    refused,
)
from lakehouse.model.label_types import MASK_TYPES

__all__ = [
    "NO_CROP",
    "LabeledDataset",
    "LabeledFrame",
    "UpdateGTLabelSet",
    "UpdateType",
]

UpdateType = Literal["ADD", "MODIFY", "DELETE"]
Metadatum = str | int | float | bool
_UPDATE_TYPES = ("ADD", "MODIFY", "DELETE")

NO_CROP: Final = frozenset({"CLASSIFICATION_2D", "CLASSIFICATION_3D", *MASK_TYPES})
"""Labels of a whole frame: they need no vector where other labels have one."""


class LabeledFrame(SensorAdder, LabelAdder):
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
        LabelAdder.__init__(self, frame_id=frame_id)
        if update_type not in _UPDATE_TYPES:
            raise refused(
                f"update_type is one of {_UPDATE_TYPES}, not {update_type!r}."
            )
        self.update_type = update_type
        self.model_id = ""
        self.fields: dict[str, Any] = {}
        self.types: dict[str, str] = {}
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

    def add_frame_embedding(
        self, *, embedding: list[float], model_id: str = ""
    ) -> None:
        """The frame's vector; `[0, 0, 0]`, the client's filler, is none.

        Args:
            embedding: Two finite numbers or more.
            model_id: What made it; vectors of one dataset come from one model.
        """
        vector = checked_vector(embedding)
        if not is_filler(vector):
            self.fields["embedding"] = vector
            self.model_id = model_id

    def add_embedding(
        self,
        *,
        embedding: list[float],
        crop_embeddings: list[dict[str, Any]] | None = None,
        model_id: str = "",
    ) -> None:
        """The frame's vector, and those of labels: `{"uuid": …, "embedding": …}`."""
        self.add_frame_embedding(embedding=embedding, model_id=model_id)
        for crop in crop_embeddings or []:
            self.add_crop_embedding(
                label_id=crop["uuid"], embedding=crop["embedding"], model_id=model_id
            )

    def _space(self, coord_frame_id: str | None) -> str:
        """A MODIFY frame may name what the stored frame has."""
        space = super()._space(coord_frame_id)
        if space != "world" and self.update_type == "ADD":
            self._require_frame(space)
        return space

    def to_row(self) -> dict[str, Any]:
        """The frame as a native row: what was set, and nothing else."""
        row: dict[str, Any] = {"frame_id": self.frame_id, **self.fields}
        if self.sensors:
            row["sensors"] = self.sensors
        if self.coordinate_frames:
            row["coordinate_frames"] = self.coordinate_frames
        return row


class UpdateGTLabelSet(LabelUpdater):
    """New and changed labels of one frame that is there; its other labels stay."""

    def __init__(self, *, frame_id: str, is_snapshot: bool | None = True) -> None:
        super().__init__(frame_id=frame_id)
        del is_snapshot  # the client ignores it too


class LabeledDataset:
    """Frames to add, and ids of frames to delete, in one upload."""

    def __init__(
        self, *, pipeline_mode: Literal["STREAMING", "BATCH"] = "STREAMING"
    ) -> None:
        self.pipeline_mode = checked_mode(pipeline_mode)
        self.frames: dict[str, LabeledFrame] = {}
        self.deleted: dict[str, None] = {}
        self._label_frames: dict[str, str] = {}
        self._lengths: dict[str, int] = {}

    def add_frame(self, frame: LabeledFrame) -> None:
        """Add a frame.

        Raises:
            InvalidInputError: If its id is here already, a label id is another
                frame's, or its vectors do not fit those of earlier frames.
        """
        if not isinstance(frame, LabeledFrame):
            raise refused(f"{type(frame).__name__} is no LabeledFrame.")
        self._require_new(frame.frame_id)
        for label_id in frame.labels:
            owner = self._label_frames.get(label_id)
            if owner is not None:
                raise refused(
                    f"Label {label_id!r} is on frame {owner!r} already; label ids are "
                    "unique in a dataset.",
                    "label.repeated",
                )
        self._require_vectors(frame)
        self._label_frames |= dict.fromkeys(frame.labels, frame.frame_id)
        self.frames[frame.frame_id] = frame

    def delete_frame(self, frame_id: str) -> None:
        """Name a frame to delete.

        Raises:
            InvalidInputError: If its id is empty, or here already.
        """
        checked_id(frame_id, "frame_id")
        self._require_new(frame_id)
        self.deleted[frame_id] = None

    def _require_new(self, frame_id: str) -> None:
        if frame_id in self.frames or frame_id in self.deleted:
            raise refused(
                f"Frame {frame_id!r} was added or deleted in this dataset already; one "
                "upload says one thing of a frame.",
                "frame.repeated",
            )

    def _require_vectors(self, frame: LabeledFrame) -> None:
        crops = [
            label.get("embedding")
            for label in frame.labels.values()
            if label["label_type"] not in NO_CROP
        ]
        given = [len(vector) for vector in crops if vector is not None]
        if given and len(given) < len(crops):
            raise refused(
                f"Some labels of frame {frame.frame_id!r} have embeddings and some have "
                "not; give all of them one, or none.",
                "embedding.missing",
            )
        vector = frame.fields.get("embedding")
        lengths: dict[str, int] = {}
        if frame.update_type == "ADD" or vector is not None:
            lengths["frame"] = -1 if vector is None else len(vector)
        if given:
            lengths["label"] = given[0]
        mixed = len(set(given)) > 1
        for what, length in lengths.items():
            mixed |= self._lengths.setdefault(what, length) != length
        if mixed:
            raise refused(
                f"The embeddings of frame {frame.frame_id!r} are not as long as those of "
                "earlier frames, or one is missing.",
                "embedding.dimension",
            )
