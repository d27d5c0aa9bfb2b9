"""The client's calls on datasets: reading and describing them, and sending to them.

Every call that sends makes one upload and returns it. `known_frames` and
`submit` serve the calls on inferences as well.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import polars as pl

from lakehouse.aquarium.content import (
    Models,
    checked_content,
    dataset_to_fill,
    models_of,
    require_models,
    set_to_fill,
)
from lakehouse.aquarium.frames import (
    PROPOSALS,
    LabeledDataset,
    LabeledFrame,
    UnlabeledDataset,
    UpdateGTLabelSet,
    proposals_on,
    without_proposals,
)
from lakehouse.aquarium.sending import operations_of, unknown_frames
from lakehouse.aquarium.values import (
    checked_external,
    checked_mode,
    refused,
    require_distance,
    require_duration,
)
from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.lake import Lake
from lakehouse.catalog.project import Project
from lakehouse.catalog.registry import Mode
from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import NotFoundError, Problem, WaitTimeoutError
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import check_name
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.model.operations import Operations
from lakehouse.uploads.upload import Upload
from lakehouse.versions.snapshot import collection_of

_STATES: Final = {
    "DONE": "DONE",
    "PARTIAL": "WINDOW_ERRORED",
    "FAILED": "WINDOW_ERRORED",
}
"""Status of an upload to the client's word for it."""
_FIELDS: Final = frozenset({"device_id", "latitude", "longitude"})
_SHOWN: Final = 20
"""Ids of frames left out that are printed."""
_LOGS: Final = {
    "dataset": "get_dataset_ingest_error_logs",
    "inference_set": "get_inferences_ingest_error_logs",
}

# --------------------------------- READING -------------------------------- #


def open_dataset(lake: Lake, project_id: str, dataset_id: str) -> Dataset:
    """A dataset, archived ones included.

    Raises:
        NotFoundError: If there is no such project or dataset.
    """
    return lake.project(project_id).dataset(dataset_id)


def get_datasets(
    lake: Lake, project_id: str, *, include_archived: bool
) -> list[dict[str, Any]]:
    """The datasets of a project in the client's keys."""
    datasets = lake.project(project_id).datasets(archived=include_archived)
    return [describe_dataset(dataset) for dataset in datasets]


def dataset_exists(lake: Lake, project_id: str, dataset_id: str) -> bool:
    """Whether there is a dataset of that name, archived ones included."""
    try:
        open_dataset(lake, project_id, dataset_id)
    except NotFoundError:
        return False
    return True


def is_dataset_processed(dataset: Dataset) -> bool:
    """Whether it can be read, and nothing sent to it waits."""
    return dataset.is_ready and not dataset.is_processing


def process_state(target: Versioned) -> tuple[str, float]:
    """How the newest upload stands in the client's words, and how many are settled."""
    # A clone in the making can be listed before it can be read.
    if not target.is_ready:
        return "PENDING", 0.0
    uploads = target.uploads()
    if not uploads.height:
        return "DONE", 100.0
    newest = uploads.row(0, named=True)
    waiting = uploads.filter(pl.col("status") == "PENDING").height
    status = str(newest["status"])
    state = _STATES.get(status, status)
    # An error of the upload itself, not of its frames: the merge failed.
    if status == "FAILED" and newest["error"]:
        state = "AGG_ERRORED"
    return state, 100.0 * (uploads.height - waiting) / uploads.height


def error_logs(target: Versioned) -> list[dict[str, Any]]:
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


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """A dataset in the client's keys; a clone in the making has no version or counts."""
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


def get_frame_ids(dataset: Dataset) -> list[str]:
    """The ids of all frames of the latest version, sorted."""
    frames = dataset.latest().frames()
    return frames.select("frame_id").collect().to_series().sort().to_list()


def get_frame(dataset: Dataset, frame_id: str) -> LabeledFrame:
    """One frame of the latest version with its labels, as a MODIFY frame.

    Raises:
        NotFoundError: If the frame is not there.
    """
    frame, labels = dataset.latest().frame(frame_id)
    return _rehydrated(frame, labels)


def get_frames(dataset: Dataset, frame_ids: list[str]) -> dict[str, LabeledFrame]:
    """Frames by id, in the order asked for; unknown ids are left out."""
    latest = dataset.latest()
    wanted = pl.DataFrame({"frame_id": list(dict.fromkeys(frame_ids))}).lazy()
    frames = latest.frames().join(wanted, on="frame_id", how="semi")
    labels = latest.labels().join(wanted, on="frame_id", how="semi")
    # Both tables in one pass; labels sorted, so that parts are in their order.
    rows, of_frames = pl.collect_all([frames, labels.sort("frame_id", "label_id")])
    parts = of_frames.partition_by("frame_id", as_dict=True)
    none = of_frames.clear()
    by_id = {
        row["frame_id"]: _rehydrated(row, parts.get((row["frame_id"],), none))
        for row in rows.iter_rows(named=True)
    }
    return {name: by_id[name] for name in frame_ids if name in by_id}


