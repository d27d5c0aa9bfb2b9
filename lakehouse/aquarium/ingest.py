"""Captured submissions: the files that the client wrote for the service, loaded.

A folder holds `requests.json` and the files its requests name: frame and crop
rows as JSONL, or both in one row for inferences; vectors as Arrow. Each request
is one upload; files of both client lines, 0.0.67 and 1.0.7, are read. A captured
request that is loaded again is the same upload: its id is made of the request
and of every file.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

import lakehouse
from lakehouse.aquarium.frames import PROPOSALS
from lakehouse.aquarium.sending import Rows
from lakehouse.aquarium.values import is_filler, refused
from lakehouse.aquarium.wire_rows import SPACE_PARTS, as_object
from lakehouse.catalog.project import Project
from lakehouse.catalog.registry import Mode
from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import NotFoundError, Problem
from lakehouse.model.contracts import DATASET, INFERENCE_SET, Layout
from lakehouse.model.ids import NAME_PATTERN
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import KEEPS_VECTOR, Operations
from lakehouse.uploads.upload import Upload

Row = dict[str, Any]
Vector = Sequence[float] | None
"""A vector as sent."""

_LISTING: Final = "requests.json"
_KINDS: Final = ("frame", "crop", "frame_embeddings", "crop_embeddings")
_OPS: Final = ("ADD", "MODIFY", "DELETE")
_DEFAULT_DEVICE: Final = "default_device"
_PLAIN: Final = (
    "top", "left", "width", "height", "x1", "y1", "x2", "y2", "polygons", "keypoints",
    "center", "area", "iscrowd", "resize_mode", "index", "token", "visible",
)  # fmt: skip


def ingest(lake: lakehouse.Lake, project_name: str, folder: str | Path) -> list[Upload]:
    """Load the submissions of datasets and inferences captured in a folder.

    A folder without `requests.json` stands for the folders in it that have one, in
    the order of their names. Everything is read and checked before the first upload
    is made. An inference set is made, and pinned, when its first submission is loaded.

    Args:
        lake: The lake that is loaded.
        project_name: The project; it must exist, with its class map.
        folder: With `requests.json` beside the files it names, or with such folders.

    Returns:
        One upload a request, in their order; the proposals of an unlabelled dataset
        are one of their own, behind that of its frames.

    Raises:
        NotFoundError: If the project does not exist, or the dataset that
            inferences are of.
        InvalidInputError: If files are missing or do not belong together.
    """
    project = lake.project(project_name)
    listed = [
        one
        for place in _places(Path(folder))
        for request in _requests(place)
        for one in _submissions(place, request)
    ]
    _require_datasets(project, listed)
    uploads: list[Upload] = []
    for one in listed:
        target = _target(project, one.request)
        name = f"{project_name}/{one.request.place}/{one.digest}"
        # The id is made of what is sent, so that a second load finds the first.
        upload_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        try:
            # It has been loaded before: the upload is returned as it was settled then.
            uploads.append(target.upload(upload_id))
        except NotFoundError:
            uploads.append(target.submit(one.operations, upload_id=upload_id))
            metadata = one.request.body.get("external_metadata")
            if metadata is not None:
                target.set_metadata(metadata)
    return uploads


# ------------------------- REQUESTS AND THEIR FILES ------------------------- #


@dataclass(frozen=True, slots=True)
class _Request:
    dataset: str
    inference_set: str | None
    body: dict[str, Any]

    @property
    def layout(self) -> Layout:
        """The layout of the tables that it fills."""
        return DATASET if self.inference_set is None else INFERENCE_SET

    @property
    def mode(self) -> Mode:
        """A batch of a dataset lists its files; inferences always do."""
        if self.inference_set is None:
            is_batch = isinstance(self.body["data_url"], list)
        else:
            is_batch = self.body.get("pipeline_mode") == "BATCH"
        return "BATCH" if is_batch else "STREAMING"

    @property
    def place(self) -> str:
        """The dataset or inference set that it is sent to."""
        return "/".join(filter(None, (self.dataset, self.inference_set)))


@dataclass(frozen=True, slots=True)
class _Submission:
    request: _Request
    operations: Operations
    digest: str


def _require_datasets(project: Project, listed: Sequence[_Submission]) -> None:
    """Check that inferences are of datasets that exist, or that come before them."""
    known: set[str] = set()
    for one in (submission.request for submission in listed):
        if one.inference_set is not None and one.dataset not in known:
            # Raises if it does not exist.
            project.dataset(one.dataset)
        known.add(one.dataset)


def _target(project: Project, one: _Request) -> Versioned:
    """The dataset or inference set of a submission, created if it does not exist."""
    if one.inference_set is None:
        return project.create_dataset(one.dataset, mode=one.mode, exist_ok=True)
    return project.dataset(one.dataset).create_inference_set(
        one.inference_set, mode=one.mode, exist_ok=True
    )


def _places(folder: Path) -> list[Path]:
    """The folder, or those below it, that have a list of requests."""
    if (folder / _LISTING).is_file():
        return [folder]
    places = sorted(one.parent for one in folder.rglob(_LISTING))
    if not places:
        raise refused(
            f"There is no {_LISTING} in {folder} or below it: it lists the submissions.",
            "wire.no_requests",
        )
    return places


def _requests(place: Path) -> Iterator[_Request]:
    """The requests that submit frames."""
    listing = place / _LISTING
    for request in json.loads(listing.read_text(encoding="utf-8")):
        body: dict[str, Any] = request.get("json") or {}
        *_, above, last = request["path"].rstrip("/").split("/")
        # Other requests of the session asked questions; only these send frames.
        if "data_url" not in body:
            continue
        if last == "datasets":
            yield _Request(body["dataset_id"], None, body)
        elif last == "inferences":
            yield _Request(above, body["inferences_id"], body)


def _submissions(place: Path, request: _Request) -> Iterator[_Submission]:
    """The submissions of a request: two where labels are proposals, else one.

    Proposals are inferences, so they go to an inference set.
    """
    body = request.body
    urls = body["data_url"]
    if isinstance(urls, list):
        # Frame and labels are in one row, and so are their vectors.
        vectors = body.get("embeddings_url")
        vectors = [vectors] if isinstance(vectors, str) else list(vectors or [])
        both = {"frame_embeddings": vectors, "crop_embeddings": vectors}
        urls = {"frame": urls, "crop": urls, **both}
    files = {
        kind: [_file(place, url) for url in urls.get(kind) or []] for kind in _KINDS
    }
    # The bytes of the files count: a request names them by random ids.
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode())
    for paths in files.values():
        for path in paths:
            digest.update(path.read_bytes())
    content = _Content.of(place, files)
    if not body.get("is_unlabeled_indexed_dataset"):
        yield _Submission(
            request, content.operations(request.layout), digest.hexdigest()
        )
        return
    yield _Submission(request, content.bare().operations(DATASET), digest.hexdigest())
    # The metadata belong to the dataset, not to the set of proposals.
    bare = {name: value for name, value in body.items() if name != "external_metadata"}
    proposal_request = replace(request, inference_set=PROPOSALS, body=bare)
    operations = content.proposals().operations(INFERENCE_SET)
    yield _Submission(proposal_request, operations, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class _Content:
    """The rows of one submission, frame by frame, with the vectors sent."""

    frames: list[Row]
    crops: list[Row]
    vectors: Mapping[str, Vector]
    crop_vectors: list[dict[str, Vector]]

    @classmethod
    def of(cls, place: Path, files: Mapping[str, Sequence[Path]]) -> "_Content":
        """Read files.

        Raises:
            InvalidInputError: If they are not of the same frames.
        """
        # Row i of both files is of one frame; nothing else links labels to their frame.
        frames, crops = _lines(files["frame"]), _lines(files["crop"])
        if [row["task_id"] for row in frames] != [row["task_id"] for row in crops]:
            raise refused(
                f"The frame rows and crop rows in {place} are not of the same frames in "
                "the same order.",
                "wire.rows_differ",
            )
        crop_vectors = _crop_vectors(files["crop_embeddings"])
        if len(crop_vectors) > len(frames):
            raise refused(
                f"The crop embeddings in {place} are of more frames than there are.",
                "wire.rows_differ",
            )
        vectors = _frame_vectors(files["frame_embeddings"])
        return cls(frames, crops, vectors, crop_vectors)

    def operations(self, layout: Layout) -> Operations:
        """The rows as operations on a dataset or an inference set."""
        rows = Rows(layout)
        for frame, crop, crop_vectors in self._triples():
            _add_rows(
                rows, frame, crop, self.vectors.get(frame["task_id"]), crop_vectors
            )
        return rows.operations()

    def _triples(self) -> Iterator[tuple[Row, Row, dict[str, Vector]]]:
        """Frame by frame; frames behind the last vectors sent have none."""
        missing = len(self.frames) - len(self.crop_vectors)
        vectors = [*self.crop_vectors, *({} for _ in range(missing))]
        yield from zip(self.frames, self.crops, vectors, strict=True)

    def bare(self) -> "_Content":
        """The frames of an unlabelled dataset, which has no labels."""
        crops = [row | {"label_data": []} for row in self.crops]
        frames = [row | {"label_data": []} for row in self.frames]
        return _Content(frames, crops, self.vectors, [])

    def proposals(self) -> "_Content":
        """The proposals for the frames; a frame that is only changed may have none."""
        kept = [
            (row, crop, vectors)
            for row, crop, vectors in self._triples()
            if row.get("change") != "MODIFY" or crop["label_data"]
        ]
        names = ("task_id", "change", "reuse_latest_embedding")
        return _Content(
            [{name: row.get(name) for name in names} for row, _, _ in kept],
            [crop for _, crop, _ in kept],
            {},
            [vectors for _, _, vectors in kept],
        )


def _lines(paths: Sequence[Path]) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in paths
        # Not splitlines(): texts may hold other characters that it takes for line ends.
        for line in path.read_text(encoding="utf-8").split("\n")
        if line.strip()
    ]


def _frame_vectors(paths: Sequence[Path]) -> dict[str, Vector]:
    """Frame id to vector."""
    return {
        frame_id: vector
        for path in paths
        for frame_id, vector in pl.read_ipc(path)
        .select("frame_ids", "frame_embeddings")
        .iter_rows()
    }


def _crop_vectors(paths: Sequence[Path]) -> list[dict[str, Vector]]:
    """Label id to vector, a dict a frame: the files name no frames, only their order."""
    return [
        dict(zip(names or [], vectors or [], strict=True))
        for path in paths
        for names, vectors in pl.read_ipc(path)
        .select("crop_ids", "crop_embeddings")
        .iter_rows()
    ]


def _file(place: Path, url: str) -> Path:
    """The captured file of a URL: the service's names start with a random id."""
    name = url.rsplit("/", 1)[-1]
    for candidate in (name, name.split("_", 1)[-1]):
        if (place / candidate).is_file():
            return place / candidate
    raise refused(f"There is no {name} in {place}.", "wire.no_file")


