"""The base of frames of datasets and of inference sets: an operation and vectors."""

from typing import Any, Final, Literal

from lakehouse.aquarium.labels import LabelAdder
from lakehouse.aquarium.values import checked_vector, is_filler, refused

UpdateType = Literal["ADD", "MODIFY", "DELETE"]
_UPDATE_TYPES: Final = ("ADD", "MODIFY", "DELETE")


class BaseFrame(LabelAdder):
    """One frame with its labels, to be added, modified or deleted."""

    def __init__(
        self,
        *,
        frame_id: str,
        update_type: UpdateType,
        reuse_latest_embedding: bool = False,
    ) -> None:
        super().__init__(frame_id=frame_id)
        if update_type not in _UPDATE_TYPES:
            raise refused(
                f"update_type is one of {_UPDATE_TYPES}, not {update_type!r}."
            )
        self.update_type: UpdateType = update_type
        self.reuse_latest_embedding = reuse_latest_embedding
        self.model_id = ""

    def add_frame_embedding(
        self, *, embedding: list[float], model_id: str = ""
    ) -> None:
        """The frame's vector; `[0, 0, 0]`, the client's filler, is none.

        Args:
            embedding: Two finite numbers or more.
            model_id: The model that made it; one dataset takes vectors of one model.
        """
        vector = checked_vector(embedding)
        # Scripts written for the service send fillers; a stored one would be a vector.
        if not is_filler(vector):
            self.fields["embedding"] = vector
            self.model_id = model_id

    def validate_and_backfill_crop_embeddings(self) -> bool:
        """Whether the frame has a vector and none of its labels does.

        The service's client gave them zeros then, its filler for none; a lake needs no
        filler.
        """
        # Labels have all a vector or none; the bundle refuses a mixture.
        vectors = ["embedding" in label for label in self.labels.values()]
        return "embedding" in self.fields and bool(vectors) and not any(vectors)

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
