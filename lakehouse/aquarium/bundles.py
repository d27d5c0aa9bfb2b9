"""The frames of one call: checked as they are added, and written as the client's files."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import IO, Any, ClassVar, Final, Generic, Literal, TypeVar

import polars as pl

from lakehouse.aquarium.base_frame import BaseFrame
from lakehouse.aquarium.values import checked_id, checked_mode, refused
from lakehouse.aquarium.wire_rows import (
    CROP_VECTORS,
    FILLER,
    FRAME_VECTORS,
    crop_vectors,
    deleted_frame,
    frame_vector,
    write_lines,
)
from lakehouse.model.labels import MASK_TYPES

NO_CROP: Final = frozenset({"CLASSIFICATION_2D", "CLASSIFICATION_3D", *MASK_TYPES})
"""Labels of a whole frame: they need no vector where other labels have one."""

FrameT = TypeVar("FrameT", bound=BaseFrame)


class Bundle(ABC, Generic[FrameT]):
    """Frames to add, and ids of frames to delete, in one upload; also written as files."""

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
        # Only after every check: a frame that is refused leaves nothing behind.
        self._label_frames |= dict.fromkeys(frame.labels, frame.frame_id)
        self.frames[frame.frame_id] = frame

    def delete_frame(self, frame_id: str) -> None:
        """Delete a frame in this upload.

        Raises:
            InvalidInputError: If its id is empty, or here already.
        """
        checked_id(frame_id, "frame_id")
        self._require_new(frame_id)
        self.deleted[frame_id] = None

    def write_to_file(self, filelike: IO[Any]) -> None:
        """Write frames with their labels, one a line, to a text file."""
        write_lines(filelike, map(self._whole_row, self._changes()))

    def write_label_assets_to_file(self, filelike: IO[Any]) -> None:
        """Write nothing: masks are given by URL, so there are no pixels to write."""
        del filelike

    def write_embeddings_to_file(self, filelike: IO[Any]) -> None:
        """Write the vectors of frames and labels as Arrow IPC to a binary file.

        A frame without one has zeros for it; where nothing has one, nothing is written.
        """
        rows = [frame_vector(one) | crop_vectors(one) for one in self._changes()]
        if any(row["frame_embeddings"] != FILLER or row["crop_ids"] for row in rows):
            pl.DataFrame(rows, schema=FRAME_VECTORS | CROP_VECTORS).write_ipc(filelike)

    # -------------------------------- INSIDE -------------------------------- #

    @abstractmethod
    def _whole_row(self, frame: BaseFrame) -> dict[str, Any]:
        """The row of a frame with its labels."""

    def _changes(self) -> Iterator[BaseFrame]:
        # The service's client wrote deletions last, whenever they were added.
        yield from self.frames.values()
        for frame_id in self.deleted:
            yield deleted_frame(frame_id)

    def _require_new(self, frame_id: str) -> None:
        if frame_id in self.frames or frame_id in self.deleted:
            raise refused(
                f"Frame {frame_id!r} was added or deleted here already; one upload has "
                "a frame once.",
                "frame.repeated",
            )

    def _require_vectors(self, frame: BaseFrame) -> None:
        crops = [
            label.get("embedding")
            for label in frame.labels.values()
            if label["label_type"] not in NO_CROP
        ]
        given = [len(vector) for vector in crops if vector is not None]
        # A frame that keeps its stored vectors may send some of them anew.
        keeps = frame.reuse_latest_embedding
        if given and len(given) < len(crops) and not keeps:
            raise refused(
                f"Some labels of frame {frame.frame_id!r} have embeddings and some have "
                "not; give all of them one, or none.",
                "embedding.missing",
            )
        vector = frame.fields.get("embedding")
        lengths: dict[str, int] = {}
        # As in the client, an added frame without a vector counts as length -1, so
        # that frames with and without one cannot be mixed.
        if vector is not None or (frame.update_type == "ADD" and not keeps):
            lengths["frame"] = -1 if vector is None else len(vector)
        if given:
            lengths["label"] = given[0]
        mixed = len(set(given)) > 1
        # The first frame of the bundle fixes the length for all later ones.
        for what, length in lengths.items():
            mixed |= self._lengths.setdefault(what, length) != length
        if mixed:
            raise refused(
                f"The embeddings of frame {frame.frame_id!r} are not as long as those of "
                "earlier frames, or one is missing.",
                "embedding.dimension",
            )
