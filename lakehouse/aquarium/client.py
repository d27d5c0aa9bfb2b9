"""The client: Aquarium's calls, on a lake instead of a service.

    client = al.Client(api_endpoint="lake")

Every submit call makes one upload and returns it, where the service's client
returned nothing. Frames at fault are reported in the upload; only what the
service's client refused before sending is refused here.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import IO, Any, NoReturn

import lakehouse
from lakehouse.aquarium.calls_datasets import told_when_settled
from lakehouse.aquarium.calls_media import SchemaCalls
from lakehouse.aquarium.content import (
    Models,
    checked_content,
    dataset_to_fill,
    models_of,
    set_to_fill,
)
from lakehouse.aquarium.frames import (
    PROPOSALS,
    LabeledDataset,
    LabeledFrame,
    UnlabeledDataset,
    proposals_on,
    without_proposals,
)
from lakehouse.aquarium.issues import IssueManager, WorkQueueManager
from lakehouse.aquarium.metrics_manager import MetricsManager
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.values import (
    checked_external,
    checked_mode,
    refused,
    require_distance,
    require_duration,
)
from lakehouse.catalog.versioned import Mode
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import check_name
from lakehouse.uploads.upload import Upload


class Client(SchemaCalls):
    """Aquarium's client on a lake.

    Args:
        api_endpoint: The root of the lake; `$LAKEHOUSE_ROOT`, else `./lake`.
    """

    def __init__(self, *, api_endpoint: str | None = None, **kwargs: Any) -> None:
        root = api_endpoint or os.environ.get("LAKEHOUSE_ROOT") or "lake"
        super().__init__(lakehouse.connect(root, **kwargs))
        self._credentials: dict[str, str] = {}

    def set_credentials(
        self,
        *,
        token: str | None = None,
        app_id: str | None = None,
        app_key: str | None = None,
        api_key: str | None = None,
    ) -> None:
        """Accepted so that scripts run unchanged; a lake needs no key.

        Raises:
            InvalidInputError: If none of api_key, token, and app_id with app_key is given.
        """
        if not (api_key or token or (app_id and app_key)):
            raise refused("Give api_key, or token, or app_id and app_key.")
        given = {
            "token": token,
            "app_id": app_id,
            "app_key": app_key,
            "api_key": api_key,
        }
        self._credentials = {name: value for name, value in given.items() if value}

    def get_issue_manager(self, project_id: str) -> IssueManager:
        """The issues of a project.

        Raises:
            NotFoundError: If there is no such project.
        """
        return IssueManager(self, project_id)

    def get_work_queue_manager(self, project_id: str) -> WorkQueueManager:
        """The work queues of a project.

        Raises:
            NotFoundError: If there is no such project.
        """
        return WorkQueueManager(self, project_id)

    def create_or_update_dataset(
        self,
        project_id: str,
        dataset_id: str,
        data_url: str | None = None,
        embeddings_url: str | None = None,
        dataset: LabeledDataset | UnlabeledDataset | None = None,
        wait_until_finish: bool = False,
        wait_timeout: timedelta = timedelta(hours=2),
        embedding_distance_metric: str = "euclidean",
        preview_first_frame: bool = False,
        delete_cache_files_after_upload: bool = True,
        check_first_frame: bool = True,
        external_metadata: dict[str, Any] | None = None,
        pipeline_mode: Mode = "STREAMING",
        is_unlabeled_indexed_dataset: bool = False,
        seed_dataset_name_for_unlabeled_search: str | None = None,
        is_anon_mode: bool = False,
        existing_embedding_version_uuid: str | None = None,
    ) -> Upload:
        """Create a dataset, or add, replace and delete frames of one that is there.

        Arguments that only concerned the service's servers and its cache are
        accepted and have no effect.

        Args:
            project_id: A project that exists.
            dataset_id: Letters, digits and underscores.
            data_url: No effect; give `dataset`.
            embeddings_url: No effect.
            dataset: What to add, replace and delete. What an UnlabeledDataset has is
                proposed, and goes to the inference set `proposals`.
            wait_until_finish: Wait until the upload is merged; never raises.
            wait_timeout: How long at most.
            embedding_distance_metric: `euclidean` or `cosine`.
            preview_first_frame: No effect.
            delete_cache_files_after_upload: No effect.
            check_first_frame: No effect.
            external_metadata: Replaces the dataset's own metadata.
            pipeline_mode: BATCH makes a dataset that is loaded once, all or
                nothing, here or in the dataset object.
            is_unlabeled_indexed_dataset: Refused.
            seed_dataset_name_for_unlabeled_search: Refused.
            is_anon_mode: No effect.
            existing_embedding_version_uuid: Of an UnlabeledDataset, no effect;
                refused otherwise.

        Returns:
            The upload to the dataset.

        Raises:
            NotFoundError: If the project does not exist.
            InvalidInputError: If the dataset object is empty, or says what the
                project does not allow. Nothing is sent.
            ArchivedError: If the project or dataset was deleted.
        """
        del data_url, embeddings_url, preview_first_frame, check_first_frame
        del delete_cache_files_after_upload, is_anon_mode
        if is_unlabeled_indexed_dataset or seed_dataset_name_for_unlabeled_search:
            raise refused(
                "is_unlabeled_indexed_dataset and seed_dataset_name_for_unlabeled_search "
                "are no more: give an UnlabeledDataset as dataset=."
            )
        is_unlabeled = isinstance(dataset, UnlabeledDataset)
        if existing_embedding_version_uuid is not None and not is_unlabeled:
            raise refused(
                "existing_embedding_version_uuid belongs to an UnlabeledDataset."
            )
        check_name("dataset", dataset_id)
        require_distance(embedding_distance_metric)
        require_duration(wait_timeout)
        mode = checked_mode(pipeline_mode)
        upload = self._send(project_id, dataset_id, dataset, mode, external_metadata)
        return told_when_settled(upload, wait_timeout) if wait_until_finish else upload

    create_dataset = create_or_update_dataset

    def get_metrics_manager(self, project_id: str) -> MetricsManager:
        """How the inference sets of a project fare.

        Raises:
            NotFoundError: If there is no such project.
        """
        return MetricsManager(self.lake, project_id)

    def add_to_streaming_dataset(
        self,
        project_id: str,
        dataset_id: str,
        dataset: LabeledDataset | UnlabeledDataset | None = None,
        embedding_distance_metric: str = "euclidean",
        delete_cache_files_after_upload: bool = True,
        external_metadata: dict[str, Any] | None = None,
        is_anon_mode: bool = False,
        upload_version: str | None = None,
        validate_frames: bool = False,
        reuse_embeddings: bool = False,
    ) -> Upload:
        """Send frames to a dataset, without waiting.

        `upload_version` names what is sent: it is kept as metadata of the
        upload, and several uploads may have the same.

        Raises:
            NotFoundError: If the project does not exist.
            InvalidInputError: As `create_or_update_dataset` says.
        """
        del delete_cache_files_after_upload, is_anon_mode, validate_frames
        del reuse_embeddings
        check_name("dataset", dataset_id)
        require_distance(embedding_distance_metric)
        return self._send(
            project_id,
            dataset_id,
            dataset,
            "STREAMING",
            external_metadata,
            upload_version,
        )

    # -------------------------------- INSIDE -------------------------------- #

    def _send(
        self,
        project_id: str,
        dataset_id: str,
        dataset: LabeledDataset | UnlabeledDataset | None,
        asked: Mode,
        external_metadata: dict[str, Any] | None,
        upload_version: str | None = None,
    ) -> Upload:
        """Check everything, then make the dataset if it is not there, then send."""
        project = self._active(project_id)
        content = checked_content(dataset, project)
        checked_external(external_metadata)
        models = models_of(content.frames.values())
        if isinstance(content, UnlabeledDataset):
            bare = [without_proposals(frame) for frame in content.frames.values()]
            operations = operations_of(bare, content.deleted)
            said = proposals_on(content.frames.values())
            proposals = operations_of(said, content.deleted, layout=INFERENCE_SET)
            models, theirs = Models(models.frames, None), Models(None, models.labels)
        else:
            operations = operations_of(content.frames.values(), content.deleted)
            proposals, theirs = None, models
        is_batch = "BATCH" in {content.pipeline_mode, asked}
        mode: Mode = "BATCH" if is_batch else "STREAMING"
        target = dataset_to_fill(project, dataset_id, mode, models)
        if external_metadata is not None:
            target.set_metadata(external_metadata)
        upload = self._submit(target, operations, upload_version)
        if proposals is not None and (
            proposals.frames.height or proposals.labels.height
        ):
            into = set_to_fill(target, PROPOSALS, mode, theirs)
            self._submit(into, proposals, upload_version)
        return upload


class CollectionClient(Client):
    """The client with the calls on campaigns, each of which says what to do instead."""

    def download_to_file(self, signed_url: str, filelike: IO[Any]) -> bool:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(signed_url, filelike)

    def get_unlabeled_results_for_issue(
        self,
        *,
        issue_uuid: str,
        unlabeled_dataset_name: str | None,
        sort_status: str | None = "UNSORTED",
        unlabeled_only: bool | None = True,
        retrigger_search: bool | None = False,
    ) -> list[dict[str, Any]]:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        del unlabeled_only, retrigger_search
        _refuse(issue_uuid, unlabeled_dataset_name, sort_status)

    def sync_state(
        self,
        target_project_names: Sequence[str] = (),
        target_issue_uuids: Sequence[str] = (),
    ) -> None:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(target_project_names, target_issue_uuids)

    def sample_probabilities(self, frames: Sequence[LabeledFrame]) -> NoReturn:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(frames)

    def save_for_collection(
        self,
        override_sampling_threshold: float | None = None,
        target_sample_count: int | None = None,
        dry_run: bool = False,
    ) -> None:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(override_sampling_threshold, target_sample_count, dry_run)


def _refuse(*_: object) -> NoReturn:
    raise refused(
        "Collection campaigns ran on the service. Keep the examples in a segment of type "
        "'collection_campaign', and look for frames like them with snapshot.similar(…).",
        "aquarium.campaign",
    )
