"""What a dataset object must be before any of it is sent.

The checks are the client's, in its order; they refuse the whole call, and
nothing is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lakehouse.aquarium.frames import LabeledDataset, LabeledFrame
from lakehouse.aquarium.values import refused
from lakehouse.dataset import Dataset
from lakehouse.errors import InvalidInputError
from lakehouse.model.label_types import MASK_CLASS
from lakehouse.model.problems import Problem
from lakehouse.project import Project

__all__ = ["Models", "checked_content", "models_of", "require_models"]

_MASKS: Final = {
    "2D_SEMSEG": "SEMANTIC_LABEL_URL_2D",
    "2D_INSTANCE_SEGMENTATION": "INSTANCE_LABEL_URL_2D",
}
"""Task to the mask that each frame has exactly one of."""
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Models:
    """What the vectors of an upload were made with; None when nobody said."""

    frames: str | None
    labels: str | None


def checked_content(dataset: object, project: Project) -> LabeledDataset:
    """The dataset object, if it may be sent to the project.

    Raises:
        InvalidInputError: If it is none, is empty, breaks the rule of the
            project's task, or has classes that the project lacks.
    """
    if not isinstance(dataset, LabeledDataset):
        raise refused("Give the frames as dataset=, a LabeledDataset.")
    if not dataset.frames and not dataset.deleted:
        raise refused("The dataset has no frames: add or delete some first.")
    _require_masks(dataset.frames.values(), project.task)
    _require_classes(dataset.frames.values(), project)
    return dataset


def models_of(frames: Iterable[LabeledFrame]) -> Models:
    """What the vectors were made with.

    Raises:
        InvalidInputError: If several models are named.
    """
    listed = list(frames)
    return Models(
        _one({frame.model_id for frame in listed}, "frame"),
        _one({frame.crop_model_id for frame in listed}, "label"),
    )


def require_models(target: Dataset, models: Models) -> None:
    """Check that vectors are of the model that the dataset's are.

    Raises:
        InvalidInputError: If both name one, and not the same.
    """
    version = target.collection.head().version
    for table, given in (
        ("frame_embeddings", models.frames),
        ("label_embeddings", models.labels),
    ):
        known = target.collection.embedding_spec(table, version).model
        if known is not None and given is not None and known != given:
            raise refused(
                f"{table} of dataset {target.name!r} are made with {known!r}, not with "
                f"{given!r}. Vectors of several models cannot be compared: use another "
                "dataset.",
                "embedding.model",
            )


def _one(names: set[str], what: str) -> str | None:
    named = sorted(names - {""})
    if len(named) > 1:
        raise refused(
            f"The {what} embeddings are of the models {named}: one dataset has one.",
            "embedding.model",
        )
    return named[0] if named else None


def _require_masks(frames: Iterable[LabeledFrame], task: str | None) -> None:
    wanted = _MASKS.get(task or "")
    for frame in frames if wanted is not None else ():
        if frame.update_type == "DELETE":
            continue
        if frame.update_type == "MODIFY" and not frame.labels:
            continue
        count = sum(label["label_type"] == wanted for label in frame.labels.values())
        if count != 1:
            raise refused(
                f"Frame {frame.frame_id!r} has {count} masks: task {task} takes exactly "
                "one.",
                "task.masks",
            )


def _require_classes(frames: Iterable[LabeledFrame], project: Project) -> None:
    known = {*project.classes, MASK_CLASS}
    problems = [
        Problem(
            frame.frame_id,
            label_id,
            f"labels['{label_id}'].class_name",
            "class.unknown",
            f"{label['class_name']!r} is no class of project {project.name!r}.",
            f"Its classes are {', '.join(project.classes)}.",
        )
        for frame in frames
        for label_id, label in frame.labels.items()
        if label.get("class_name") is not None and label["class_name"] not in known
    ]
    if not problems:
        return
    lines = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
    more = len(problems) - _SHOWN
    raise InvalidInputError(
        f"Nothing was sent: labels have classes that the project lacks.\n{lines}"
        + (f"\n  … and {more} more" if more > 0 else ""),
        kind="class.unknown",
        problems=problems,
    )
