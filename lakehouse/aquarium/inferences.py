"""Inferences in the client's spelling: the frames of an inference set, and their bundle."""

from collections.abc import Sequence
from typing import Any

from lakehouse.aquarium.base_frame import BaseFrame, UpdateType
from lakehouse.aquarium.bundles import Bundle
from lakehouse.aquarium.label_updates import LabelUpdater
from lakehouse.aquarium.labels import InferenceAdder
from lakehouse.aquarium.values import checked_metadata, checked_text, refused
from lakehouse.aquarium.wire_rows import inference_row
from lakehouse.intake.nested import NESTED
from lakehouse.model.ids import check_name
from lakehouse.model.metadata import PREFIX

Metric = float | Sequence[Sequence[float]]
Metadatum = str | int | float | bool | Sequence[Any]


class _FrameInferences(InferenceAdder):
    """Inferences of one frame, with the metrics, assets and metadata of the frame."""

    def add_custom_metric(self, name: str, value: Metric) -> None:
        """A custom metric: a number, or a matrix of numbers, row by row.

        Raises:
            InvalidInputError: If it is neither, or has no name.
        """
        # NumPy arrays and scalars are taken as well.
        given: Any = value
        plain = given.tolist() if hasattr(given, "tolist") else given
        try:
            NESTED["custom_metrics"]({checked_text(name, "name"): plain})
        except ValueError as error:
            raise refused(f"Custom metric {error}", "value.type") from None
        self.fields.setdefault("custom_metrics", {})[name] = plain

    def add_visualization_asset(self, image_id: str, image_url: str) -> None:
        """The URL of a picture of what the model saw or did.

        Raises:
            InvalidInputError: If either is no text.
        """
        url = checked_text(image_url, "image_url")
        assets = self.fields.setdefault("visualization_assets", {})
        assets[checked_text(image_id, "image_id")] = url

    def add_user_metadata(self, key: str, val: Metadatum | None) -> None:
        """A metadata field; added again, the last value counts, and None is none.

        Raises:
            InvalidInputError: If the key or the value cannot be one.
        """
        # Inferences have no declared types, so a null has none: it unsets the field.
        if val is None:
            check_name("metadata field", key)
            self.fields.pop(f"{PREFIX}{key}", None)
            return
        # Here one method takes both scalars and lists; frames of datasets have two.
        is_list = isinstance(val, list | tuple)
        name, value, kind = checked_metadata(key, val, None, is_list=is_list)
        self.fields[name], self.types[name] = value, kind


class InferencesFrame(_FrameInferences, BaseFrame):
    """The inferences of a model on one frame.

    ADD replaces everything that the set has of that frame, except its vectors if
    `reuse_latest_embedding`: those stored stay where none are given here. MODIFY
    changes what is set here and keeps the rest.
    """

    def __init__(
        self,
        *,
        frame_id: str,
        reuse_latest_embedding: bool | None = False,
        update_type: UpdateType = "ADD",
    ) -> None:
        super().__init__(
            frame_id=frame_id,
            update_type=update_type,
            reuse_latest_embedding=bool(reuse_latest_embedding),
        )

    def to_dict(self) -> dict[str, Any]:
        """The frame and its inferences as a row of the wire format."""
        return inference_row(self, self.update_type)


class UpdateInferenceLabelSet(_FrameInferences, LabelUpdater):
    """New and changed inferences of one frame of a set; its others stay.

    Custom metrics and visualization assets given replace all those stored.
    """

    def __init__(self, *, frame_id: str, is_snapshot: bool | None = True) -> None:
        super().__init__(frame_id=frame_id)
        del is_snapshot  # The client ignores it too.

    def to_dict(self) -> dict[str, Any]:
        """The inferences as a row of the wire format."""
        return inference_row(self, "MODIFY")


class Inferences(Bundle[InferencesFrame]):
    """Frames of an inference set to add, and ids of frames to delete, in one upload."""

    _takes = InferencesFrame

    def _whole_row(self, frame: BaseFrame) -> dict[str, Any]:
        return inference_row(frame, frame.update_type)
