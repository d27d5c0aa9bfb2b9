"""The client's calls on projects."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lakehouse.aquarium.class_map import ClassMapUpdateEntry, LabelClassMap
from lakehouse.aquarium.values import checked_external, refused
from lakehouse.catalog.lake import TASKS, Lake
from lakehouse.catalog.project import Project
from lakehouse.errors import NotFoundError
from lakehouse.model.class_map import ClassMap

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
        secondary_labels: list[Any] | None = None,
        frame_links: list[str] | None = None,
        label_links: list[str] | None = None,
        default_camera_target: list[float] | None = None,
        default_camera_position: list[float] | None = None,
        custom_metrics: CustomMetricsDefinition
        | list[CustomMetricsDefinition]
        | None = None,
        max_shown_categories: int | None = None,
        stratified_metrics: list[StratifiedMetricsDefinition] | None = None,
        include_no_gt: bool | None = None,
        metrics_confidence_threshold: float | None = None,
        metrics_iou_threshold: float | None = None,
        external_metadata: dict[str, Any] | None = None,
        binary_classification_negative_class: str | None = None,
    ) -> None:
        """Create a project with its class map.

        What only the service's pages used is kept as the project's metadata.

        Raises:
            InvalidInputError: If an argument cannot be.
            AlreadyExistsError: If the name is taken.
        """
        classes = _class_map(label_class_map)
        if primary_task is not None and primary_task not in TASKS:
            raise refused(f"primary_task is one of {', '.join(TASKS)}.")
        if primary_task == "BINARY_CLASSIFICATION":
            _require_binary(classes, binary_classification_negative_class)
        metrics = _definitions(custom_metrics, CustomMetricsDefinition)
        strata = _definitions(stratified_metrics, StratifiedMetricsDefinition)
        lists = {
            "secondary_labels": secondary_labels,
            "frame_links": frame_links,
            "label_links": label_links,
            "default_camera_target": default_camera_target,
            "default_camera_position": default_camera_position,
        }
        thresholds = {
            "metrics_confidence_threshold": metrics_confidence_threshold,
            "metrics_iou_threshold": metrics_iou_threshold,
        }
        _check_settings(lists, thresholds, max_shown_categories)
        checked_external(external_metadata)
        kept = {
            **lists,
            **thresholds,
            "external_metadata": external_metadata,
            "custom_metrics": metrics,
            "stratified_metrics": strata,
            "max_shown_categories": max_shown_categories,
            "include_no_gt": include_no_gt,
            "binary_classification_negative_class": binary_classification_negative_class,
        }
        metadata = {name: value for name, value in kept.items() if value is not None}
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
        checked_external(external_metadata)
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


def _class_map(given: object) -> ClassMap:
    if not isinstance(given, LabelClassMap) or not given.entries:
        raise refused("label_class_map is a LabelClassMap with classes in it.")
    return given.to_class_map()


def _definitions(
    given: object,
    kind: type[CustomMetricsDefinition] | type[StratifiedMetricsDefinition],
) -> list[dict[str, Any]] | None:
    """Definitions of metrics in the client's keys; one alone counts as a list."""
    if given is None:
        return None
    listed: list[Any] = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(item, kind) for item in listed):
        raise refused(f"Metrics are given as a list of {kind.__name__}, one or more.")
    return [item.to_dict() for item in listed]


def _check_settings(
    lists: Mapping[str, object],
    thresholds: Mapping[str, object],
    max_shown_categories: object,
) -> None:
    """Refuse settings that the client refuses, all of them at once."""
    faults = [
        f"{name} is a list"
        for name, value in lists.items()
        if not isinstance(value, list | None)
    ]
    faults += [
        f"{name} is a float"
        for name, value in thresholds.items()
        if not isinstance(value, float | None)
    ]
    is_whole = isinstance(max_shown_categories, int)
    if max_shown_categories is not None and not (
        is_whole and max_shown_categories in range(1, _MOST_CATEGORIES + 1)
    ):
        faults.append("max_shown_categories is a whole number, 1 to 100")
    if faults:
        raise refused(f"{'; '.join(faults)}.")


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
