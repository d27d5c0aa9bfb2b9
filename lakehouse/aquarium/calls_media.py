"""The client's calls on media, on the metadata of labels, and on the steps of an upload."""

import copy
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import polars as pl

import lakehouse
from lakehouse.aquarium.base_frame import BaseFrame
from lakehouse.aquarium.calls_datasets import open_dataset, process_state, say
from lakehouse.aquarium.calls_inferences import named_sets
from lakehouse.aquarium.frames import LabeledFrame
from lakehouse.aquarium.inferences import InferencesFrame
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.values import checked_text, refused
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.lake import Lake
from lakehouse.catalog.project import Project
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import NAME_PATTERN
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.versions.snapshot import collection_of

if TYPE_CHECKING:
    from PIL.Image import Image

FrameT = TypeVar("FrameT", bound=BaseFrame)
_SCHEMAS: Final = "object_metadata_schemas"
"""The key of the project's metadata that holds what was declared."""
_TYPES: Final = {
    "STRING": "str",
    "BOOL": "bool",
    "NUMERIC": "float",
    "FLOAT": "float",
    "INTEGER": "int",
}
"""The service's types to those of columns."""
_NAMES: Final = {"str": "STRING", "bool": "BOOL", "float": "FLOAT", "int": "INTEGER"}

Field = Mapping[str, str]


# ---------------------------------- MEDIA --------------------------------- #


def upload_asset_from_filepath(
    lake: Lake, project_id: str, dataset_id: str, filepath: str
) -> str:
    """The absolute path of a local file; nothing is copied."""
    # Only to raise for a dataset that does not exist, as the service did.
    open_dataset(lake, project_id, dataset_id)
    path = Path(filepath)
    if not path.is_file():
        raise refused(f"There is no file {filepath!r}.", "asset.missing")
    return str(path.resolve())


def upload_asset_from_url(
    lake: Lake, project_id: str, dataset_id: str, source_url: str
) -> str:
    """The URL itself; nothing is copied."""
    open_dataset(lake, project_id, dataset_id)
    return checked_text(source_url, "source_url")


def preview_frame(
    lake: Lake,
    project_id: str,
    labeled_frame: LabeledFrame,
    inference_frame: InferencesFrame | None,
) -> None:
    """Draw a frame as it would be stored, and print where the picture is."""
    project = lake.project(project_id)
    with tempfile.TemporaryDirectory() as folder:
        pictures = _draw(project, folder, labeled_frame, inference_frame)
    # Imported here, so that the client works without Pillow.
    from lakehouse.drawing.frames import side_by_side  # noqa: PLC0415 - needs an extra

    with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
        side_by_side(pictures).save(file)
    say(f"Frame {labeled_frame.frame_id} is drawn in {file.name}")


def _draw(
    project: Project,
    folder: str,
    frame: LabeledFrame,
    inferences: InferencesFrame | None,
) -> "list[Image]":
    """The frame with its labels, and with its inferences where there are some."""
    from lakehouse.drawing.frames import draw_frame  # noqa: PLC0415 - needs an extra

    lake = lakehouse.connect(folder, compaction="manual")
    # A temporary lake: the frame is stored, and checked, exactly as it would be.
    twin = lake.create_project("preview", classes=project.class_map)
    dataset = twin.create_dataset("frames")
    dataset.submit(operations_of([_as_added(frame)])).raise_for_status()
    row, labels = dataset.latest().frame(frame.frame_id)
    sides = {frame.frame_id: labels}
    if inferences is not None:
        model = dataset.create_inference_set("inferences")
        operations = operations_of([_as_added(inferences)], layout=INFERENCE_SET)
        model.submit(operations).raise_for_status()
        rows = model.latest().inferences().collect()
        sides["inferences"] = rows.filter(frame_id=inferences.frame_id)
    return [
        draw_frame(row, rows, project.class_map, title=title)
        for title, rows in sides.items()
    ]


def _as_added(frame: FrameT) -> FrameT:
    """The frame as an ADD: the preview's dataset has nothing that it could change."""
    added = copy.copy(frame)
    added.update_type = "ADD"
    return added


# ---------------------------- METADATA OF LABELS -------------------------- #


def update_dataset_object_metadata_schema(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    object_metadata_fields: Sequence[Field],
) -> None:
    """Declare the metadata of labels and inferences; all problems are reported at once."""
    # A column's type is fixed by its first value; a declaration cannot change it.
    stored = _stored(open_dataset(lake, project_id, dataset_id))
    problems = [
        problem
        for field in object_metadata_fields
        if (problem := _field_problem(field, stored)) is not None
    ]
    if problems:
        raise refused(" ".join(problems), "metadata.type")
    project = lake.project(project_id)
    declared: dict[str, Any] = dict(project.metadata.get(_SCHEMAS) or {})
    fields = {field["name"]: field["type"] for field in object_metadata_fields}
    declared[dataset_id] = fields
    project.set_metadata(project.metadata | {_SCHEMAS: declared})
    say("Object metadata schema updated.")


def get_dataset_object_metadata_schema(
    lake: Lake, project_id: str, dataset_id: str
) -> list[dict[str, str]]:
    """The metadata that labels have, or that were declared; by name."""
    dataset = open_dataset(lake, project_id, dataset_id)
    declared = lake.project(project_id).metadata.get(_SCHEMAS) or {}
    fields = _stored(dataset) | (declared.get(dataset_id) or {})
    return [{"name": name, "type": fields[name]} for name in sorted(fields)]


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
    if kind is None:  # No column of metadata has another type.
        return str(dtype)
    name = _NAMES[kind.element]
    return f"ARRAY<{name}>" if kind.is_list else name


def _field_problem(field: Field, stored: Mapping[str, str]) -> str | None:
    name, kind = str(field.get("name")), str(field.get("type"))
    inner = kind.removeprefix("ARRAY<").removesuffix(">")
    is_list = kind == f"ARRAY<{inner}>"
    if set(field) != {"name", "type"} or not re.fullmatch(NAME_PATTERN, name):
        return f"{dict(field)!r} is no field: give its name and its type."
    if inner not in _TYPES or not (is_list or kind == inner):
        return f"{name} is {kind!r}, not {', '.join(_TYPES)} or ARRAY<…> of one."
    known = stored.get(name)
    # NUMERIC is another word for FLOAT, so the names of columns are compared.
    element = _NAMES[_TYPES[inner]]
    if known is not None and known != (f"ARRAY<{element}>" if is_list else element):
        return f"{name} is {known} in this dataset, and stays so, not {kind}."
    return None


# ----------------------------- STEPS OF AN UPLOAD -------------------------- #


def process_step_status(lake: Lake, project_id: str, dataset_id: str) -> dict[str, Any]:
    """The status of the newest upload's steps, `normalize` and `merge`."""
    project = lake.project(project_id)
    target = named_sets(project).get(dataset_id) or project.dataset(dataset_id)
    merge, _ = process_state(target)
    # An upload is normalized once the call that sent it returned.
    steps = {"normalize": {"status": "DONE"}, "merge": {"status": merge}}
    return {"process_step_statuses": steps}


def parse_normalize_process_step_status(payload: Mapping[str, Any]) -> str:
    """The status of the step `normalize` in what `process_step_status` gives."""
    try:
        steps = payload["process_step_statuses"]
        return str(steps["normalize"]["status"])
    except (KeyError, TypeError):
        raise refused(
            "The status of steps is given by "
            "current_abstract_dataset_process_step_status()."
        ) from None
