"""Where a call sends to, and whether it may: what was deleted takes nothing."""

import polars as pl

from lakehouse.aquarium.content import Models, require_models
from lakehouse.aquarium.values import refused
from lakehouse.dataset import Dataset
from lakehouse.errors import NotFoundError
from lakehouse.inference_set import InferenceSet
from lakehouse.project import Project
from lakehouse.registered import Mode, Registered

__all__ = ["dataset_to_fill", "require_open", "set_there", "set_to_fill"]


def require_open(target: Registered, mode: Mode = "STREAMING") -> None:
    """Check that frames may be sent to a dataset or set that is there.

    Raises:
        ArchivedError: If it was deleted.
        InvalidInputError: If BATCH mode is to create it, and it is filled.
    """
    target.require_active()
    if mode != "BATCH":
        return
    kind = target.collection.layout.kind
    what = kind.replace("_", " ").capitalize()
    landed = target.uploads().filter(pl.col("status") != "FAILED").height
    if target.mode != "BATCH" or landed:
        raise refused(
            f"{what} {target.name!r} exists, and BATCH mode only creates. Send it "
            "without pipeline_mode, or choose another name.",
            f"{kind}.immutable",
        )


def dataset_to_fill(project: Project, name: str, mode: Mode, models: Models) -> Dataset:
    """The dataset of that name, made if it is not there.

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
            exist_ok=True,
        )
    require_open(target, mode)
    require_models(target, models)
    return target


def set_to_fill(base: Dataset, name: str, mode: Mode, models: Models) -> InferenceSet:
    """The inference set of that name, made and pinned if it is not there.

    Raises:
        ArchivedError: If it was deleted.
        InvalidInputError: If BATCH mode is to create it, and it is filled; or its
            vectors are of another model.
    """
    target = set_there(base, name)
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


def set_there(base: Dataset, name: str) -> InferenceSet | None:
    """The inference set of that name, if it is there."""
    try:
        return base.inference_set(name)
    except NotFoundError:
        return None
