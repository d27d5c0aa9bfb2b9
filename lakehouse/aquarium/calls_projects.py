"""The client's calls on projects."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from lakehouse.aquarium.class_map import ClassMapUpdateEntry, LabelClassMap
from lakehouse.aquarium.values import checked_external, refused
from lakehouse.catalog.lake import TASKS, Lake
from lakehouse.catalog.project import Project
from lakehouse.errors import NotFoundError
from lakehouse.model.class_map import ClassMap

_BINARY_CLASSES: Final = 2
_MOST_CATEGORIES: Final = 100
"""The most categories that the service's pages showed at once."""


class CustomMetricsDefinition:
    """A custom metric: `objective` or `confusion_matrix`."""

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


_DEFINITIONS: Final[
    dict[str, type[CustomMetricsDefinition] | type[StratifiedMetricsDefinition]]
] = {
    "custom_metrics": CustomMetricsDefinition,
    "stratified_metrics": StratifiedMetricsDefinition,
}
_LISTS: Final = (
    "secondary_labels", "frame_links", "label_links", "default_camera_target",
    "default_camera_position",
)  # fmt: skip
_THRESHOLDS: Final = ("metrics_confidence_threshold", "metrics_iou_threshold")


def create_project(
    lake: Lake,
    project_id: str,
    label_class_map: LabelClassMap,
    primary_task: str | None,
    settings: Mapping[str, Any],
) -> None:
    """Create a project with its class map.

    Args:
        lake: The lake.
        project_id: The project's name.
        label_class_map: Its classes.
        primary_task: Its task.
        settings: The client's other arguments by name; those given are kept as the
            project's metadata, in this order.

    Raises:
        InvalidInputError: If an argument cannot be.
        AlreadyExistsError: If the name is taken.
    """
    classes = _class_map(label_class_map)
    if primary_task is not None and primary_task not in TASKS:
        raise refused(f"primary_task is one of {', '.join(TASKS)}.")
    if primary_task == "BINARY_CLASSIFICATION":
        _require_binary(classes, settings["binary_classification_negative_class"])
    kept = dict(settings)
    for name, kind in _DEFINITIONS.items():
        kept[name] = _definitions(settings[name], kind)
    _check_settings(settings)
    checked_external(settings["external_metadata"])
    # What is not given is left out, so that the metadata show what was asked for.
    metadata = {name: value for name, value in kept.items() if value is not None}
    lake.create_project(
        project_id, classes=classes, task=primary_task, metadata=metadata
    )


def get_projects(lake: Lake) -> list[dict[str, Any]]:
    """All projects that are not archived."""
    return [_describe(project) for project in lake.projects()]


def get_project(lake: Lake, project_id: str) -> dict[str, Any]:
    """One project."""
    return _describe(lake.project(project_id))


def project_exists(lake: Lake, project_id: str) -> bool:
    """Whether there is a project of that name, archived ones included."""
    try:
        lake.project(project_id)
    except NotFoundError:
        return False
    return True


def update_project_metadata(
    lake: Lake, project_id: str, external_metadata: dict[str, Any]
) -> None:
    """Replace the project's external metadata; the rest of its metadata stays."""
    checked_external(external_metadata)
    project = lake.project(project_id)
    # Only this key: the metadata also hold the settings of `create_project`.
    project.set_metadata(project.metadata | {"external_metadata": external_metadata})


def update_label_class_map_colors(
    lake: Lake, project_id: str, changed_label_classes: list[ClassMapUpdateEntry]
) -> None:
    """Give classes other colours or keypoints.

    Raises:
        InvalidInputError: If a class is unknown, or named twice.
    """

    def recoloured(classes: ClassMap) -> ClassMap:
        known = list(classes.classes)
        done: set[int] = set()
        for entry in changed_label_classes:
            # An entry may name a class by its name, by its id, or by both.
            places = [
                place
                for place, label_class in enumerate(known)
                if entry.name in {None, label_class.name}
                and entry.class_id in {None, label_class.class_id}
            ]
            if not places or places[0] in done:
                raise refused(
                    f"Class {entry.name or entry.class_id!r} is unknown, or named twice.",
                    "class.unknown",
                )
            done.add(places[0])
            known[places[0]] = replace(known[places[0]], **entry.changes)
        return ClassMap(tuple(known), classes.version + 1)

    lake.project(project_id).update_classes(recoloured)


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
    # The client takes one definition without a list around it.
    listed: list[Any] = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(item, kind) for item in listed):
        raise refused(f"Metrics are given as a list of {kind.__name__}, one or more.")
    return [item.to_dict() for item in listed]


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that the client refuses, all of them at once."""
    problems = [
        f"{name} is a list"
        for name in _LISTS
        if not isinstance(settings[name], list | None)
    ]
    problems += [
        f"{name} is a float"
        for name in _THRESHOLDS
        if not isinstance(settings[name], float | None)
    ]
    most = settings["max_shown_categories"]
    is_whole = isinstance(most, int)
    if most is not None and not (is_whole and most in range(1, _MOST_CATEGORIES + 1)):
        problems.append("max_shown_categories is a whole number, 1 to 100")
    if problems:
        raise refused(f"{'; '.join(problems)}.")


def _require_binary(classes: ClassMap, negative: str | None) -> None:
    if len(classes.classes) != _BINARY_CLASSES or negative not in classes.ids:
        raise refused(
            "BINARY_CLASSIFICATION takes two classes, and "
            "binary_classification_negative_class names one of them."
        )


def _describe(project: Project) -> dict[str, Any]:
    """A project in the client's keys; its metadata last, as they hold such keys too."""
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
