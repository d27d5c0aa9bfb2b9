"""The client's calls on projects."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lakehouse.aquarium.class_map import ClassMapUpdateEntry, LabelClassMap
from lakehouse.aquarium.values import refused
from lakehouse.errors import NotFoundError
from lakehouse.lake import TASKS, Lake
from lakehouse.model.class_map import ClassMap
from lakehouse.project import Project

__all__ = ["CustomMetricsDefinition", "ProjectCalls", "StratifiedMetricsDefinition"]

_BINARY_CLASSES = 2
_MOST_CATEGORIES = 100


class CustomMetricsDefinition:
    """A metric of one's own: `objective` or `confusion_matrix`."""

    def __init__(self, name: str, metrics_type: str) -> None:
        self.name = name
        self.metrics_type = metrics_type

    def to_dict(self) -> dict[str, str]:
        """The definition in the client's keys."""
        return {"name": self.name, "metrics_type": self.metrics_type}


class StratifiedMetricsDefinition:
    """A field whose ordered values metrics are split by."""

    def __init__(self, name: str, ordered_values: Iterable[str]) -> None:
        self.name = name
        self.ordered_values = list(ordered_values)

    def to_dict(self) -> dict[str, Any]:
        """The definition in the client's keys."""
        return {"name": self.name, "ordered_values": self.ordered_values}


class ProjectCalls:
    """Calls on projects."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def create_project(
        self,
        project_id: str,
        label_class_map: LabelClassMap,
        primary_task: str | None = None,
        *,
        custom_metrics: CustomMetricsDefinition
        | list[CustomMetricsDefinition]
        | None = None,
        stratified_metrics: list[StratifiedMetricsDefinition] | None = None,
        max_shown_categories: int | None = None,
        external_metadata: dict[str, Any] | None = None,
        binary_classification_negative_class: str | None = None,
        **settings: Any,  # noqa: ANN401 - the rest of the service's settings, kept as metadata
    ) -> None:
        """Create a project with its class map.

        Raises:
            InvalidInputError: If an argument cannot be.
            AlreadyExistsError: If the name is taken.
        """
        if not label_class_map.entries:
            raise refused("label_class_map is a LabelClassMap with classes in it.")
        if primary_task is not None and primary_task not in TASKS:
            raise refused(f"primary_task is one of {', '.join(TASKS)}.")
        classes = label_class_map.to_class_map()
        if primary_task == "BINARY_CLASSIFICATION":
            _require_binary(classes, binary_classification_negative_class)
        if (
            max_shown_categories is not None
            and not 1 <= max_shown_categories <= _MOST_CATEGORIES
        ):
            raise refused("max_shown_categories is a whole number, 1 to 100.")
        metrics = (
            custom_metrics if isinstance(custom_metrics, list) else [custom_metrics]
        )
        kept = {
            **settings,
            "external_metadata": external_metadata,
            "custom_metrics": [m.to_dict() for m in metrics if m is not None],
            "stratified_metrics": [m.to_dict() for m in stratified_metrics or []],
            "max_shown_categories": max_shown_categories,
            "binary_classification_negative_class": binary_classification_negative_class,
        }
        metadata = {name: value for name, value in kept.items() if value}
        self.lake.create_project(
            project_id, classes=classes, task=primary_task, metadata=metadata
        )

    def get_projects(self) -> list[dict[str, Any]]:
        """All projects that are not archived."""
        return [_told(project) for project in self.lake.projects()]

    def get_project(self, project_id: str) -> dict[str, Any]:
        """One project.

        Raises:
            NotFoundError: If there is none of that name.
        """
        return _told(self.lake.project(project_id))

    def project_exists(self, project_id: str) -> bool:
        """Whether there is a project of that name, archived ones included."""
        try:
            self.lake.project(project_id)
        except NotFoundError:
            return False
        return True

    def delete_project(self, project_id: str) -> None:
        """Archive a project; nothing is removed.

        Raises:
            NotFoundError: If there is none of that name.
        """
        self.lake.project(project_id).archive()

    def update_project_metadata(
        self, project_id: str, external_metadata: dict[str, Any]
    ) -> None:
        """Replace the project's external metadata."""
        project = self.lake.project(project_id)
        project.set_metadata(
            project.metadata | {"external_metadata": external_metadata}
        )

    def update_label_class_map_colors(
        self, project_id: str, changed_label_classes: list[ClassMapUpdateEntry]
    ) -> None:
        """Give classes other colours or keypoints.

        Raises:
            InvalidInputError: If a class is unknown, or named twice.
        """

        def recoloured(classes: ClassMap) -> ClassMap:
            known = list(classes.classes)
            done: set[int] = set()
            for entry in changed_label_classes:
                places = [
                    place
                    for place, found in enumerate(known)
                    if entry.name in {None, found.name}
                    and entry.class_id in {None, found.class_id}
                ]
                if not places or places[0] in done:
                    raise refused(
                        f"Class {entry.name or entry.class_id!r} is unknown, or named twice.",
                        "class.unknown",
                    )
                done.add(places[0])
                known[places[0]] = replace(known[places[0]], **entry.changes)
            return ClassMap(tuple(known), classes.version + 1)

        self.lake.project(project_id).update_classes(recoloured)


def _require_binary(classes: ClassMap, negative: str | None) -> None:
    if len(classes.classes) != _BINARY_CLASSES or negative not in classes.ids:
        raise refused(
            "BINARY_CLASSIFICATION takes two classes, and "
            "binary_classification_negative_class names one of them."
        )


def _told(project: Project) -> dict[str, Any]:
    return {
        "id": project.name,
        "project_id": project.name,
        "primary_task": project.task,
        "label_class_map": [
            {"name": known.name, "id": known.class_id, "color": list(known.color)}
            for known in project.class_map.classes
        ],
        "archived": project.is_archived,
        **project.metadata,
    }
