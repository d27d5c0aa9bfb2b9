"""The client: Aquarium's calls, on a lake instead of a service.

    client = al.Client(api_endpoint="lake")

Every submit call makes one upload and returns it, where the service's client
returned nothing. Frames at fault are reported in the upload; only what the
service's client refused before sending is refused here.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import lakehouse
from lakehouse.aquarium.frames import LabeledDataset, LabeledFrame, UpdateGTLabelSet
from lakehouse.aquarium.getters import DatasetGetters
from lakehouse.aquarium.sending import operations_of
from lakehouse.aquarium.values import refused
from lakehouse.dataset import Dataset
from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.model.operations import Operations
from lakehouse.project import Project
from lakehouse.upload import Upload

__all__ = ["Client"]

Mode = Literal["STREAMING", "BATCH"]


class Client(DatasetGetters):
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

    def create_or_update_dataset(
        self,
        project_id: str,
        dataset_id: str,
        data_url: str | None = None,
        embeddings_url: str | None = None,
        dataset: LabeledDataset | None = None,
        *,
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

        Raises:
            NotFoundError: If the project does not exist.
            InvalidInputError: If the dataset object is empty, or says what the
                project does not allow. Nothing is sent.
        """
        del data_url, embeddings_url, preview_first_frame, check_first_frame
        del delete_cache_files_after_upload, is_anon_mode
        if is_unlabeled_indexed_dataset or seed_dataset_name_for_unlabeled_search:
            raise refused("Unlabeled indexed datasets are not supported.")
        if existing_embedding_version_uuid is not None:
            raise refused(
                "existing_embedding_version_uuid belongs to unlabeled datasets."
            )
        if embedding_distance_metric not in {"euclidean", "cosine"}:
            raise refused("embedding_distance_metric is 'euclidean' or 'cosine'.")
        if not isinstance(wait_timeout, timedelta):
            raise refused(f"wait_timeout is a timedelta, not {wait_timeout!r}.")
        project = self.lake.project(project_id)
        content = _content(dataset, project)
        _require_str_keys(external_metadata)
        mode = _mode(content, pipeline_mode)
        target = self._target(project, dataset_id, mode)
        if external_metadata:
            target.set_metadata(external_metadata)
        operations = operations_of(content.frames.values(), list(content.deleted))
        upload = self._submit(target, operations)
        if wait_until_finish:
            upload.wait(wait_timeout)
        return upload

    create_dataset = create_or_update_dataset

    def add_to_streaming_dataset(
        self,
        project_id: str,
        dataset_id: str,
        dataset: LabeledDataset | None = None,
        *,
        external_metadata: dict[str, Any] | None = None,
        upload_version: str | None = None,
        **ignored: Any,
    ) -> Upload:
        """Send frames to a dataset, without waiting."""
        del ignored
        project = self.lake.project(project_id)
        content = _content(dataset, project)
        target = self._target(project, dataset_id, "STREAMING")
        if external_metadata:
            target.set_metadata(external_metadata)
        operations = operations_of(content.frames.values(), list(content.deleted))
        return self._submit(target, operations, upload_id=upload_version)

    def update_dataset_frames(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[LabeledFrame],
        upload_version: str | None = None,
    ) -> Upload:
        """Change frames that are there; ids unknown to the dataset are left out.

        Raises:
            InvalidInputError: If a frame is no MODIFY frame or given twice, or
                no frame is known.
        """
        target = self.lake.project(project_id).dataset(dataset_id)
        for frame in update:
            if not isinstance(frame, LabeledFrame):
                raise refused(f"{type(frame).__name__} is no LabeledFrame.")
            if frame.update_type != "MODIFY":
                raise refused(
                    f"Frame {frame.frame_id!r} has update_type {frame.update_type!r}: "
                    "update_dataset_frames takes MODIFY. Frames are added by "
                    "create_or_update_dataset."
                )
        _require_distinct([frame.frame_id for frame in update])
        known = self._known(target, [frame.frame_id for frame in update])
        operations = operations_of(frame for frame in update if frame.frame_id in known)
        return self._submit(target, operations, upload_id=upload_version)

    def update_dataset_labels(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[UpdateGTLabelSet],
        upload_version: str | None = None,
    ) -> Upload:
        """Add and change labels of frames that are there; their other labels stay.

        Raises:
            InvalidInputError: If two sets are of one frame, or no frame is known.
        """
        target = self.lake.project(project_id).dataset(dataset_id)
        for label_set in update:
            if not isinstance(label_set, UpdateGTLabelSet):
                raise refused(f"{type(label_set).__name__} is no UpdateGTLabelSet.")
        _require_distinct([label_set.frame_id for label_set in update])
        known = self._known(target, [label_set.frame_id for label_set in update])
        kept = [label_set for label_set in update if label_set.frame_id in known]
        return self._submit(
            target, operations_of(label_sets=kept), upload_id=upload_version
        )

    # ------------------------------------------------------------------------ #

    def _target(self, project: Project, dataset_id: str, mode: Mode) -> Dataset:
        try:
            target = project.dataset(dataset_id)
        except NotFoundError:
            return project.create_dataset(dataset_id, mode=mode, exist_ok=True)
        if mode == "BATCH":
            raise refused(
                f"Dataset {dataset_id!r} exists, and BATCH mode only creates. Send it "
                "without pipeline_mode, or choose another name.",
                "dataset.immutable",
            )
        return target

    def _known(self, target: Dataset, frame_ids: list[str]) -> set[str]:
        known = set(self._known_ids(target, frame_ids))
        unknown = [frame_id for frame_id in frame_ids if frame_id not in known]
        if unknown:
            print(f"Left out, not in {target.name}: {', '.join(unknown[:20])}")  # noqa: T201
        if not known:
            raise refused(
                f"None of the frames is in dataset {target.name!r}, so there is nothing "
                "to update.",
                "frame.unknown",
            )
        return known

    def _submit(
        self, target: Dataset, operations: Operations, upload_id: str | None = None
    ) -> Upload:
        upload = target.submit(operations, upload_id=upload_id)
        told = f"Upload {upload.id} to {target.project_name}/{target.name}: {upload.status}"
        print(f"{told}, {upload.frame_count} frames, {upload.label_count} labels.")  # noqa: T201
        return upload