def _rehydrated(row: dict[str, Any], labels: pl.DataFrame) -> LabeledFrame:
    frame = LabeledFrame(frame_id=row["frame_id"], update_type="MODIFY")
    if row["date_captured"] is not None:
        frame.fields["date_captured"] = row["date_captured"].isoformat()
    for name, value in row.items():
        is_field = name in _FIELDS or name.startswith(PREFIX)
        if is_field and value is not None:
            frame.fields[name] = value
    frame.coordinate_frames = [
        known | {"metadata": json.loads(known["metadata"] or "{}")}
        for known in row["coordinate_frames"] or []
    ]
    frame.sensors = list(row["sensors"] or [])
    # A frame of one image has no list of sensors, only columns for it.
    if not frame.sensors and row["image_url"] is not None:
        size = {"width": row["width"], "height": row["height"]}
        frame.add_image(image_url=row["image_url"], **size)
    # As ADD: sent back, the labels replace those stored under the same ids.
    for label in labels.iter_rows(named=True):
        given = {name: value for name, value in label.items() if value is not None}
        given.pop("frame_id")
        frame.labels[label["label_id"]] = {**given, "_op": "ADD"}
    return frame


# --------------------------------- SENDING -------------------------------- #


def create_or_update_dataset(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    dataset: LabeledDataset | UnlabeledDataset | None,
    *,
    distance: str,
    mode: str,
    external_metadata: dict[str, Any] | None,
    wait_timeout: timedelta,
    wait: bool,
) -> Upload:
    """Create a dataset, or send frames to one, and wait for the merge where asked to."""
    check_name("dataset", dataset_id)
    require_distance(distance)
    require_duration(wait_timeout)
    checked = checked_mode(mode)
    upload = _send(lake, project_id, dataset_id, dataset, checked, external_metadata)
    return wait_and_report(upload, wait_timeout) if wait else upload


def add_to_streaming_dataset(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    dataset: LabeledDataset | UnlabeledDataset | None,
    *,
    distance: str,
    external_metadata: dict[str, Any] | None,
    upload_version: str | None,
) -> Upload:
    """Send frames to a dataset, without waiting."""
    check_name("dataset", dataset_id)
    require_distance(distance)
    return _send(
        lake,
        project_id,
        dataset_id,
        dataset,
        "STREAMING",
        external_metadata,
        upload_version,
    )


def _send(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    dataset: LabeledDataset | UnlabeledDataset | None,
    asked: Mode,
    external_metadata: dict[str, Any] | None,
    upload_version: str | None = None,
) -> Upload:
    """Check everything, then create the dataset if it does not exist, then send."""
    project = active_project(lake, project_id)
    content = checked_content(dataset, project)
    checked_external(external_metadata)
    models = models_of(content.frames.values())
    proposals, proposal_models = None, models
    if isinstance(content, UnlabeledDataset):
        bare = [without_proposals(frame) for frame in content.frames.values()]
        operations = operations_of(bare, content.deleted)
        proposed = proposals_on(content.frames.values())
        # A frame deleted here is deleted among the proposals too.
        proposals = operations_of(proposed, content.deleted, layout=INFERENCE_SET)
        # Frames stay in the dataset, and labels go: so do the vectors of each.
        models, proposal_models = (
            Models(models.frames, None),
            Models(None, models.labels),
        )
    else:
        operations = operations_of(content.frames.values(), content.deleted)
    # Either place may ask for it; the service's client needed both.
    is_batch = "BATCH" in {content.pipeline_mode, asked}
    mode: Mode = "BATCH" if is_batch else "STREAMING"
    # Everything has been checked: from here on the lake is written to.
    target = dataset_to_fill(project, dataset_id, mode, models)
    if external_metadata is not None:
        target.set_metadata(external_metadata)
    upload = submit(target, operations, upload_version)
    if proposals is not None and (proposals.frames.height or proposals.labels.height):
        inference_set = set_to_fill(target, PROPOSALS, mode, proposal_models)
        submit(inference_set, proposals, upload_version)
    return upload


def update_dataset_frames(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    update: Sequence[LabeledFrame],
    upload_version: str | None = None,
) -> Upload:
    """Change frames that exist; ids unknown to the dataset are left out."""
    target = active_project(lake, project_id).dataset(dataset_id)
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
    known, problems = known_frames(target, [frame.frame_id for frame in update])
    kept = [frame for frame in update if frame.frame_id in known]
    operations = operations_of(kept, problems=problems)
    return submit(target, operations, upload_version)


