"""The client's calls that send inferences."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lakehouse.aquarium.content import (
    checked_inferences,
    models_of,
    require_metrics,
)
from lakehouse.aquarium.inference_getters import InferenceGetters
from lakehouse.aquarium.inferences import Inferences, UpdateInferenceLabelSet
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.targets import require_open, set_there, set_to_fill
from lakehouse.aquarium.updates import told_when_settled
from lakehouse.aquarium.values import (
    checked_external,
    checked_mode,
    refused,
    require_distance,
    require_duration,
)
from lakehouse.contracts import INFERENCE_SET
from lakehouse.dataset import Dataset
from lakehouse.model.ids import check_name
from lakehouse.project import Project
from lakehouse.registered import Mode
from lakehouse.upload import Upload

__all__ = ["InferenceCalls"]


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
