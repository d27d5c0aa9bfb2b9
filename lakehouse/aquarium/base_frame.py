"""What frames of datasets and of inference sets have in common: a verb and vectors."""

from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

from lakehouse.aquarium.labels import LabelAdder
from lakehouse.aquarium.values import (
    checked_id,
    checked_mode,
    checked_vector,
    is_filler,
    refused,
)
from lakehouse.model.labels import MASK_TYPES

UpdateType = Literal["ADD", "MODIFY", "DELETE"]
_UPDATE_TYPES = ("ADD", "MODIFY", "DELETE")


class BaseFrame(LabelAdder):
    """One frame with its labels, and what is to be done with it."""

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
            model_id: What made it; the vectors sent to one place come from one model.
        """
        vector = checked_vector(embedding)
        if not is_filler(vector):
            self.fields["embedding"] = vector
            self.model_id = model_id

    def validate_and_backfill_crop_embeddings(self) -> bool:
        """Whether labels lack the vector that their frame has.

        The service's client gave them zeros then, which stood for none; nothing needs
        them here.
        """
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


NO_CROP: Final = frozenset({"CLASSIFICATION_2D", "CLASSIFICATION_3D", *MASK_TYPES})
"""Labels of a whole frame: they need no vector where other labels have one."""

FrameT = TypeVar("FrameT", bound=BaseFrame)


class Bundle(Generic[FrameT]):
    """Frames to add, and ids of frames to delete, in one upload."""

    _takes: ClassVar[type[BaseFrame]]
    """The class of its frames."""

    def __init__(
        self, *, pipeline_mode: Literal["STREAMING", "BATCH"] = "STREAMING"
    ) -> None:
        self.pipeline_mode = checked_mode(pipeline_mode)
        self.frames: dict[str, FrameT] = {}
        self.deleted: dict[str, None] = {}
        self._label_frames: dict[str, str] = {}
        self._lengths: dict[str, int] = {}

    def add_frame(self, frame: FrameT) -> None:
        """Add a frame.

        Raises:
            InvalidInputError: If its id is here already, a label id is another
                frame's, or its vectors do not fit those of earlier frames.
        """
        if not isinstance(frame, self._takes):
            raise refused(f"{type(frame).__name__} is no {self._takes.__name__}.")
        self._require_new(frame.frame_id)
        for label_id in frame.labels:
            owner = self._label_frames.get(label_id)
            if owner is not None:
                raise refused(
                    f"Label {label_id!r} is on frame {owner!r} already; one upload has "
                    "a label id once.",
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
                f"Frame {frame_id!r} was added or deleted here already; one upload says "
                "one thing of a frame.",
                "frame.repeated",
            )

    def _require_vectors(self, frame: BaseFrame) -> None:
        crops = [
            label.get("embedding")
            for label in frame.labels.values()
            if label["label_type"] not in NO_CROP
        ]
        given = [len(vector) for vector in crops if vector is not None]
        keeps = frame.reuse_latest_embedding
        if given and len(given) < len(crops) and not keeps:
            raise refused(
                f"Some labels of frame {frame.frame_id!r} have embeddings and some have "
                "not; give all of them one, or none.",
                "embedding.missing",
            )
        vector = frame.fields.get("embedding")
        lengths: dict[str, int] = {}
        if vector is not None or (frame.update_type == "ADD" and not keeps):
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