def update_dataset_labels(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    update: Sequence[UpdateGTLabelSet],
    upload_version: str | None,
) -> Upload:
    """Add and change labels of frames that exist; their other labels stay."""
    target = active_project(lake, project_id).dataset(dataset_id)
    for label_set in update:
        if not isinstance(label_set, UpdateGTLabelSet):
            raise refused(f"{type(label_set).__name__} is no UpdateGTLabelSet.")
    known, problems = known_frames(target, [one.frame_id for one in update])
    kept = [label_set for label_set in update if label_set.frame_id in known]
    operations = operations_of(label_sets=kept, problems=problems)
    return submit(target, operations, upload_version)


def update_frames_metadata(
    lake: Lake,
    project_id: str,
    dataset_id: str,
    frame_metadata_updates: Mapping[str, dict[str, Any]],
) -> Upload:
    """Change metadata of many frames: `{frame_id: {field: value}}`."""
    target = active_project(lake, project_id).dataset(dataset_id)
    collection = collection_of(target)
    types = collection.metadata_types("frames", collection.head().version)
    frames = [
        _with_metadata(frame_id, fields, types)
        for frame_id, fields in frame_metadata_updates.items()
    ]
    return update_dataset_frames(lake, project_id, dataset_id, frames)


def active_project(lake: Lake, project_id: str) -> Project:
    """A project that may be written to.

    Raises:
        ArchivedError: If it is archived.
    """
    project = lake.project(project_id)
    project.require_active()
    return project


def known_frames(
    target: Versioned, frame_ids: list[str]
) -> tuple[set[str], list[Problem]]:
    """Those of the ids that exist, and a warning for each that does not.

    Raises:
        InvalidInputError: If an id is given twice, or none exists.
    """
    twice = sorted(name for name, count in Counter(frame_ids).items() if count > 1)
    if twice:
        raise refused(f"Frames {twice} are given twice.", "frame.repeated")
    if target.is_processing:
        # A frame may be in an upload that waits: the merge decides.
        return set(frame_ids), []
    keys = pl.Series("frame_id", frame_ids, dtype=pl.String)
    collection = collection_of(target)
    version = collection.head().version
    rows = collection.scan("frames", version, keys=keys, columns=["frame_id"])
    known = set(rows.collect().to_series().to_list())
    # Left out with a warning, where the service left them out without a word.
    unknown = [frame_id for frame_id in frame_ids if frame_id not in known]
    if not known:
        raise refused(
            f"None of the frames is in {target.name!r}, so there is nothing to update.",
            "frame.unknown",
        )
    if unknown:
        more = " …" if len(unknown) > _SHOWN else ""
        shown = ", ".join(unknown[:_SHOWN])
        say(f"Left out, not in {target.name}: {shown}{more}")
    return known, unknown_frames(unknown, target.name)


def submit(
    target: Versioned, operations: Operations, upload_version: str | None = None
) -> Upload:
    """Send operations as one upload, and print how it went."""
    named = {} if upload_version is None else {"upload_version": upload_version}
    # Rows with problems are in the upload; `submit` does not raise for them.
    upload = target.submit(operations, metadata=named)
    status = upload.status
    collection = collection_of(target)
    what = collection.layout.folder("labels")
    say(
        f"Upload {upload.id} to {collection.target}: {status}, "
        f"{upload.frame_count} frames, {upload.label_count} {what}."
    )
    if status in {"PARTIAL", "FAILED"}:
        say(
            f"{upload.counts['rejected']} frames were rejected; errors() of the "
            f"upload, or {_LOGS[collection.layout.kind]}(), says why."
        )
    return upload


def say(text: str) -> None:
    """Print progress for whoever runs the script, as the service's client does."""
    print(text)  # noqa: T201 - the one place that prints


def wait_and_report(upload: Upload, timeout: timedelta) -> Upload:
    """Wait, and print the outcome; the service's client never raises here."""
    try:
        say(f"Upload {upload.id}: {upload.wait(timeout).status}.")
    except WaitTimeoutError as error:
        say(str(error))
    return upload


def _with_metadata(
    frame_id: str, fields: dict[str, Any], types: dict[str, pl.DataType]
) -> LabeledFrame:
    frame = LabeledFrame(frame_id=frame_id, update_type="MODIFY")
    for name, value in fields.items():
        # In a change, None leaves the stored value.
        if value is None:
            continue
        dtype = types.get(f"{PREFIX}{name}")
        known = None if dtype is None else MetadataType.from_dtype(dtype)
        is_list = isinstance(value, list | tuple)
        if known is not None and known.is_list != is_list:
            raise refused(f"{name} is {known.name} in this dataset.", "metadata.mode")
        element = None if known is None else known.element
        if is_list:
            frame.add_user_metadata_list(name, value, element)
        else:
            frame.add_user_metadata(name, value, element)
    return frame