# --------------------------- ROWS BECOME NATIVE --------------------------- #


def _add_rows(
    rows: Rows,
    frame: Mapping[str, Any],
    crop: Mapping[str, Any],
    vector: Vector,
    crop_vectors: Mapping[str, Vector],
) -> None:
    """Add a frame row and the labels of its crop row.

    Args:
        rows: What they are added to, of a dataset or of an inference set.
        frame: A row of a frame file.
        crop: The row of the crop file of the same frame; the same row again for
            inferences, which have frame and labels in one.
        vector: The frame's, as sent.
        crop_vectors: Label id to its vector, as sent.
    """
    frame_id = str(frame["task_id"])
    labels = _labels(rows, crop)
    unknown = {str(row["change"]) for row in (frame, *labels) if _op(row) not in _OPS}
    if unknown:
        rows.problems.append(_change_problem(frame_id, sorted(unknown)))
        # The frame is named, so that the problem rejects it and no other.
        rows.add_frame("MODIFY", {"frame_id": frame_id})
        return
    op = _op(frame)
    of_set = rows.layout.kind == "inference_set"
    plain = (*_PLAIN, "confidence") if of_set else _PLAIN
    native = _inference_frame(rows, frame, op) if of_set else _frame(frame, op)
    if op != "DELETE":
        native |= _vector(frame, vector, replaces=op == "ADD")
    # A change of labels alone needs no frame row: labels name their frame.
    if op != "MODIFY" or len(native) > 1 or not labels:
        rows.add_frame(op, native, _types(frame))
    if op == "DELETE":
        return
    for label in labels:
        native_label = _label(frame_id, label, plain)
        crop_vector = crop_vectors.get(label["uuid"])
        native_label |= _vector(label, crop_vector, replaces=op == "ADD")
        # A frame that is replaced as a whole has no label to merge into.
        rows.add_label("ADD" if op == "ADD" else _op(label), native_label)


