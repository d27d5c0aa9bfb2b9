"""The client's calls on the metadata of labels, and on how an upload proceeds.

Columns take their type from the first value that lands; what was declared before
that is kept beside the project's metadata.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from lakehouse.aquarium.getters import process_state
from lakehouse.aquarium.inference_getters import named_sets
from lakehouse.aquarium.media_calls import MediaCalls
from lakehouse.aquarium.updates import say
from lakehouse.aquarium.values import refused
from lakehouse.dataset import Dataset
from lakehouse.model.ids import NAME_PATTERN
from lakehouse.model.metadata import PREFIX, MetadataType

__all__ = ["SchemaCalls"]

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
    version = dataset.collection.head().version
    types = dataset.collection.metadata_types("labels", version)
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
