"""The client's calls on inference sets: reading, describing, and sending to them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lakehouse.aquarium.calls_datasets import (
    active_project,
    known_frames,
    open_dataset,
    process_state,
    submit,
    wait_and_report,
)
from lakehouse.aquarium.content import (
    checked_inferences,
    find_set,
    models_of,
    require_metrics,
    require_open,
    set_to_fill,
)
from lakehouse.aquarium.inferences import Inferences, UpdateInferenceLabelSet
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.values import (
    checked_external,
    checked_mode,
    refused,
    require_distance,
    require_duration,
)
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.catalog.lake import Lake
from lakehouse.catalog.project import Project
from lakehouse.catalog.registry import Mode
from lakehouse.errors import NotFoundError
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import check_name
from lakehouse.uploads.upload import Upload

# --------------------------------- READING -------------------------------- #


def open_set(
    lake: Lake, project_id: str, dataset_id: str, inferences_id: str
) -> InferenceSet:
    """An inference set, archived ones included.

    Raises:
        NotFoundError: If there is no such project, dataset or set.
    """
    return open_dataset(lake, project_id, dataset_id).inference_set(inferences_id)


def is_set_processed(target: InferenceSet) -> bool:
    """Whether nothing sent to it waits, and its pin is taken."""
    return target.pin is not None and not target.is_processing


def set_process_state(target: InferenceSet) -> tuple[str, float]:
    """The process state; PENDING too while the pin waits for uploads to the dataset."""
    state, percent = process_state(target)
    # The pin is taken once all that was sent to the dataset before is merged.
    return ("PENDING" if target.pin is None else state), percent


def update_inferences_metadata(
    lake: Lake, project_id: str, inferences_id: str, external_metadata: dict[str, Any]
) -> None:
    """Replace the set's external metadata.

    Raises:
        NotFoundError: If no dataset of the project has such a set.
        InvalidInputError: If several have.
    """
    checked_external(external_metadata)
    targets = _sets_of_name(lake.project(project_id), inferences_id)
    if not targets:
        raise NotFoundError(
            f"No dataset of project {project_id!r} has an inference set "
            f"{inferences_id!r}.",
            kind="inference_set.unknown",
        )
    if len(targets) > 1:
        raise refused(
            f"Several datasets have an inference set {inferences_id!r}. Call it by "
            f"one of {sorted(targets)}.",
            "inference_set.ambiguous",
        )
    for target in targets.values():
        target.set_metadata(external_metadata)


def named_sets(project: Project) -> dict[str, InferenceSet]:
    """All inference sets of a project, by the name that the service gave them."""
    return {
        f"inferences_{dataset.name}_{target.name}": target
        for dataset in project.datasets(archived=True)
        for target in dataset.inference_sets(archived=True)
    }


def _sets_of_name(project: Project, name: str) -> dict[str, InferenceSet]:
    """The sets of either name, by the name that the service gave them."""
    # The full name is unique in a project; the short one may not be.
    by_full_name = named_sets(project)
    if name in by_full_name:
        return {name: by_full_name[name]}
    return {
        full: target for full, target in by_full_name.items() if target.name == name
    }


# --------------------------------- SENDING -------------------------------- #


def create_or_update_inferences(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    inferences_id: str,
    inferences: Inferences | None,
    *,
    distance: str,
    mode: str,
    external_metadata: dict[str, Any] | None,
    wait_timeout: timedelta,
    wait: bool,
) -> Upload:
    """Check everything, create and pin the set if it does not exist, then send."""
    check_name("dataset", dataset_id)
    check_name("inference set", inferences_id)
    require_distance(distance)
    require_duration(wait_timeout)
    # The inferences are checked later; until then they may be anything.
    modes = {checked_mode(mode), getattr(inferences, "pipeline_mode", None)}
    checked: Mode = "BATCH" if "BATCH" in modes else "STREAMING"
    project = active_project(lake, project_id)
    base = _open_base(project, dataset_id)
    existing = find_set(base, inferences_id)
    if existing is not None:
        # Refused before the inferences are looked at, as the client does.
        require_open(existing, checked)
    content = checked_inferences(inferences, project)
    checked_external(external_metadata)
    frames = content.frames.values()
    models = models_of(frames)
    operations = operations_of(frames, content.deleted, layout=INFERENCE_SET)
    target = set_to_fill(base, inferences_id, checked, models)
    if external_metadata is not None:
        target.set_metadata(external_metadata)
    upload = submit(target, operations)
    return wait_and_report(upload, wait_timeout) if wait else upload


def update_inference_labels(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    update: Sequence[UpdateInferenceLabelSet],
    upload_version: str | None,
    inferences_id: str | None,
) -> Upload:
    """Add and change inferences of frames that exist; their others stay."""
    if inferences_id is None:
        raise refused(
            "Name the inference set as inferences_id=. Without, this call changes "
            "nothing, as it never did on the service."
        )
    project = active_project(lake, project_id)
    target = _open_base(project, dataset_id).inference_set(inferences_id)
    require_open(target)
    for label_set in update:
        if not isinstance(label_set, UpdateInferenceLabelSet):
            raise refused(f"{type(label_set).__name__} is no UpdateInferenceLabelSet.")
    require_metrics(update, project)
    known, problems = known_frames(target, [one.frame_id for one in update])
    kept = [one for one in update if one.frame_id in known]
    operations = operations_of(label_sets=kept, problems=problems, layout=INFERENCE_SET)
    return submit(target, operations, upload_version)


def _open_base(project: Project, dataset_id: str) -> Dataset:
    base = project.dataset(dataset_id)
    require_open(base)
    return base