def _content(dataset: LabeledDataset | None, project: Project) -> LabeledDataset:
    """The dataset object, checked as the service's client checks it."""
    if not isinstance(dataset, LabeledDataset):
        raise refused("Give the frames as dataset=, a LabeledDataset.")
    if not dataset.frames and not dataset.deleted:
        raise refused("The dataset has no frames: add or delete some first.")
    for frame in dataset.frames.values():
        _require_task(frame, project.task)
    known = {*project.classes, "__mask"}
    unknown = sorted(
        {
            str(label["class_name"])
            for frame in dataset.frames.values()
            for label in frame.labels.values()
            if label.get("class_name") is not None and label["class_name"] not in known
        }
    )
    if unknown:
        raise InvalidInputError(
            f"Classes {unknown} are not in the class map of project {project.name!r}: "
            f"{project.classes}. Nothing was sent.",
            kind="class.unknown",
        )
    return dataset


def _require_task(frame: LabeledFrame, task: str | None) -> None:
    masks = {
        "2D_SEMSEG": "SEMANTIC_LABEL_URL_2D",
        "2D_INSTANCE_SEGMENTATION": "INSTANCE_LABEL_URL_2D",
    }
    if task not in masks or (frame.update_type == "MODIFY" and not frame.labels):
        return
    count = sum(label["label_type"] == masks[task] for label in frame.labels.values())
    if count != 1 and frame.update_type != "DELETE":
        raise refused(
            f"Frame {frame.frame_id!r} has {count} masks: task {task} takes exactly one."
        )


def _mode(dataset: LabeledDataset, asked: Mode) -> Mode:
    """Either place may ask for BATCH; the default of the other does not object."""
    return "BATCH" if "BATCH" in {dataset.pipeline_mode, asked} else "STREAMING"


def _require_str_keys(metadata: dict[str, Any] | None) -> None:
    if metadata is not None and not all(isinstance(key, str) for key in metadata):
        raise refused("external_metadata is a dict with text as keys.")


def _require_distinct(frame_ids: list[str]) -> None:
    twice = sorted({name for name in frame_ids if frame_ids.count(name) > 1})
    if twice:
        raise refused(f"Frames {twice} are given twice.", "frame.repeated")
