"""What the mixins of frames and label sets share: the fields they fill."""

from datetime import datetime
from typing import Any

from lakehouse.aquarium.checks import check_date, check_embedding, check_id, check_text
from lakehouse.aquarium.drafts import LabelDraft, UpdateType
from lakehouse.errors import InvalidInputError

__all__ = ["FrameState", "LabelState"]


class LabelState:
    """An object that carries labels of one frame."""

    knows_frames = False
    """Whether the coordinate frames of the frame are known here."""

    def __init__(self, *, frame_id: str) -> None:
        self.frame_id = check_id("frame_id", frame_id)
        self._labels: dict[str, LabelDraft] = {}

    @property
    def label_ids(self) -> list[str]:
        """The ids of the labels carried, in the order they were added."""
        return list(self._labels)

    def add_crop_embedding(
        self, *, label_id: str, embedding: list[float], model_id: str = ""
    ) -> None:
        """Give a label its vector.

        Args:
            label_id: A label added here before.
            embedding: Two finite numbers or more.
            model_id: What made the vector.

        Raises:
            InvalidInputError: If the label was not added, or the vector is unusable.
        """
        label = self._labels.get(label_id)
        if label is None:
            raise InvalidInputError(
                f"Frame {self.frame_id!r} has no label {label_id!r} here. Add the label "
                "first, then its embedding.",
                kind="label.unknown",
            )
        label.embedding = check_embedding(f"embedding of {label_id!r}", embedding)
        label.model_id = check_text("model_id", model_id)

    def _put(self, label: LabelDraft) -> None:
        if label.label_id in self._labels:
            raise InvalidInputError(
                f"Frame {self.frame_id!r} has label {label.label_id!r} already. Give each "
                "label of a frame an id of its own.",
                kind="label.repeated",
            )
        self._labels[label.label_id] = label

    def _require_frame(self, coord_frame_id: str | None) -> str:
        """A 3-D coordinate frame's id; the world where none is named."""
        return "world" if coord_frame_id is None else check_id(
            "coord_frame_id", coord_frame_id
        )


class FrameState(LabelState):
    """An object that carries a frame: sensors, metadata, place, vector."""

    def __init__(
        self,
        *,
        frame_id: str,
        date_captured: str | None,
        device_id: str | None,
        update_type: UpdateType,
    ) -> None:
        super().__init__(frame_id=frame_id)
        self.update_type = update_type
        self._date: datetime | None = (
            None if date_captured is None else check_date("date_captured", date_captured)
        )
        self._device: str | None = (
            None if device_id is None else check_text("device_id", device_id)
        )
        self._sensors: list[dict[str, Any]] = []
        self._coordinate_frames: dict[str, dict[str, Any]] = {}
        self._metadata: dict[str, Any] = {}
        self._types: dict[str, str] = {}
        self._place: tuple[float, float] | None = None
        self._embedding: list[float] | None = None
        self._model_id = ""
