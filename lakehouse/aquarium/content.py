"""Checks of a dataset or of inferences as a whole, and the dataset or set they go to.

The checks are the client's, in its order; they refuse the whole call, and
nothing is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.aquarium.base_frame import BaseFrame
from lakehouse.aquarium.frames import LabeledDataset, UnlabeledDataset, UnlabeledFrame
from lakehouse.aquarium.inferences import Inferences
from lakehouse.aquarium.labels import LabelAdder
from lakehouse.aquarium.values import refused
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.catalog.project import Project
from lakehouse.catalog.registry import Mode
from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import InvalidInputError, NotFoundError, Problem
from lakehouse.model.labels import MASK_CLASS
from lakehouse.versions.snapshot import collection_of

_MASKS: Final = {
    "2D_SEMSEG": "SEMANTIC_LABEL_URL_2D",
    "2D_INSTANCE_SEGMENTATION": "INSTANCE_LABEL_URL_2D",
}
"""Task to the type of mask of which each frame has one."""
_SHOWN: Final = 10
"""Labels that the message about unknown classes lists."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models that made the vectors of an upload; None where none is named."""

    frames: str | None
    labels: str | None


# ------------------------------- WHAT IS SENT ------------------------------- #


def checked_content(
    dataset: object, project: Project
) -> LabeledDataset | UnlabeledDataset:
    """The dataset object, if it may be sent to the project.

    Raises:
        InvalidInputError: If it is none, is empty, breaks the rule of the
            project's task, or has classes that the project does not have.
    """
    if not isinstance(dataset, LabeledDataset | UnlabeledDataset):
        raise refused(
            "Give the frames as dataset=, a LabeledDataset or an UnlabeledDataset."
        )
    # An UnlabeledFrame is a LabeledFrame, so `add_frame` takes it; here it is refused.
    if isinstance(dataset, LabeledDataset):
        _require_labeled(dataset)
    if not dataset.frames and not dataset.deleted:
        raise refused("The dataset has no frames: add or delete some first.")
    _require_masks(dataset.frames.values(), project.task)
    _require_classes(dataset.frames.values(), project)
    return dataset


def checked_inferences(inferences: object, project: Project) -> Inferences:
    """The inferences, if they may be sent to a set of the project.

    Raises:
        InvalidInputError: If they are none, are empty, have classes or custom
            metrics that the project does not have, break the rule of its task, or name
            the negative class of a binary one.
    """
    if not isinstance(inferences, Inferences):
        raise refused("Give the frames as inferences=, of class Inferences.")
    if not inferences.frames and not inferences.deleted:
        raise refused("The inferences have no frames: add or delete some first.")
    frames = inferences.frames.values()
    _require_classes(frames, project)
    _require_masks(frames, project.task)
    require_metrics(frames, project)
    _require_positive(frames, project)
    return inferences


def require_metrics(frames: Iterable[LabelAdder], project: Project) -> None:
    """Check that custom metrics are among those of the project.

    Raises:
        InvalidInputError: If the project was created without one of them.
    """
    sent = {name for frame in frames for name in frame.fields.get("custom_metrics", ())}
    known = {one["name"] for one in project.metadata.get("custom_metrics") or ()}
    if unknown := sorted(sent - known):
        raise refused(
            f"Custom metrics {unknown} are not among those of project {project.name!r}: "
            f"{sorted(known)}. They are named in its metadata, by create_project's "
            "custom_metrics.",
            "metric.unknown",
        )


def _require_labeled(dataset: LabeledDataset) -> None:
    for frame_id, frame in dataset.frames.items():
        if isinstance(frame, UnlabeledFrame):
            raise refused(
                f"Frame {frame_id!r} is an UnlabeledFrame: its labels are proposals, no "
                "ground truth. Add it to an UnlabeledDataset."
            )


def _require_positive(frames: Iterable[LabelAdder], project: Project) -> None:
    """Check that a binary model names only the positive class, with its confidence."""
    if project.task != "BINARY_CLASSIFICATION":
        return
    # Its confidence would be read as that of the positive class.
    negative = project.metadata.get("binary_classification_negative_class")
    for frame in frames:
        for label_id, label in frame.labels.items():
            if negative is not None and label.get("class_name") == negative:
                raise refused(
                    f"Inference {label_id!r} is of the negative class {negative!r}: send "
                    "the positive one, with the confidence that it is.",
                    "class.negative",
                )


