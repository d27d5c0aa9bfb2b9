"""The client: Aquarium's calls, on a lake instead of a service.

    client = al.Client(api_endpoint="lake")

Every submit call makes one upload and returns it, where the service's client
returned nothing. Frames with errors are reported in the upload; only what the
service's client refused before sending is refused here.

Arguments that only concerned the service's servers and its cache are accepted
and have no effect. Every call raises NotFoundError for a project, dataset or
inference set that does not exist, and every call that sends raises ArchivedError
for one that was deleted.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import IO, Any, NoReturn

import lakehouse
from lakehouse.aquarium import (
    calls_datasets,
    calls_inferences,
    calls_media,
    calls_projects,
)
from lakehouse.aquarium.calls_projects import (
    CustomMetricsDefinition,
    StratifiedMetricsDefinition,
)
from lakehouse.aquarium.class_map import ClassMapUpdateEntry, LabelClassMap
from lakehouse.aquarium.content import find_set
from lakehouse.aquarium.frames import (
    LabeledDataset,
    LabeledFrame,
    UnlabeledDataset,
    UpdateGTLabelSet,
)
from lakehouse.aquarium.inferences import (
    Inferences,
    InferencesFrame,
    UpdateInferenceLabelSet,
)
from lakehouse.aquarium.issues import IssueManager, WorkQueueManager
from lakehouse.aquarium.metrics_manager import MetricsManager
from lakehouse.aquarium.values import checked_external, refused
from lakehouse.catalog.lake import Lake
from lakehouse.catalog.registry import Mode
from lakehouse.uploads.upload import Upload


class Client:
    """Aquarium's client on a lake.

    Args:
        api_endpoint: The root of the lake; `$LAKEHOUSE_ROOT`, else `./lake`.
    """

    def __init__(self, *, api_endpoint: str | None = None, **kwargs: Any) -> None:
        root = api_endpoint or os.environ.get("LAKEHOUSE_ROOT") or "lake"
        self.lake: Lake = lakehouse.connect(root, **kwargs)
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
        """The manager of a project's issues."""
        return IssueManager(self, project_id)

    def get_work_queue_manager(self, project_id: str) -> WorkQueueManager:
        """The manager of a project's work queues."""
        return WorkQueueManager(self, project_id)

    def get_metrics_manager(self, project_id: str) -> MetricsManager:
        """The manager of the metrics of a project's inference sets."""
        return MetricsManager(self, project_id)

    # -------------------------------- PROJECTS ------------------------------ #

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
        # In this order they are kept as the project's metadata.
        settings = {
            "secondary_labels": secondary_labels,
            "frame_links": frame_links,
            "label_links": label_links,
            "default_camera_target": default_camera_target,
            "default_camera_position": default_camera_position,
            "metrics_confidence_threshold": metrics_confidence_threshold,
            "metrics_iou_threshold": metrics_iou_threshold,
            "external_metadata": external_metadata,
            "custom_metrics": custom_metrics,
            "stratified_metrics": stratified_metrics,
            "max_shown_categories": max_shown_categories,
            "include_no_gt": include_no_gt,
            "binary_classification_negative_class": binary_classification_negative_class,
        }
        calls_projects.create_project(
            self.lake, project_id, label_class_map, primary_task, settings
        )

    def get_projects(self) -> list[dict[str, Any]]:
        """All projects that are not archived."""
        return calls_projects.get_projects(self.lake)

    def get_project(self, project_id: str) -> dict[str, Any]:
        """One project."""
        return calls_projects.get_project(self.lake, project_id)

    def project_exists(self, project_id: str) -> bool:
        """Whether there is a project of that name, archived ones included."""
        return calls_projects.project_exists(self.lake, project_id)

    def delete_project(self, project_id: str) -> None:
        """Archive a project; nothing is removed."""
        self.lake.project(project_id).archive()

    def update_project_metadata(
        self, project_id: str, external_metadata: dict[str, Any]
    ) -> None:
        """Replace the project's external metadata."""
        calls_projects.update_project_metadata(self.lake, project_id, external_metadata)

    def update_label_class_map_colors(
        self, project_id: str, changed_label_classes: list[ClassMapUpdateEntry]
    ) -> None:
        """Give classes other colours or keypoints.

        Raises:
            InvalidInputError: If a class is unknown, or named twice.
        """
        calls_projects.update_label_class_map_colors(
            self.lake, project_id, changed_label_classes
        )

    # -------------------------------- DATASETS ------------------------------ #

    def get_datasets(
        self,
        project_id: str,
        include_archived: bool | None,
    ) -> list[dict[str, Any]]:
        """The datasets of a project; a clone is listed before it can be read.

        Each says whether something sent to it waits (`processing`), whether it takes
        changes (`is_mutable`), of which dataset it is a clone (`clone_of`), and the
        name of its own clone (`clone`). A clone in the making has no version yet, and
        no counts.
        """
        return calls_datasets.get_datasets(
            self.lake, project_id, include_archived=bool(include_archived)
        )

    def get_dataset(self, project_id: str, dataset_id: str) -> dict[str, Any]:
        """One dataset."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.describe_dataset(dataset)

    def dataset_exists(self, project_id: str, dataset_id: str) -> bool:
        """Whether there is a dataset of that name, archived ones included."""
        return calls_datasets.dataset_exists(self.lake, project_id, dataset_id)

    def delete_dataset(self, project_id: str, dataset_id: str) -> None:
        """Archive a dataset; nothing is removed."""
        calls_datasets.open_dataset(self.lake, project_id, dataset_id).archive()

    def is_dataset_processed(self, project_id: str, dataset_id: str) -> bool:
        """Whether it can be read, and nothing sent to it waits."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.is_dataset_processed(dataset)

    def is_dataset_archived(self, project_id: str, dataset_id: str) -> bool:
        """Whether it is archived."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return dataset.is_archived

    def current_dataset_process_state(
        self, project_id: str, dataset_id: str
    ) -> tuple[str, float]:
        """The state of the newest upload, and the uploads settled, in percent.

        Returns:
            PENDING, DONE, WINDOW_ERRORED (frames were rejected) or AGG_ERRORED (the
            merge failed); and 0.0 to 100.0. A clone in the making is PENDING.
        """
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.process_state(dataset)

    def get_dataset_ingest_error_logs(
        self, project_id: str, dataset_id: str
    ) -> list[dict[str, Any]]:
        """Every problem of every upload, with the keys of the service's logs."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.error_logs(dataset)

    def update_dataset_metadata(
        self, project_id: str, dataset_id: str, external_metadata: dict[str, Any]
    ) -> None:
        """Replace the dataset's external metadata."""
        checked_external(external_metadata)
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        dataset.set_metadata(external_metadata)

    def get_frame_ids(self, project_id: str, dataset_id: str) -> list[str]:
        """The ids of all frames of the latest version, sorted."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.get_frame_ids(dataset)

    def get_frame(
        self, project_id: str, dataset_id: str, frame_id: str
    ) -> LabeledFrame:
        """One frame of the latest version with its labels, as a MODIFY frame.

        Raises:
            NotFoundError: If the frame does not exist.
        """
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.get_frame(dataset, frame_id)

    def get_frames(
        self, project_id: str, dataset_id: str, frame_ids: list[str]
    ) -> dict[str, LabeledFrame]:
        """Frames by id; ids that do not exist are left out."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return calls_datasets.get_frames(dataset, frame_ids)

    # --------------------------- SENDING TO DATASETS ------------------------ #

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
        """Create a dataset, or add, replace and delete frames of one that exists.

        Args:
            project_id: A project that exists.
            dataset_id: Letters, digits and underscores.
            data_url: No effect; give `dataset`.
            embeddings_url: No effect.
            dataset: What to add, replace and delete. Labels of an UnlabeledDataset
                are proposals, and go to the inference set `proposals`.
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
        # The service's client took these; scripts pass them by name or by place.
        del data_url, embeddings_url, preview_first_frame, check_first_frame
        del delete_cache_files_after_upload, is_anon_mode
        # The service had given these up before 0.0.67 and refused them; so does this.
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
        return calls_datasets.create_or_update_dataset(
            self.lake,
            project_id,
            dataset_id,
            dataset,
            distance=embedding_distance_metric,
            mode=pipeline_mode,
            external_metadata=external_metadata,
            wait_timeout=wait_timeout,
            wait=wait_until_finish,
        )

    # The service's client has both names, with the same parameters.
    create_dataset = create_or_update_dataset

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
        # Nothing is cached, and every frame is validated when it is sent.
        del delete_cache_files_after_upload, is_anon_mode, validate_frames
        del reuse_embeddings
        return calls_datasets.add_to_streaming_dataset(
            self.lake,
            project_id,
            dataset_id,
            dataset,
            distance=embedding_distance_metric,
            external_metadata=external_metadata,
            upload_version=upload_version,
        )

    def update_dataset_frames(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[LabeledFrame],
        upload_version: str | None = None,
    ) -> Upload:
        """Change frames that exist; ids unknown to the dataset are left out.

        What is left out is a warning of the upload.

        Raises:
            InvalidInputError: If a frame is no MODIFY frame or given twice, or
                no frame is known.
        """
        return calls_datasets.update_dataset_frames(
            self.lake, project_id, dataset_id, update, upload_version
        )

    def update_dataset_labels(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[UpdateGTLabelSet],
        upload_version: str | None = None,
    ) -> Upload:
        """Add and change labels of frames that exist; their other labels stay.

        Sets of frames that the dataset does not have are left out, with a
        warning of the upload.

        Raises:
            InvalidInputError: If two sets are of one frame, or no frame is known.
        """
        return calls_datasets.update_dataset_labels(
            self.lake, project_id, dataset_id, update, upload_version
        )

    def update_frames_metadata(
        self,
        project_id: str,
        dataset_id: str,
        frame_metadata_updates: dict[str, dict[str, Any]],
    ) -> Upload:
        """Change metadata of many frames: `{frame_id: {field: value}}`.

        Raises:
            InvalidInputError: If a value is not of its field's type, or no frame
                is known.
        """
        return calls_datasets.update_frames_metadata(
            self.lake, project_id, dataset_id, frame_metadata_updates
        )

    # ----------------------------- INFERENCE SETS --------------------------- #

    def inferences_exists(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> bool:
        """Whether the dataset has a set of that name, archived ones included."""
        dataset = calls_datasets.open_dataset(self.lake, project_id, dataset_id)
        return find_set(dataset, inferences_id) is not None

    def is_inferences_processed(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> bool:
        """Whether nothing sent to it waits, and its pin is taken."""
        target = calls_inferences.open_set(
            self.lake, project_id, dataset_id, inferences_id
        )
        return calls_inferences.is_set_processed(target)

    def current_inferences_process_state(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> tuple[str, float]:
        """The state of the newest upload, and the uploads settled, in percent.

        Returns:
            The states of `current_dataset_process_state`; PENDING too while the
            pin waits for uploads to the dataset.
        """
        target = calls_inferences.open_set(
            self.lake, project_id, dataset_id, inferences_id
        )
        return calls_inferences.set_process_state(target)

    def get_inferences_ingest_error_logs(
        self, project_id: str, dataset_id: str, inferences_id: str
    ) -> list[dict[str, Any]]:
        """Every problem of every upload, with the keys of the service's logs."""
        target = calls_inferences.open_set(
            self.lake, project_id, dataset_id, inferences_id
        )
        return calls_datasets.error_logs(target)

    def update_inferences_metadata(
        self, project_id: str, inferences_id: str, external_metadata: dict[str, Any]
    ) -> None:
        """Replace the set's external metadata.

        Args:
            project_id: The project.
            inferences_id: The set's name; where several datasets have one of it,
                `inferences_<dataset>_<name>`, as the service named it.
            external_metadata: A dict with text as keys.

        Raises:
            InvalidInputError: If several datasets of the project have such a set.
        """
        calls_inferences.update_inferences_metadata(
            self.lake, project_id, inferences_id, external_metadata
        )

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
        """Create an inference set, or add, replace and delete frames of one that exists.

        The first call pins the set to the dataset as it is then, with everything
        sent to it before; no later call moves the pin.

        Args:
            project_id: A project that exists.
            dataset_id: The dataset that the model saw.
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
        return calls_inferences.create_or_update_inferences(
            self.lake,
            project_id,
            dataset_id,
            inferences_id,
            inferences,
            distance=embedding_distance_metric,
            mode=pipeline_mode,
            external_metadata=external_metadata,
            wait_timeout=wait_timeout,
            wait=wait_until_finish,
        )

    # Likewise an alias of the service's client.
    create_inferences = create_or_update_inferences

    def update_inference_labels(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[UpdateInferenceLabelSet],
        upload_version: str | None = None,
        inferences_id: str | None = None,
    ) -> Upload:
        """Add and change inferences of frames that exist; their others stay.

        The service's client has no `inferences_id` here, and always raised. Sets
        of frames that the inference set does not have are left out, with a
        warning of the upload.

        Raises:
            NotFoundError: If there is no such project, dataset or inference set.
            InvalidInputError: If no inference set is named, two label sets are of
                one frame, or no frame is known.
            ArchivedError: If the project, dataset or set was deleted.
        """
        return calls_inferences.update_inference_labels(
            self.lake, project_id, dataset_id, update, upload_version, inferences_id
        )

    # --------------------------- MEDIA AND METADATA ------------------------- #

    def upload_asset_from_filepath(
        self, project_id: str, dataset_id: str, filepath: str
    ) -> str:
        """The absolute path of a local file; a lake keeps paths, and copies no media.

        Whoever opens the lake elsewhere needs the file there too: put what others are
        to see where they can reach it, and send that URL.

        Raises:
            InvalidInputError: If there is no such file.
        """
        return calls_media.upload_asset_from_filepath(
            self.lake, project_id, dataset_id, filepath
        )

    def upload_asset_from_url(
        self, project_id: str, dataset_id: str, source_url: str
    ) -> str:
        """The URL itself; a lake keeps URLs, and copies no media.

        Raises:
            InvalidInputError: If the URL is no text, or empty.
        """
        return calls_media.upload_asset_from_url(
            self.lake, project_id, dataset_id, source_url
        )

    def preview_frame(
        self,
        project_id: str,
        labeled_frame: LabeledFrame,
        inference_frame: InferencesFrame | None = None,
    ) -> None:
        """Draw a frame before it is sent, and print where the picture is.

        It is drawn as it would be stored, by sending it to a temporary lake, with a
        model's inferences beside it. Needs Pillow: the extra `plot`.

        Raises:
            UploadFailedError: If the frame would be rejected; it says why.
        """
        calls_media.preview_frame(self.lake, project_id, labeled_frame, inference_frame)

    def update_dataset_object_metadata_schema(
        self,
        project_id: str,
        dataset_id: str,
        object_metadata_fields: Sequence[Mapping[str, str]],
    ) -> None:
        """Declare the metadata of labels and inferences, and the type of each field.

        Nothing needs to be declared to be stored or asked for: a field's type is that
        of its first value.

        Args:
            project_id: The project.
            dataset_id: Its dataset.
            object_metadata_fields: `{"name": …, "type": …}` each; STRING, BOOL,
                NUMERIC, INTEGER, FLOAT, or `ARRAY<…>` of one of them.

        Raises:
            InvalidInputError: If a field is not of that form, or has another type
                already; all of them are listed.
        """
        calls_media.update_dataset_object_metadata_schema(
            self.lake, project_id, dataset_id, object_metadata_fields
        )

    def get_dataset_object_metadata_schema(
        self, project_id: str, dataset_id: str
    ) -> list[dict[str, str]]:
        """The metadata that labels have, or that were declared; by name."""
        return calls_media.get_dataset_object_metadata_schema(
            self.lake, project_id, dataset_id
        )

    def current_abstract_dataset_process_step_status(
        self, project_id: str, dataset_id: str
    ) -> dict[str, Any]:
        """The status of the newest upload, step by step: `normalize`, then `merge`.

        An upload is normalized once the call that sent it returned. An inference set
        is asked for as `inferences_<dataset>_<set>`, as on the service.
        """
        return calls_media.process_step_status(self.lake, project_id, dataset_id)

    @staticmethod
    def parse_normalize_process_step_status(
        process_step_status_payload: Mapping[str, Any],
    ) -> str:
        """The status of the step `normalize`.

        Raises:
            InvalidInputError: If it is not what
                `current_abstract_dataset_process_step_status` gives.
        """
        return calls_media.parse_normalize_process_step_status(
            process_step_status_payload
        )


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
