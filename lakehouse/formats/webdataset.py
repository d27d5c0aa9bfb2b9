"""WebDataset: tar files of samples, as the package of that name streams them.

    shard-000000.tar        000000000.png  000000000.json  000000001.png  …

The JSON of a sample is its frame, with `labels`. When read, fields that frames do not
have become metadata; `.cls` is the class of the image, by its number in the project
or by its name, and `.txt` becomes `user__text`.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Final

from lakehouse.formats.content import (
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    to_json,
)
from lakehouse.formats.files import IMAGE_ENDINGS, Origin, require_unique
from lakehouse.formats.imagefolder import known_fields
from lakehouse.formats.names import ending_of, id_of_name
from lakehouse.formats.pictures import fetch_images
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problems

FORM: Final = Form("WebDataset", media=True)

# Readers shuffle and share out whole shards: many enough for all workers, large enough
# to be read in one stream.
SHARD_BYTES: Final = 512 * 1024**2
"""A shard of this size or more is closed, and the next one begun."""


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a shard, or every one below a folder.

    Raises:
        InvalidInputError: If there is none, or one cannot be read; all are named.
    """
    shards = [path] if path.is_file() else sorted(path.rglob("*.tar"))
    frames, labels, problems = list[Row](), list[Row](), Problems()
    for place, shard in enumerate(shards):
        origin.progress("shards", place, len(shards))
        try:
            for frame, members in _samples(shard, origin, losses):
                frames.append(frame)
                labels += [{"frame_id": frame["frame_id"]} | one for one in members]
        except (tarfile.TarError, ValueError, OSError) as error:
            problems.add(
                shard.name,
                rule="webdataset.shard",
                message=f"The shard cannot be read: {error}.",
                hint="Correct it, or leave it out.",
            )
    if not shards:
        problems.add(
            str(path),
            rule="webdataset.shard",
            message="The folder holds no .tar file.",
            hint="Name another folder.",
        )
    problems.raise_if_any("Nothing was written: files cannot be read.")
    require_unique(frames)
    names = dict.fromkeys(str(label["class_name"]) for label in labels)
    return Content(frames, labels, tuple(names))


def _samples(
    shard: Path, origin: Origin, losses: Losses
) -> Iterator[tuple[Row, list[Row]]]:
    with tarfile.open(shard) as tar:
        files = (member for member in tar if member.isfile())
        # Readers stream: the files of a sample stand one after the other.
        for key, members in groupby(files, key=lambda member: _key(member.name)):
            # All after the first dot is the ending, as WebDataset has it: `a.seg.png`
            # is the part `seg.png` of sample `a`.
            parts = {_ending(member.name): member for member in members}
            fields = _json(tar, parts.get(".json"))
            labels = fields.pop("labels", None) or []
            if not isinstance(labels, list):
                raise ValueError(f"labels of {key} are not a list")  # noqa: TRY004
            frame: Row = {"frame_id": id_of_name(PurePosixPath(key).name)}
            image = next((parts[end] for end in parts if end in IMAGE_ENDINGS), None)
            if image is not None:
                frame["image_url"] = _url(shard, image.name, origin)
            if text := _text(tar, parts.get(".txt")):
                frame[f"{PREFIX}text"] = text
            frame |= known_fields(fields, "frames", losses)
            rows = [known_fields(label, "labels", losses) for label in labels]
            if kind := _text(tar, parts.get(".cls")):
                label = {"label_id": "class", "label_type": "CLASSIFICATION_2D"}
                rows.append(label | {"class_name": kind.strip()})
            yield frame, rows


def _url(shard: Path, name: str, origin: Origin) -> str:
    """An image within a shard, as fsspec names it."""
    # With a prefix the images lie outside, unpacked, under the names they have in the
    # shard.
    if origin.prefix is not None:
        return origin.url(name)
    return f"tar://{name}::file://{shard.absolute()}"


def _key(name: str) -> str:
    """The key of a sample: its files share all before the first dot of their name."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition('.')[0]}".lstrip("/")


def _ending(name: str) -> str:
    return "." + name.rpartition("/")[2].partition(".")[2].lower()


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, Any]:
    fields = json.loads(_text(tar, member) or "{}")
    if not isinstance(fields, dict):
        raise ValueError("the JSON of a sample is not an object")  # noqa: TRY004
    return fields


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> str:
    file = None if member is None else tar.extractfile(member)
    return "" if file is None else file.read().decode()


# ---------------------------------- WRITING --------------------------------- #


def write(source: Source, target: Target) -> None:
    """Write shards, those of each part in a folder of its own."""
    shards: dict[str, _Shards] = {}
    problems = Problems()
    place = 0
    try:
        for batch in source.batches(target.progress):
            frames = [frame for frame, _ in batch]
            images = (
                fetch_images(frames, source.media, problems) if target.media else ()
            )
            data = list(images) or [None] * len(frames)
            for (frame, labels), image in zip(batch, data, strict=True):
                part = target.part_of(frame) or ""
                tar = shards.setdefault(part, _Shards(target.folder / part))
                ending = (ending_of(frame.get("image_url", "")) or ".jpg").lower()
                # Numbers, not frame ids, as keys: an id may hold a dot, where a reader
                # cuts the key off. The id itself is in the JSON.
                tar.add(f"{place:09}", frame, labels, ending, image)
                place += 1
    finally:
        for tar in shards.values():
            tar.close()
    problems.raise_if_any("Nothing was exported.")


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
        members = [
            {name: value for name, value in label.items() if name != "frame_id"}
            for label in labels
        ]
        text = to_json(frame | {"labels": members}).encode()
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
        # Asked before a sample, never within: its files have to stay in one shard.
        if self._tar is not None and self._bytes >= SHARD_BYTES:
            self.close()
        if self._tar is None:
            path = self._folder / f"shard-{self._count:06}.tar"
            self._tar, self._bytes = tarfile.open(path, "w"), 0  # noqa: SIM115
            self._count += 1
        return self._tar

    def _put(self, tar: tarfile.TarFile, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        # A TarInfo has time 0 and no owner unless they are set: equal rows give equal
        # shards.
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
        self._bytes += len(data)
