"""The client's calls on media: nothing is copied, so addresses stay as they are."""

import copy
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lakehouse
from lakehouse.aquarium.base_frame import BaseFrame
from lakehouse.aquarium.frames import LabeledFrame
from lakehouse.aquarium.inference_calls import InferenceCalls
from lakehouse.aquarium.inferences import InferencesFrame
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.updates import say
from lakehouse.aquarium.values import checked_text, refused
from lakehouse.contracts import INFERENCE_SET
from lakehouse.project import Project

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MediaCalls"]

FrameT = TypeVar("FrameT", bound=BaseFrame)


class MediaCalls(InferenceCalls):
    """Calls on images and other media."""

    def upload_asset_from_filepath(
        self, project_id: str, dataset_id: str, filepath: str
    ) -> str:
        """The address of a local file; a lake keeps addresses, and copies no media.

        Who opens the lake elsewhere needs the file there too: put what others are to
        see where they can reach it, and send that address.

        Raises:
            NotFoundError: If there is no such project or dataset.
            InvalidInputError: If there is no such file.
        """
        self._dataset(project_id, dataset_id)
        path = Path(filepath)
        if not path.is_file():
            raise refused(f"There is no file {filepath!r}.", "asset.missing")
        return str(path.resolve())

    def upload_asset_from_url(
        self, project_id: str, dataset_id: str, source_url: str
    ) -> str:
        """The address itself; a lake keeps addresses, and copies no media.

        Raises:
            NotFoundError: If there is no such project or dataset.
            InvalidInputError: If the address is no text, or empty.
        """
        self._dataset(project_id, dataset_id)
        return checked_text(source_url, "source_url")

    def preview_frame(
        self,
        project_id: str,
        labeled_frame: LabeledFrame,
        inference_frame: InferencesFrame | None = None,
    ) -> None:
        """Draw a frame before it is sent, and print where the picture is.

        It is drawn as it would be stored, by sending it to a lake of its own that
        goes away; a model's answers are drawn beside it. Needs Pillow: the extra
        `plot`.

        Raises:
            NotFoundError: If there is no such project.
            UploadFailedError: If the frame would be rejected; it says why.
        """
        project = self.lake.project(project_id)
        with tempfile.TemporaryDirectory() as folder:
            pictures = _drawn(project, folder, labeled_frame, inference_frame)
        from lakehouse.plotting import side_by_side  # noqa: PLC0415 - needs an extra

        with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
            side_by_side(pictures).save(file)
        say(f"Frame {labeled_frame.frame_id} is drawn in {file.name}")


def _drawn(
    project: Project,
    folder: str,
    frame: LabeledFrame,
    inferences: InferencesFrame | None,
) -> "list[Image]":
    """The frame with its labels, and with its inferences where there are some."""
    from lakehouse.plotting import draw_frame  # noqa: PLC0415 - needs an extra

    lake = lakehouse.connect(folder, compaction="manual")
    twin = lake.create_project("preview", classes=project.class_map)
    dataset = twin.create_dataset("frames")
    dataset.submit(operations_of([_whole(frame)])).raise_for_status()
    row, labels = dataset.latest().frame(frame.frame_id)
    sides = {frame.frame_id: labels}
    if inferences is not None:
        model = dataset.create_inference_set("inferences")
        operations = operations_of([_whole(inferences)], layout=INFERENCE_SET)
        model.submit(operations).raise_for_status()
        rows = model.latest().inferences().collect()
        sides["inferences"] = rows.filter(frame_id=inferences.frame_id)
    return [
        draw_frame(row, rows, project.class_map, title=title)
        for title, rows in sides.items()
    ]


def _whole(frame: FrameT) -> FrameT:
    """The frame as if it were added: a change has no picture of its own."""
    whole = copy.copy(frame)
    whole.update_type = "ADD"
    return whole
