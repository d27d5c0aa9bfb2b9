"""The client's calls that change frames and labels that are there."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

import polars as pl

from lakehouse.aquarium.calls_projects import ProjectCalls
from lakehouse.aquarium.content import models_of, require_models
from lakehouse.aquarium.frames import LabeledFrame, UpdateGTLabelSet
from lakehouse.aquarium.sending import operations_of, unknown_frames
from lakehouse.aquarium.values import checked_external, refused
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.project import Project
from lakehouse.catalog.versioned import Registered
from lakehouse.errors import NotFoundError, Problem, WaitTimeoutError
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.model.operations import Operations
from lakehouse.uploads.upload import Upload
from lakehouse.versions.snapshot import collection_of

_STATES: Final = {
    "DONE": "DONE",
    "PARTIAL": "WINDOW_ERRORED",
    "FAILED": "WINDOW_ERRORED",
}


class DatasetGetters(ProjectCalls):
    """Calls on datasets that send no frames."""

    def get_datasets(
        self,
        project_id: str,
        include_archived: bool | None,
    ) -> list[dict[str, Any]]:
        """The datasets of a project; a clone is listed before it can be read.

        Each tells whether something sent to it waits (`processing`), whether it takes
        changes (`is_mutable`), of which dataset it is a clone (`clone_of`), and which
        is its own (`clone`). A clone in the making has no version yet, and no counts.
        """
        found = self.lake.project(project_id).datasets(archived=bool(include_archived))
        return [_told(dataset) for dataset in found]

    def get_dataset(self, project_id: str, dataset_id: str) -> dict[str, Any]:
        """One dataset.

        Raises:
            NotFoundError: If there is none of that name.
        """
        return _told(self._dataset(project_id, dataset_id))

    def dataset_exists(self, project_id: str, dataset_id: str) -> bool:
        """Whether there is a dataset of that name, archived ones included."""
        try:
            self._dataset(project_id, dataset_id)
        except NotFoundError:
            return False
        return True

    def delete_dataset(self, project_id: str, dataset_id: str) -> None:
        """Archive a dataset; nothing is removed.

        Raises:
            NotFoundError: If there is none of that name.
        """
        self._dataset(project_id, dataset_id).archive()

    def is_dataset_processed(self, project_id: str, dataset_id: str) -> bool:
        """Whether it can be read, and nothing sent to it waits."""
        dataset = self._dataset(project_id, dataset_id)
        return dataset.is_ready and not dataset.is_processing

    def is_dataset_archived(self, project_id: str, dataset_id: str) -> bool:
        """Whether it is archived."""
        return self._dataset(project_id, dataset_id).is_archived

    def current_dataset_process_state(
        self, project_id: str, dataset_id: str
    ) -> tuple[str, float]:
        """How the newest upload stands, and the uploads settled, in percent.

        Returns:
            PENDING, DONE, WINDOW_ERRORED (frames were rejected) or AGG_ERRORED (the
            merge failed); and 0.0 to 100.0. A clone in the making is PENDING.
        """
        return process_state(self._dataset(project_id, dataset_id))

    def get_dataset_ingest_error_logs(
        self, project_id: str, dataset_id: str
    ) -> list[dict[str, Any]]:
        """Every problem of every upload, with the keys of the service's logs."""
        return error_logs(self._dataset(project_id, dataset_id))

    def update_dataset_metadata(
        self, project_id: str, dataset_id: str, external_metadata: dict[str, Any]
    ) -> None:
        """Replace the dataset's external metadata."""
        checked_external(external_metadata)
        self._dataset(project_id, dataset_id).set_metadata(external_metadata)

    def get_frame_ids(self, project_id: str, dataset_id: str) -> list[str]:
        """The ids of all frames of the latest version, sorted."""
        frames = self._dataset(project_id, dataset_id).latest().frames()
        return frames.select("frame_id").collect().to_series().sort().to_list()

    def get_frame(
        self, project_id: str, dataset_id: str, frame_id: str
    ) -> LabeledFrame:
        """One frame of the latest version with its labels, as a MODIFY frame.

        Raises:
            NotFoundError: If the frame is not there.
        """
        latest = self._dataset(project_id, dataset_id).latest()
        frame, labels = latest.frame(frame_id)
        return _rehydrated(frame, labels)

    def get_frames(
        self, project_id: str, dataset_id: str, frame_ids: list[str]
    ) -> dict[str, LabeledFrame]:
        """Frames by id; ids that are not there are left out."""
        latest = self._dataset(project_id, dataset_id).latest()
        wanted = pl.DataFrame({"frame_id": list(dict.fromkeys(frame_ids))}).lazy()
        here = latest.frames().join(wanted, on="frame_id", how="semi")
        theirs = latest.labels().join(wanted, on="frame_id", how="semi")
        rows, labels = pl.collect_all([here, theirs.sort("frame_id", "label_id")])
        parts = labels.partition_by("frame_id", as_dict=True)
        none = labels.clear()
        found = {
            row["frame_id"]: _rehydrated(row, parts.get((row["frame_id"],), none))
            for row in rows.iter_rows(named=True)
        }
        return {name: found[name] for name in frame_ids if name in found}

    def _dataset(self, project_id: str, dataset_id: str) -> Dataset:
        return self.lake.project(project_id).dataset(dataset_id)

    def _known_ids(self, target: Registered, frame_ids: list[str]) -> list[str]:
        """Those of the ids that are in the latest version, in the order given."""
        collection = collection_of(target)
        version = collection.head().version
        keys = pl.Series("frame_id", frame_ids, dtype=pl.String)
        rows = collection.scan("frames", version, keys=keys, columns=["frame_id"])
        found = set(rows.collect().to_series().to_list())
        return [frame_id for frame_id in frame_ids if frame_id in found]


