"""What one call sends, as the files that the service's client wrote for it.

Frame and crop rows are JSON lines, in the order of the frames, deletions last;
vectors are Arrow IPC. `al.ingest` reads such files.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Final, TypeVar

import polars as pl

from lakehouse.aquarium.base_frame import BaseFrame, Bundle
from lakehouse.aquarium.values import refused
from lakehouse.aquarium.wire_rows import deleted_frame

_FRAME: Final[dict[str, pl.DataType]] = {
    "frame_ids": pl.String(),
    "frame_embeddings": pl.List(pl.Float64),
}
_CROPS: Final[dict[str, pl.DataType]] = {
    "crop_ids": pl.List(pl.String),
    "crop_embeddings": pl.List(pl.List(pl.Float64)),
}
_FILLER: Final = [0.0, 0.0, 0.0]

Row = Mapping[str, Any]
FrameT = TypeVar("FrameT", bound=BaseFrame)


class WireFiles(Bundle[FrameT], ABC):
    """A bundle of frames that can be written to the files of one call."""

    @abstractmethod
    def _whole_row(self, frame: BaseFrame) -> dict[str, Any]:
        """Frame and labels in one row."""

    def write_to_file(self, filelike: IO[Any]) -> None:
        """Write frames with their labels, one a line, to a text file."""
        _write_lines(filelike, map(self._whole_row, self._changes()))

    def write_label_assets_to_file(self, filelike: IO[Any]) -> None:
        """Write nothing: the pixels of masks are not taken, so there are none."""
        del filelike

    def write_embeddings_to_file(self, filelike: IO[Any]) -> None:
        """Write the vectors of frames and labels as Arrow IPC to a binary file.

        A frame without one has zeros for it; where nothing has one, nothing is written.
        """
        rows = [_frame_vector(one) | _crop_vectors(one) for one in self._changes()]
        if any(row["frame_embeddings"] != _FILLER or row["crop_ids"] for row in rows):
            pl.DataFrame(rows, schema=_FRAME | _CROPS).write_ipc(filelike)

    def _changes(self) -> Iterator[BaseFrame]:
        yield from self.frames.values()
        for frame_id in self.deleted:
            yield deleted_frame(frame_id)


class StreamedFiles(WireFiles[FrameT], ABC):
    """Writes the files of a dataset, frames and labels apart as well."""

    @abstractmethod
    def _frame_row(self, frame: BaseFrame) -> dict[str, Any]:
        """The frame as a row of its file."""

    @abstractmethod
    def _crop_row(self, frame: BaseFrame) -> dict[str, Any]:
        """Its labels as a row of theirs."""

    def get_first_frame_dict(self) -> dict[str, Any]:
        """The first frame with its labels, as a row.

        Raises:
            InvalidInputError: If there is none.
        """
        for frame in self._changes():
            return self._whole_row(frame)
        raise refused("The dataset has no frames: add or delete some first.")

    def write_frames_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the frames, one a line, to a text file."""
        _write_lines(filelike, map(self._frame_row, self._changes()))

    def write_labels_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the labels, a line a frame, to a text file."""
        _write_lines(filelike, map(self._crop_row, self._changes()))

    def write_frame_embeddings_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the vectors of frames as Arrow IPC to a binary file, if there are."""
        rows = [_frame_vector(one) for one in self._changes()]
        if any(row["frame_embeddings"] != _FILLER for row in rows):
            pl.DataFrame(rows, schema=_FRAME).write_ipc(filelike)

    def write_crop_embeddings_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the vectors of labels as Arrow IPC to a binary file, if there are."""
        rows = [_crop_vectors(one) for one in self._changes()]
        if any(row["crop_ids"] for row in rows):
            pl.DataFrame(rows, schema=_CROPS).write_ipc(filelike)


def _frame_vector(frame: BaseFrame) -> dict[str, Any]:
    vector = frame.fields.get("embedding", _FILLER)
    return {"frame_ids": frame.frame_id, "frame_embeddings": vector}


def _crop_vectors(frame: BaseFrame) -> dict[str, Any]:
    known = {
        label_id: label["embedding"]
        for label_id, label in frame.labels.items()
        if "embedding" in label
    }
    return {"crop_ids": list(known), "crop_embeddings": list(known.values())}


def _write_lines(filelike: IO[Any], rows: Iterable[Row]) -> None:
    for row in rows:
        filelike.write(json.dumps(row, default=str) + "\n")