# ---------------------------- MODELS OF VECTORS ----------------------------- #


def models_of(frames: Iterable[BaseFrame]) -> Models:
    """The models that made the vectors of frames and labels.

    Raises:
        InvalidInputError: If several models are named for one of them.
    """
    listed = list(frames)
    return Models(
        _one({frame.model_id for frame in listed}, "frame"),
        _one({frame.crop_model_id for frame in listed}, "label"),
    )


def require_models(target: Versioned, models: Models) -> None:
    """Check that vectors are of the same model as those of the dataset.

    Raises:
        InvalidInputError: If both name one, and not the same.
    """
    version = collection_of(target).head().version
    # A model that is not named on either side is taken to be the same.
    for table, given in (
        ("frame_embeddings", models.frames),
        ("label_embeddings", models.labels),
    ):
        known = collection_of(target).embedding_spec(table, version).model
        if known is not None and given is not None and known != given:
            raise refused(
                f"{collection_of(target).layout.folder(table)} of {target.name!r} are made "
                f"with {known!r}, not with {given!r}. Vectors of several models cannot "
                "be compared: send them to another dataset or set.",
                "embedding.model",
            )


def _one(names: set[str], what: str) -> str | None:
    named = sorted(names - {""})
    if len(named) > 1:
        raise refused(
            f"The {what} embeddings are of the models {named}: one upload has one.",
            "embedding.model",
        )
    return named[0] if named else None


def _require_masks(frames: Iterable[BaseFrame], task: str | None) -> None:
    wanted = _MASKS.get(task or "")
    for frame in frames if wanted is not None else ():
        # Deletions have no labels, and a change without labels keeps the stored mask.
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


def _require_classes(frames: Iterable[BaseFrame], project: Project) -> None:
    # Masks have a class of their own, which is in no class map.
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
        f"Nothing was sent: labels have classes that the project does not have.\n{lines}"
        + (f"\n  … and {more} more" if more > 0 else ""),
        kind="class.unknown",
        problems=problems,
    )


# ------------------------------ WHERE IT GOES ------------------------------- #


def require_open(target: Versioned, mode: Mode = "STREAMING") -> None:
    """Check that frames may be sent to a dataset or set that exists.

    Raises:
        ArchivedError: If it was deleted.
        InvalidInputError: If BATCH mode is to create it, and it is filled.
    """
    target.require_active()
    if mode != "BATCH":
        return
    kind = collection_of(target).layout.kind
    what = kind.replace("_", " ").capitalize()
    # A batch that failed wrote nothing, so it may be sent again.
    landed = target.uploads().filter(pl.col("status") != "FAILED").height
    if target.mode != "BATCH" or landed:
        raise refused(
            f"{what} {target.name!r} exists, and BATCH mode only creates. Send it "
            "without pipeline_mode, or choose another name.",
            f"{kind}.immutable",
        )


def dataset_to_fill(project: Project, name: str, mode: Mode, models: Models) -> Dataset:
    """The dataset of that name, created if it does not exist.

    Raises:
        ArchivedError: If it was deleted.
        InvalidInputError: If BATCH mode is to create it, and it is filled; or its
            vectors are of another model.
    """
    try:
        target = project.dataset(name)
    except NotFoundError:
        return project.create_dataset(
            name,
            mode=mode,
            frame_embedding_model=models.frames,
            label_embedding_model=models.labels,
            # Two scripts may send the first frames of a dataset at once.
            exist_ok=True,
        )
    require_open(target, mode)
    require_models(target, models)
    return target


def set_to_fill(base: Dataset, name: str, mode: Mode, models: Models) -> InferenceSet:
    """The inference set of that name, created and pinned if it does not exist.

    Raises:
        ArchivedError: If it was deleted.
        InvalidInputError: If BATCH mode is to create it, and it is filled; or its
            vectors are of another model.
    """
    target = find_set(base, name)
    if target is None:
        target = base.create_inference_set(
            name,
            mode=mode,
            frame_embedding_model=models.frames,
            inference_embedding_model=models.labels,
            exist_ok=True,
        )
    require_open(target, mode)
    require_models(target, models)
    return target


def find_set(base: Dataset, name: str) -> InferenceSet | None:
    """The inference set of that name; None if there is none."""
    try:
        return base.inference_set(name)
    except NotFoundError:
        return None
