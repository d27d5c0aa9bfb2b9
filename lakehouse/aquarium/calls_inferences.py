"""The client's calls that send inferences."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lakehouse.aquarium.calls_datasets import (
    DatasetUpdates,
    error_logs,
    process_state,
    told_when_settled,
)
from lakehouse.aquarium.content import (
    checked_inferences,
    models_of,
    require_metrics,
    require_open,
    set_there,
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
from lakehouse.catalog.project import Project
from lakehouse.catalog.versioned import Mode
from lakehouse.errors import NotFoundError
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import check_name
from lakehouse.uploads.upload import Upload


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


class InferenceCalls(InferenceGetters):
    """Calls that send inferences; each makes one upload and returns it."""

    def create_or_update_inferences(
        self,
        project_id: str,
        dataset_id: str,
        inferences_id: str,
        data_url: str | None = None,
        embeddings_url: str | None = None,
        inferences: Inferences | None = None,
        wait_until_finish: bool = False,
        wait_timeout: timedelta = timedelta(hours=2),
        embedding_distance_metric: str = "euclidean",
        delete_cache_files_after_upload: bool = True,
        external_metadata: dict[str, Any] | None = None,
        pipeline_mode: Mode = "STREAMING",
    ) -> Upload:
        """Create an inference set, or add, replace and delete frames of one there.

        The first call pins the set to the dataset as it is then, with everything
        sent to it before; no later call moves the pin. Arguments that only
        concerned the service's servers and its cache have no effect.

        Args:
            project_id: A project that exists.
            dataset_id: Its dataset that the model saw.
            inferences_id: Letters, digits and underscores.
            data_url: No effect; give `inferences`.
            embeddings_url: No effect.
            inferences: What to add, replace and delete.
            wait_until_finish: Wait until the upload is merged; never raises.
            wait_timeout: How long at most.
            embedding_distance_metric: `euclidean` or `cosine`.
            delete_cache_files_after_upload: No effect.
            external_metadata: Replaces the set's own metadata.
            pipeline_mode: BATCH makes a set that is loaded once, all or nothing,
                here or in the inferences object.

        Returns:
            The upload.

        Raises:
            NotFoundError: If the project or the dataset does not exist.
            InvalidInputError: If the inferences are empty, or say what the project
                does not allow. Nothing is sent.
            ArchivedError: If the project, dataset or set was deleted.
        """
        del data_url, embeddings_url, delete_cache_files_after_upload
        check_name("dataset", dataset_id)
        check_name("inference set", inferences_id)
        require_distance(embedding_distance_metric)
        require_duration(wait_timeout)
        is_batch = "BATCH" in {
            checked_mode(pipeline_mode),
            getattr(inferences, "pipeline_mode", None),
        }
        upload = self._send_inferences(
            self._active(project_id),
            dataset_id,
            inferences_id,
            inferences,
            "BATCH" if is_batch else "STREAMING",
            external_metadata,
        )
        return told_when_settled(upload, wait_timeout) if wait_until_finish else upload

    create_inferences = create_or_update_inferences

    def update_inference_labels(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[UpdateInferenceLabelSet],
        upload_version: str | None = None,
        inferences_id: str | None = None,
    ) -> Upload:
        """Add and change inferences of frames that are there; their others stay.

        The service's client has no `inferences_id` here, and always raised. Sets
        of frames that the inference set does not have are left out, with a
        warning of the upload.

        Raises:
            NotFoundError: If there is no such project, dataset or inference set.
            InvalidInputError: If no inference set is named, two label sets are of
                one frame, or no frame is known.
            ArchivedError: If the project, dataset or set was deleted.
        """
        if inferences_id is None:
            raise refused(
                "Name the inference set as inferences_id=. Without, this call changes "
                "nothing, as it never did on the service."
            )
        project = self._active(project_id)
        base = _open_base(project, dataset_id)
        target = base.inference_set(inferences_id)
        require_open(target)
        for one in update:
            if not isinstance(one, UpdateInferenceLabelSet):
                raise refused(f"{type(one).__name__} is no UpdateInferenceLabelSet.")
        require_metrics(update, project)
        known, problems = self._known(target, [one.frame_id for one in update])
        kept = [one for one in update if one.frame_id in known]
        operations = operations_of(
            label_sets=kept, problems=problems, layout=INFERENCE_SET
        )
        return self._submit(target, operations, upload_version)

    # -------------------------------- INSIDE -------------------------------- #

    def _send_inferences(
        self,
        project: Project,
        dataset_id: str,
        inferences_id: str,
        inferences: Inferences | None,
        mode: Mode,
        external_metadata: dict[str, Any] | None,
    ) -> Upload:
        """Check everything, then make and pin the set if it is not there, then send."""
        base = _open_base(project, dataset_id)
        known = set_there(base, inferences_id)
        if known is not None:
            require_open(known, mode)
        content = checked_inferences(inferences, project)
        checked_external(external_metadata)
        models = models_of(content.frames.values())
        operations = operations_of(
            content.frames.values(), content.deleted, layout=INFERENCE_SET
        )
        target = set_to_fill(base, inferences_id, mode, models)
        if external_metadata is not None:
            target.set_metadata(external_metadata)
        return self._submit(target, operations)


def _open_base(project: Project, dataset_id: str) -> Dataset:
    base = project.dataset(dataset_id)
    require_open(base)
    return base
