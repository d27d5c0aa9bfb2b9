"""The client's calls that look at datasets, and those that change single fields.

What they tell of uploads is told of inference sets by the same functions.
"""

import json
from typing import Any, Final

import polars as pl

from lakehouse.aquarium.frames import LabeledFrame
from lakehouse.aquarium.projects import ProjectCalls
from lakehouse.aquarium.values import checked_external
from lakehouse.dataset import Dataset
from lakehouse.errors import NotFoundError
from lakehouse.model.metadata import PREFIX
from lakehouse.registered import Registered

__all__ = ["DatasetGetters", "error_logs", "process_state"]

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
        version = target.collection.head().version
        keys = pl.Series("frame_id", frame_ids, dtype=pl.String)
        rows = target.collection.scan(
            "frames", version, keys=keys, columns=["frame_id"]
        )
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
    version = target.collection.head().version
    rows = target.collection.scan("upload_errors", version).collect()
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
