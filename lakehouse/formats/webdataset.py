"""WebDataset: tar files of samples, as the package of that name streams them.

    shard-000000.tar        000000000.png  000000000.json  000000001.png  …

The JSON of a sample is its frame, with `labels`. On the way in, fields that no frame
has become metadata; `.cls` is the class of the image, by its place among the
project's or by name, and `.txt` becomes `user__text`.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Final

from lakehouse.errors import Problem
from lakehouse.formats.content import Content, Form, Losses, Row, Source, Target, dumped
from lakehouse.formats.files import IMAGE_ENDINGS, Origin, fault, require_unique
from lakehouse.formats.imagefolder import native
from lakehouse.formats.names import ending_of, id_of_name
from lakehouse.formats.pictures import fetched
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problems

FORM: Final = Form("WebDataset", media=True)

SHARD_BYTES: Final = 512 * 1024**2
"""A shard is closed once it is so large."""


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a shard, or every one below a folder.

    Raises:
        InvalidInputError: If there is none, or one cannot be read; all are named.
    """
    shards = [path] if path.is_file() else sorted(path.rglob("*.tar"))
    frames, labels, problems = list[Row](), list[Row](), list[Problem]()
    for place, shard in enumerate(shards):
        origin.progress("shards", place, len(shards))
        try:
            for frame, its in _samples(shard, origin, losses):
                frames.append(frame)
                labels += [{"frame_id": frame["frame_id"]} | label for label in its]
        except (tarfile.TarError, ValueError, OSError) as error:
            told = f"The shard cannot be read: {error}."
            problems.append(fault(shard.name, "webdataset.shard", told, "Mend it."))
    if not shards:
        told = "There is no .tar file below it."
        problems.append(fault(str(path), "webdataset.shard", told, "Name another."))
    Problems(problems).raise_if_any("Nothing was written: files cannot be read.")
    require_unique(frames)
    names = dict.fromkeys(str(label["class_name"]) for label in labels)
    return Content(frames, labels, tuple(names))


def _samples(
    shard: Path, origin: Origin, losses: Losses
) -> Iterator[tuple[Row, list[Row]]]:
    with tarfile.open(shard) as tar:
        files = (member for member in tar if member.isfile())
        for key, members in groupby(files, key=lambda member: _key(member.name)):
            parts = {_ending(member.name): member for member in members}
            fields = _json(tar, parts.get(".json"))
            labels = fields.pop("labels", None) or []
            if not isinstance(labels, list):
                raise ValueError(f"labels of {key} are no list")  # noqa: TRY004
            frame: Row = {"frame_id": id_of_name(PurePosixPath(key).name)}
            image = next((parts[end] for end in parts if end in IMAGE_ENDINGS), None)
            if image is not None:
                frame["image_url"] = _url(shard, image.name, origin)
            if text := _text(tar, parts.get(".txt")):
                frame[f"{PREFIX}text"] = text
            frame |= native(fields, "frames", losses)
            its = [native(label, "labels", losses) for label in labels]
            if kind := _text(tar, parts.get(".cls")):
                label = {"label_id": "class", "label_type": "CLASSIFICATION_2D"}
                its.append(label | {"class_name": kind.strip()})
            yield frame, its


def _url(shard: Path, name: str, origin: Origin) -> str:
    """An image within a shard, as fsspec names it."""
    if origin.prefix is not None:
        return origin.url(name)
    return f"tar://{name}::file://{shard.absolute()}"


def _key(name: str) -> str:
    """What a sample's files have in common: all before the name's first dot."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition('.')[0]}".lstrip("/")


def _ending(name: str) -> str:
    return "." + name.rpartition("/")[2].partition(".")[2].lower()


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, Any]:
    found = json.loads(_text(tar, member) or "{}")
    if not isinstance(found, dict):
        raise ValueError("the JSON of a sample is no object")  # noqa: TRY004
    return found


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> str:
    file = None if member is None else tar.extractfile(member)
    return "" if file is None else file.read().decode()


# ---------------------------------- WRITING --------------------------------- #


def write(source: Source, target: Target) -> None:
    """Write shards, those of each part in a folder of its own."""
    shards: dict[str, _Shards] = {}
    problems = list[Problem]()
    place = 0
    try:
        for batch in source.batches(target.progress):
            frames = [frame for frame, _ in batch]
            images = fetched(frames, source.media, problems) if target.media else ()
            data = list(images) or [None] * len(frames)
            for (frame, labels), image in zip(batch, data, strict=True):
                part = target.part_of(frame) or ""
                tar = shards.setdefault(part, _Shards(target.folder / part))
                ending = (ending_of(frame.get("image_url", "")) or ".jpg").lower()
                tar.add(f"{place:09}", frame, labels, ending, image)
                place += 1
    finally:
        for tar in shards.values():
            tar.close()
    Problems(problems).raise_if_any("Nothing was exported.")


class _Shards:
    """The tar files of one part, a new one whenever the last is large enough."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._tar: tarfile.TarFile | None = None
        self._count = self._bytes = 0

    def add(
        self, key: str, frame: Row, labels: list[Row], ending: str, image: bytes | None
    ) -> None:
        """Add a sample."""
        its = [_without(label, "frame_id") for label in labels]
        text = dumped(frame | {"labels": its}).encode()
        tar = self._open()
        if image is not None:
            self._put(tar, key + ending, image)
        self._put(tar, f"{key}.json", text)

    def close(self) -> None:
        """Close the last shard."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None

    def _open(self) -> tarfile.TarFile:
        if self._tar is not None and self._bytes >= SHARD_BYTES:
            self.close()
        if self._tar is None:
            path = self._folder / f"shard-{self._count:06}.tar"
            self._tar, self._bytes = tarfile.open(path, "w"), 0  # noqa: SIM115
            self._count += 1
        return self._tar

    def _put(self, tar: tarfile.TarFile, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
        self._bytes += len(data)


def _without(row: Row, name: str) -> Row:
    return {field: value for field, value in row.items() if field != name}
