"""The client's calls that change frames and labels that are there."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

import polars as pl

from lakehouse.aquarium.content import models_of, require_models
from lakehouse.aquarium.frames import LabeledFrame, UpdateGTLabelSet
from lakehouse.aquarium.getters import DatasetGetters
from lakehouse.aquarium.sending import operations_of, unknown_frames
from lakehouse.aquarium.values import refused
from lakehouse.dataset import Dataset
from lakehouse.errors import WaitTimeoutError
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.model.operations import Operations
from lakehouse.model.problems import Problem
from lakehouse.project import Project
from lakehouse.registered import Registered
from lakehouse.upload import Upload

__all__ = ["DatasetUpdates", "say", "told_when_settled"]

_SHOWN: Final = 20
_LOGS: Final = {
    "dataset": "get_dataset_ingest_error_logs",
    "inference_set": "get_inferences_ingest_error_logs",
}


class DatasetUpdates(DatasetGetters):
    """Calls that send changes; each makes one upload and returns it."""

    def update_dataset_frames(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[LabeledFrame],
        upload_version: str | None = None,
    ) -> Upload:
        """Change frames that are there; ids unknown to the dataset are left out.

        What is left out is a warning of the upload.

        Raises:
            InvalidInputError: If a frame is no MODIFY frame or given twice, or
                no frame is known.
        """
        target = self._target_of(project_id, dataset_id)
        for frame in update:
            if not isinstance(frame, LabeledFrame):
                raise refused(f"{type(frame).__name__} is no LabeledFrame.")
            if frame.update_type != "MODIFY":
                raise refused(
                    f"Frame {frame.frame_id!r} has update_type {frame.update_type!r}: "
                    "update_dataset_frames takes MODIFY. Frames are added by "
                    "create_or_update_dataset."
                )
        require_models(target, models_of(update))
        known, problems = self._known(target, [frame.frame_id for frame in update])
        kept = [frame for frame in update if frame.frame_id in known]
        operations = operations_of(kept, problems=problems)
        return self._submit(target, operations, upload_version)

    def update_dataset_labels(
        self,
        project_id: str,
        dataset_id: str,
        update: Sequence[UpdateGTLabelSet],
        upload_version: str | None = None,
    ) -> Upload:
        """Add and change labels of frames that are there; their other labels stay.

        Sets of frames that the dataset does not have are left out, with a
        warning of the upload.

        Raises:
            InvalidInputError: If two sets are of one frame, or no frame is known.
        """
        target = self._target_of(project_id, dataset_id)
        for label_set in update:
            if not isinstance(label_set, UpdateGTLabelSet):
                raise refused(f"{type(label_set).__name__} is no UpdateGTLabelSet.")
        known, problems = self._known(target, [one.frame_id for one in update])
        kept = [label_set for label_set in update if label_set.frame_id in known]
        operations = operations_of(label_sets=kept, problems=problems)
        return self._submit(target, operations, upload_version)

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
        target = self._target_of(project_id, dataset_id)
        version = target.collection.head().version
        types = target.collection.metadata_types("frames", version)
        frames = [
            _with_metadata(frame_id, fields, types)
            for frame_id, fields in frame_metadata_updates.items()
        ]
        return self.update_dataset_frames(project_id, dataset_id, frames)

    # -------------------------------- INSIDE -------------------------------- #

    def _active(self, project_id: str) -> Project:
        """A project that may be written to."""
        project = self.lake.project(project_id)
        project.require_active()
        return project

    def _target_of(self, project_id: str, dataset_id: str) -> Dataset:
        return self._active(project_id).dataset(dataset_id)

    def _known(
        self, target: Registered, frame_ids: list[str]
    ) -> tuple[set[str], list[Problem]]:
        """Those of the ids that are there, and a warning for each that is not."""
        twice = sorted(name for name, count in Counter(frame_ids).items() if count > 1)
        if twice:
            raise refused(f"Frames {twice} are given twice.", "frame.repeated")
        if target.is_processing:
            # A frame may be in an upload that waits: the merge decides.
            return set(frame_ids), []
        known = set(self._known_ids(target, frame_ids))
        unknown = [frame_id for frame_id in frame_ids if frame_id not in known]
        if not known:
            raise refused(
                f"None of the frames is in {target.name!r}, so there is nothing to "
                "update.",
                "frame.unknown",
            )
        if unknown:
            more = " …" if len(unknown) > _SHOWN else ""
            shown = ", ".join(unknown[:_SHOWN])
            say(f"Left out, not in {target.name}: {shown}{more}")
        return known, unknown_frames(unknown, target.name)

    def _submit(
        self,
        target: Registered,
        operations: Operations,
        upload_version: str | None = None,
    ) -> Upload:
        named = {} if upload_version is None else {"upload_version": upload_version}
        upload = target.submit(operations, metadata=named)
        status = upload.status
        what = target.collection.layout.folder("labels")
        say(
            f"Upload {upload.id} to {target.collection.target}: {status}, "
            f"{upload.frame_count} frames, {upload.label_count} {what}."
        )
        if status in {"PARTIAL", "FAILED"}:
            say(
                f"{upload.counts['rejected']} frames were rejected; errors() of the "
                f"upload, or {_LOGS[target.collection.layout.kind]}(), says why."
            )
        return upload


def say(text: str) -> None:
    """Tell whoever runs the script how it goes, as the service's client does."""
    print(text)  # noqa: T201 - the one place that does


def told_when_settled(upload: Upload, timeout: timedelta) -> Upload:
    """Wait, and tell how it went; the service's client never raises here."""
    try:
        say(f"Upload {upload.id}: {upload.wait(timeout).status}.")
    except WaitTimeoutError as error:
        say(str(error))
    return upload


def _with_metadata(
    frame_id: str, fields: dict[str, Any], types: dict[str, pl.DataType]
) -> LabeledFrame:
    frame = LabeledFrame(frame_id=frame_id, update_type="MODIFY")
    for name, value in _changed(fields):
        dtype = types.get(f"{PREFIX}{name}")
        right = None if dtype is None else MetadataType.from_dtype(dtype)
        is_list = isinstance(value, list | tuple)
        if right is not None and right.is_list != is_list:
            raise refused(f"{name} is {right.name} in this dataset.", "metadata.mode")
        element = None if right is None else right.element
        if is_list:
            frame.add_user_metadata_list(name, value, element)
        else:
            frame.add_user_metadata(name, value, element)
    return frame


def _changed(fields: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """The fields with a value: in a change, None leaves the stored one."""
    return ((name, value) for name, value in fields.items() if value is not None)
