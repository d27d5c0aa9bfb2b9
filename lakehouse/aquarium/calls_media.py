"""The client's calls on media: nothing is copied, so addresses stay as they are."""

import copy
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import polars as pl

import lakehouse
from lakehouse.aquarium.base_frame import BaseFrame
from lakehouse.aquarium.calls_datasets import process_state, say
from lakehouse.aquarium.calls_inferences import InferenceCalls, named_sets
from lakehouse.aquarium.frames import LabeledFrame
from lakehouse.aquarium.inferences import InferencesFrame
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.values import checked_text, refused
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.project import Project
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import NAME_PATTERN
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.versions.snapshot import collection_of

if TYPE_CHECKING:
    from PIL.Image import Image

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
        from lakehouse.drawing.frames import side_by_side  # noqa: PLC0415 - needs an extra

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
    from lakehouse.drawing.frames import draw_frame  # noqa: PLC0415 - needs an extra

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


_KEPT: Final = "object_metadata_schemas"
_TYPES: Final = {
    "STRING": "str",
    "BOOL": "bool",
    "NUMERIC": "float",
    "FLOAT": "float",
    "INTEGER": "int",
}
"""The service's types, and those of columns."""
_NAMES: Final = {"str": "STRING", "bool": "BOOL", "float": "FLOAT", "int": "INTEGER"}

Field = Mapping[str, str]


class SchemaCalls(MediaCalls):
    """Calls on what labels may say, and on the steps of an upload."""

    def update_dataset_object_metadata_schema(
        self,
        project_id: str,
        dataset_id: str,
        object_metadata_fields: Sequence[Field],
    ) -> None:
        """Say which metadata labels and inferences have, and of which type.

        Nothing needs to be declared to be stored or asked for: a field's type is that
        of its first value.

        Args:
            project_id: The project.
            dataset_id: Its dataset.
            object_metadata_fields: `{"name": …, "type": …}` each; STRING, BOOL,
                NUMERIC, INTEGER, FLOAT, or `ARRAY<…>` of one of them.

        Raises:
            NotFoundError: If there is no such project or dataset.
            InvalidInputError: If a field is not of that form, or has another type
                already; all of them are listed.
        """
        dataset = self._dataset(project_id, dataset_id)
        stored = _stored(dataset)
        faults = [
            fault
            for field in object_metadata_fields
            if (fault := _fault(field, stored)) is not None
        ]
        if faults:
            raise refused(" ".join(faults), "metadata.type")
        project = self.lake.project(project_id)
        kept: dict[str, Any] = dict(project.metadata.get(_KEPT) or {})
        fields = {field["name"]: field["type"] for field in object_metadata_fields}
        kept[dataset_id] = fields
        project.set_metadata(project.metadata | {_KEPT: kept})
        say("Object metadata schema updated.")

    def get_dataset_object_metadata_schema(
        self, project_id: str, dataset_id: str
    ) -> list[dict[str, str]]:
        """The metadata that labels have, or that were declared; by name.

        Raises:
            NotFoundError: If there is no such project or dataset.
        """
        dataset = self._dataset(project_id, dataset_id)
        declared = self.lake.project(project_id).metadata.get(_KEPT) or {}
        fields = _stored(dataset) | (declared.get(dataset_id) or {})
        return [{"name": name, "type": fields[name]} for name in sorted(fields)]

    def current_abstract_dataset_process_step_status(
        self, project_id: str, dataset_id: str
    ) -> dict[str, Any]:
        """How far the newest upload is, step by step: `normalize`, then `merge`.

        An upload is normalized once the call that sent it returned. An inference set
        is asked for as `inferences_<dataset>_<set>`, as on the service.

        Raises:
            NotFoundError: If there is no such project or dataset.
        """
        project = self.lake.project(project_id)
        target = named_sets(project).get(dataset_id) or project.dataset(dataset_id)
        merge, _ = process_state(target)
        steps = {"normalize": {"status": "DONE"}, "merge": {"status": merge}}
        return {"process_step_statuses": steps}

    @staticmethod
    def parse_normalize_process_step_status(
        process_step_status_payload: Mapping[str, Any],
    ) -> str:
        """The status of the step `normalize`.

        Raises:
            InvalidInputError: If it is not what
                `current_abstract_dataset_process_step_status` gives.
        """
        try:
            steps = process_step_status_payload["process_step_statuses"]
            return str(steps["normalize"]["status"])
        except (KeyError, TypeError):
            raise refused(
                "The status of steps is given by "
                "current_abstract_dataset_process_step_status()."
            ) from None


def _stored(dataset: Dataset) -> dict[str, str]:
    """The metadata fields of labels, by name, and the service's name of their types."""
    collection = collection_of(dataset)
    version = collection.head().version
    types = collection.metadata_types("labels", version)
    return {
        name.removeprefix(PREFIX): _type_name(dtype) for name, dtype in types.items()
    }


def _type_name(dtype: pl.DataType) -> str:
    kind = MetadataType.from_dtype(dtype)
    if kind is None:  # no column of metadata has another
        return str(dtype)
    name = _NAMES[kind.element]
    return f"ARRAY<{name}>" if kind.is_list else name


def _fault(field: Field, stored: Mapping[str, str]) -> str | None:
    name, kind = str(field.get("name")), str(field.get("type"))
    inner = kind.removeprefix("ARRAY<").removesuffix(">")
    is_list = kind == f"ARRAY<{inner}>"
    if set(field) != {"name", "type"} or not re.fullmatch(NAME_PATTERN, name):
        return f"{dict(field)!r} is no field: give its name and its type."
    if inner not in _TYPES or not (is_list or kind == inner):
        return f"{name} is {kind!r}, not {', '.join(_TYPES)} or ARRAY<…> of one."
    known = stored.get(name)
    meant = _NAMES[_TYPES[inner]]
    if known is not None and known != (f"ARRAY<{meant}>" if is_list else meant):
        return f"{name} is {known} in this dataset, and stays so, not {kind}."
    return None