def process_state(target: Registered) -> tuple[str, float]:
    """How the newest upload stands in the client's words, and how many are settled."""
    if not target.is_ready:
        return "PENDING", 0.0
    uploads = target.uploads()
    if not uploads.height:
        return "DONE", 100.0
    newest = uploads.row(0, named=True)
    waiting = uploads.filter(pl.col("status") == "PENDING").height
    status = str(newest["status"])
    state = _STATES.get(status, status)
    if status == "FAILED" and newest["error"]:
        state = "AGG_ERRORED"
    return state, 100.0 * (uploads.height - waiting) / uploads.height


def error_logs(target: Registered) -> list[dict[str, Any]]:
    """Every problem of every upload, with the keys of the service's logs."""
    collection = collection_of(target)
    version = collection.head().version
    rows = collection.scan("upload_errors", version).collect()
    return [
        row
        | {
            "aquarium_dataflow_step": "merge",
            "msg": f"{row['path']}: {row['message']}",
        }
        for row in rows.iter_rows(named=True)
    ]


def _told(dataset: Dataset) -> dict[str, Any]:
    content: dict[str, Any] = {"version": None, "frames": None, "labels": None}
    content["processing"] = True
    if dataset.is_ready:
        content = {"version": dataset.version, **dataset.latest().counts}
        content["processing"] = dataset.is_processing
    return {
        "id": dataset.name,
        "dataset_id": dataset.name,
        "project_id": dataset.project_name,
        "pipeline_mode": dataset.mode,
        "is_mutable": dataset.mode == "STREAMING",
        "archived": dataset.is_archived,
        "external_metadata": dataset.metadata,
        "clone_of": dataset.clone_of,
        "clone": dataset.clone_name,
        **content,
    }


def _rehydrated(row: dict[str, Any], labels: pl.DataFrame) -> LabeledFrame:
    frame = LabeledFrame(frame_id=row["frame_id"], update_type="MODIFY")
    if row["date_captured"] is not None:
        frame.fields["date_captured"] = row["date_captured"].isoformat()
    for name, value in row.items():
        plain = name in {"device_id", "latitude", "longitude"} or name.startswith(
            PREFIX
        )
        if plain and value is not None:
            frame.fields[name] = value
    frame.coordinate_frames = [
        known | {"metadata": json.loads(known["metadata"] or "{}")}
        for known in row["coordinate_frames"] or []
    ]
    frame.sensors = list(row["sensors"] or [])
    if not frame.sensors and row["image_url"] is not None:
        size = {"width": row["width"], "height": row["height"]}
        frame.add_image(image_url=row["image_url"], **size)
    for label in labels.iter_rows(named=True):
        given = {name: value for name, value in label.items() if value is not None}
        given.pop("frame_id")
        frame.labels[label["label_id"]] = {**given, "_op": "ADD"}
    return frame


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
        collection = collection_of(target)
        version = collection.head().version
        types = collection.metadata_types("frames", version)
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
        what = collection_of(target).layout.folder("labels")
        say(
            f"Upload {upload.id} to {collection_of(target).target}: {status}, "
            f"{upload.frame_count} frames, {upload.label_count} {what}."
        )
        if status in {"PARTIAL", "FAILED"}:
            say(
                f"{upload.counts['rejected']} frames were rejected; errors() of the "
                f"upload, or {_LOGS[collection_of(target).layout.kind]}(), says why."
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
