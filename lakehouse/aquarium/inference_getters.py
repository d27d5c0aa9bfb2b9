"""The client's calls that look at inference sets."""

from typing import Any

from lakehouse.aquarium.getters import error_logs, process_state
from lakehouse.aquarium.targets import set_there
from lakehouse.aquarium.updates import DatasetUpdates
from lakehouse.aquarium.values import checked_external, refused
from lakehouse.errors import NotFoundError
from lakehouse.inference_set import InferenceSet
from lakehouse.project import Project

__all__ = ["InferenceGetters", "named_sets"]


class InferenceGetters(DatasetUpdates):
    """Calls on inference sets that send no inferences."""

    def inferences_exists(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> bool:
        """Whether the dataset has a set of that name, archived ones included.

        Raises:
            NotFoundError: If there is no such dataset.
        """
        return (
            set_there(self._dataset(project_id, dataset_id), inferences_id) is not None
        )

    def is_inferences_processed(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> bool:
        """Whether nothing sent to it waits, and its pin is taken."""
        target = self._set(project_id, dataset_id, inferences_id)
        return target.pin is not None and not target.is_processing

    def current_inferences_process_state(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> tuple[str, float]:
        """How the newest upload stands, and the uploads settled, in percent.

        Returns:
            The states of `current_dataset_process_state`; PENDING too while the
            pin waits for uploads to the dataset.
        """
        target = self._set(project_id, dataset_id, inferences_id)
        state, percent = process_state(target)
        return ("PENDING" if target.pin is None else state), percent

    def get_inferences_ingest_error_logs(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> list[dict[str, Any]]:
        """Every problem of every upload, with the keys of the service's logs."""
        return error_logs(self._set(project_id, dataset_id, inferences_id))

    def update_inferences_metadata(
        self, project_id: str, inferences_id: str, external_metadata: dict[str, Any]
    ) -> None:
        """Replace the set's external metadata.

        Args:
            project_id: The project.
            inferences_id: The set's name; where several datasets have one of it,
                `inferences_<dataset>_<name>`, which the service called it by.
            external_metadata: A dict with text as keys.

        Raises:
            NotFoundError: If no dataset of the project has such a set.
            InvalidInputError: If several have.
        """
        checked_external(external_metadata)
        found = _sets(self.lake.project(project_id), inferences_id)
        if not found:
            raise NotFoundError(
                f"No dataset of project {project_id!r} has an inference set "
                f"{inferences_id!r}.",
                kind="inference_set.unknown",
            )
        if len(found) > 1:
            raise refused(
                f"Several datasets have an inference set {inferences_id!r}. Call it by "
                f"one of {sorted(found)}.",
                "inference_set.ambiguous",
            )
        for target in found.values():
            target.set_metadata(external_metadata)

    def _set(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> InferenceSet:
        return self._dataset(project_id, dataset_id).inference_set(inferences_id)


def named_sets(project: Project) -> dict[str, InferenceSet]:
    """All inference sets of a project, by the name that the service called them by."""
    return {
        f"inferences_{dataset.name}_{target.name}": target
        for dataset in project.datasets(archived=True)
        for target in dataset.inference_sets(archived=True)
    }


def _sets(project: Project, name: str) -> dict[str, InferenceSet]:
    """The sets of either name, by the name that the service called them by."""
    found = named_sets(project)
    if name in found:
        return {name: found[name]}
    return {full: target for full, target in found.items() if target.name == name}
