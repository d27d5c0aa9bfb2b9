"""Captured submissions: the files that the client wrote for the service, loaded.

A folder holds `requests.json` and the files its requests name: frame and crop
rows as JSONL, vectors as Arrow. Each request is one upload; files of both
client lines, 0.0.67 and 1.0.7, are read. Captured requests may be loaded twice:
the second time they are the same uploads.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

import lakehouse
from lakehouse.aquarium.values import refused
from lakehouse.aquarium.wire import frame_row, label_rows
from lakehouse.errors import NotFoundError
from lakehouse.intake import combine, frame_operations, label_operations
from lakehouse.model.operations import Operations
from lakehouse.upload import Upload

__all__ = ["ingest"]


def ingest(lake: lakehouse.Lake, project_name: str, folder: str | Path) -> list[Upload]:
    """Load the dataset submissions captured in a folder.

    Args:
        lake: Where to.
        project_name: The project; it must exist, with its class map.
        folder: With `requests.json` beside the files it names.

    Returns:
        One upload a request, in their order.

    Raises:
        NotFoundError: If the project does not exist.
        InvalidInputError: If files are missing or do not belong together.
    """
    project = lake.project(project_name)
    place = Path(folder)
    listing = place / "requests.json"
    if not listing.is_file():
        raise refused(
            f"There is no {listing}: it lists the submissions.", "wire.no_requests"
        )
    requests: list[dict[str, Any]] = json.loads(listing.read_text(encoding="utf-8"))
    uploads: list[Upload] = []
    for request in requests:
        body: dict[str, Any] = request.get("json") or {}
        if request["path"].endswith("/inferences"):
            raise refused(
                "The folder holds inferences; only datasets can be loaded so far.",
                "wire.inferences",
            )
        if not request["path"].endswith("/datasets") or "data_url" not in body:
            continue
        dataset = project.create_dataset(body["dataset_id"], exist_ok=True)
        if body.get("external_metadata"):
            dataset.set_metadata(body["external_metadata"])
        operations, digest = _operations(place, body["data_url"])
        # Seeded by the content: loading a folder twice is the same upload.
        name = f"{project_name}/{body['dataset_id']}/{digest}"
        upload_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        uploads.append(_submitted(dataset, operations, upload_id))
    return uploads


def _submitted(
    dataset: lakehouse.Dataset, operations: Operations, upload_id: str
) -> Upload:
    try:
        return dataset.upload(upload_id)
    except NotFoundError:
        return dataset.submit(operations, upload_id=upload_id)


def _operations(place: Path, urls: Mapping[str, list[str]]) -> tuple[Operations, str]:
    digest = hashlib.sha256()
    lines: dict[str, list[dict[str, Any]]] = {}
    for kind in ("frame", "crop"):
        lines[kind] = []
        for url in urls.get(kind, []):
            data = _file(place, url).read_bytes()
            digest.update(data)
            lines[kind] += [
                json.loads(line) for line in data.splitlines() if line.strip()
            ]
    frames, crops = lines["frame"], lines["crop"]
    ids = [row["task_id"] for row in frames]
    if ids != [row["task_id"] for row in crops]:
        raise refused(
            f"The frame rows and crop rows in {place} are not of the same frames in the "
            "same order.",
            "wire.rows_differ",
        )
    vectors = _vectors(place, urls)
    by_op: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for frame, crop in zip(frames, crops, strict=True):
        op, row = frame_row(frame, vectors[0])
        if row is not None:
            by_op.setdefault(("frame", op), []).append(row)
        for label_op, label in label_rows(crop, vectors[1]):
            by_op.setdefault(("label", label_op), []).append(label)
    return combine(
        [_part(kind, op, rows) for (kind, op), rows in by_op.items()]
    ), digest.hexdigest()


def _part(kind: str, op: Any, rows: list[dict[str, Any]]) -> Operations:
    if kind == "frame":
        taken, problems = frame_operations(rows, op=op)
        return Operations(taken, pl.DataFrame(), problems)
    taken, problems = label_operations(rows, op=op)
    return Operations(pl.DataFrame(), taken, problems)


def _vectors(
    place: Path, urls: Mapping[str, list[str]]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Frame id to vector, and label id to vector."""
    frames: dict[str, list[float]] = {}
    crops: dict[str, list[float]] = {}
    for url in urls.get("frame_embeddings", []):
        rows = pl.read_ipc(_file(place, url))
        pairs = zip(rows["frame_ids"], rows["frame_embeddings"], strict=True)
        frames |= {name: [float(x) for x in vector] for name, vector in pairs}
    for url in urls.get("crop_embeddings", []):
        rows = pl.read_ipc(_file(place, url))
        for names, found in zip(rows["crop_ids"], rows["crop_embeddings"], strict=True):
            pairs = zip(names, found, strict=True)
            crops |= {name: [float(x) for x in vector] for name, vector in pairs}
    return frames, crops


def _file(place: Path, url: str) -> Path:
    """The captured file of a URL: the service's names start with a random id."""
    name = url.rsplit("/", 1)[-1]
    for candidate in (name, name.split("_", 1)[-1]):
        if (place / candidate).is_file():
            return place / candidate
    raise refused(f"There is no {name} in {place}.", "wire.no_file")