def _op(row: Mapping[str, Any]) -> str:
    return str(row.get("change") or "ADD")


def _change_problem(frame_id: str, changes: list[str]) -> Problem:
    return Problem(
        frame_id,
        None,
        f"frames['{frame_id}'].change",
        "wire.change",
        f"change is {', '.join(changes)}.",
        f"It is one of {', '.join(_OPS)}.",
    )


def _types(row: Mapping[str, Any]) -> dict[str, str]:
    """Metadata column to its declared type, as the two side maps have it."""
    modes = as_object(row.get("user_metadata_modes"))
    kinds = as_object(row.get("user_metadata_types"))
    return {
        name: f"list[{kind}]" if modes.get(name) == "list" else str(kind)
        for name, kind in kinds.items()
    }


def _labels(rows: Rows, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The labels of a row; the newer client repeats those of inferences as labels."""
    # The layout's own name first: where both are there, they hold the same labels.
    names = ["label_data", "inference_data"]
    if rows.layout.kind == "inference_set":
        names.reverse()
    return next((list(row[name]) for name in names if row.get(name)), [])


def _vector(
    row: Mapping[str, Any], vector: Vector, *, replaces: bool
) -> dict[str, Any]:
    """The fields of a row's vector; the client's filler is none."""
    if row.get("reuse_latest_embedding"):
        return {KEEPS_VECTOR: True} if replaces else {}
    if not vector or is_filler(vector):
        return {}
    return {"embedding": [float(number) for number in vector]}


def _inference_frame(rows: Rows, row: Mapping[str, Any], op: str) -> dict[str, Any]:
    """The frame of an inference row: metrics, assets, and metadata without types."""
    frame: dict[str, Any] = {"frame_id": row["task_id"]}
    if op == "DELETE":
        return frame
    metadata = as_object(row.get("inference_metadata"))
    parts = {
        "custom_metrics": row.get("custom_metrics"),
        "visualization_assets": metadata.get("visualization_assets"),
    }
    frame |= {name: value for name, value in parts.items() if value}
    for name, value in as_object(metadata.get("user_metadata")).items():
        if re.fullmatch(NAME_PATTERN, name):
            frame[PREFIX + name.removeprefix(PREFIX)] = value
        else:
            rows.problems.append(_name_problem(str(row["task_id"]), name))
    return frame


def _name_problem(frame_id: str, name: str) -> Problem:
    return Problem(
        frame_id,
        None,
        f"frames['{frame_id}'].user_metadata",
        "name.invalid",
        f"{name!r} is no name of a metadata field.",
        "Names are letters, digits and underscores.",
    )


def _frame(row: Mapping[str, Any], op: str) -> dict[str, Any]:
    frame: dict[str, Any] = {"frame_id": row["task_id"]}
    if op == "DELETE":
        return frame
    # A MODIFY row repeats the client's defaults; only the keys listed were set.
    explicit = set(row.get("explicitly_set_keys") or []) if op == "MODIFY" else set(row)
    for name in ("date_captured", "device_id"):
        if name in explicit and row.get(name) is not None:
            frame[name] = row[name]
    # The client fills this in where no device was given.
    if frame.get("device_id") == _DEFAULT_DEVICE:
        del frame["device_id"]
    if "sensor_data" in explicit and (sensors := row.get("sensor_data")):
        frame["sensors"] = [_sensor(sensor) for sensor in sensors]
    if "coordinate_frames" in explicit and (frames := row.get("coordinate_frames")):
        frame["coordinate_frames"] = list(frames)
    if "geo_data" in explicit and (geo := as_object(row.get("geo_data"))):
        frame["latitude"] = geo["geo_EPSG4326_lat"]
        frame["longitude"] = geo["geo_EPSG4326_lon"]
    frame |= {name: value for name, value in row.items() if name.startswith(PREFIX)}
    return frame


def _label(
    frame_id: str, label: Mapping[str, Any], plain: Sequence[str]
) -> dict[str, Any]:
    """A label; attributes of the names in `plain` are columns as they are."""
    attributes = as_object(label.get("attributes"))
    kind = label["label_type"]
    native: dict[str, Any] = {
        "frame_id": frame_id,
        "label_id": label["uuid"],
        "label_type": kind,
        "class_name": label.get("label"),
        "coordinate_frame": label.get("label_coordinate_frame"),
    }
    native |= {name: attributes.pop(name) for name in plain if name in attributes}
    for name, parts in SPACE_PARTS.items():
        if parts[0] in attributes:
            native[name] = [attributes.pop(part) for part in parts]
    if "url" in attributes:
        native["mask_url"] = attributes.pop("url")
    # Attributes of an instance lie one level deeper, with or without the prefix.
    if kind == "INSTANCE_LABEL_2D" and "id" in attributes:
        native["instance_id"] = attributes.pop("id")
        inner = as_object(attributes.pop("attributes", None))
        attributes |= {
            name if name.startswith(PREFIX) else PREFIX + name: value
            for name, value in inner.items()
        }
    # What is left in the attributes: links, the user's own, and derived figures,
    # which the service computed and nobody sent.
    links = {
        name: value for name, value in attributes.items() if name.startswith("link__")
    }
    user = {
        name: value for name, value in attributes.items() if name.startswith(PREFIX)
    }
    rest = {
        name: value
        for name, value in attributes.items()
        if name not in links and name not in user and not name.startswith("derived__")
    }
    if links:
        native["links"] = {
            name.removeprefix("link__"): value for name, value in links.items()
        }
    if rest and kind == "CLASSIFICATION_2D":
        native["secondary_labels"] = rest
    present = {name: value for name, value in native.items() if value is not None}
    return present | user


def _sensor(sensor: Mapping[str, Any]) -> dict[str, Any]:
    urls, facts = (
        as_object(sensor.get("data_urls")),
        as_object(sensor.get("sensor_metadata")),
    )
    flat = {
        name: value
        for name, value in sensor.items()
        if name not in {"data_urls", "sensor_metadata"}
    }
    # The client wrote missing values as the text "None".
    facts = {name: None if value == "None" else value for name, value in facts.items()}
    return flat | urls | facts
