"""Which files a source means: a path, a folder, a pattern; local or on S3."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import fsspec

from lakehouse.errors import InvalidInputError
from lakehouse.storage import s3_files

__all__ = ["SourceFiles", "find_files"]

_KINDS: Final = {
    ".parquet": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_PATTERN: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files of one kind."""

    system: Any
    """The fsspec file system that they are on."""
    paths: tuple[str, ...]
    """As the file system names them, sorted."""
    kind: str
    """`parquet`, `ipc`, `csv` or `jsonl`."""
    options: Mapping[str, str]
    """The `AWS_…` settings that they are read with."""

    @property
    def uris(self) -> list[str]:
        """The paths as Polars takes them."""
        return [str(self.system.unstrip_protocol(path)) for path in self.paths]

    @property
    def signature(self) -> str:
        """Equal for the same files with the same content, as far as listings tell."""
        told = [self.system.info(path) for path in self.paths]
        marks = [
            (one["name"], one["size"], one.get("ETag") or one.get("mtime"))
            for one in told
        ]
        return hashlib.sha256(repr(marks).encode()).hexdigest()[:32]


def find_files(source: str, options: Mapping[str, str]) -> SourceFiles:
    """The files that a path, a folder or a pattern names.

    Args:
        source: A local path, or `s3://bucket/…`; may be a folder, or have `*`.
        options: The `AWS_…` settings for S3.

    Raises:
        InvalidInputError: If there are none, or they are of several kinds.
    """
    is_remote = source.startswith("s3://")
    system = s3_files(options) if is_remote else fsspec.filesystem("file")
    place = str(system._strip_protocol(source))  # noqa: SLF001 - fsspec's own way
    if _PATTERN.intersection(place):
        found = system.glob(place)
    elif system.isdir(place):
        found = system.find(place)
    else:
        found = [place] if system.exists(place) else []
    kinds = {path: _kind_of(path) for path in sorted(found) if not _is_hidden(path)}
    known = {path: kind for path, kind in kinds.items() if kind}
    if not known:
        raise InvalidInputError(
            f"There is no file to load at {source}. Name a file, a folder or a pattern "
            f"with files of one kind: {', '.join(_KINDS)}.",
            kind="input.no_file",
        )
    if len(set(known.values())) > 1:
        raise InvalidInputError(
            f"{source} has files of several kinds: {', '.join(sorted(set(known.values())))}. "
            "Name those of one kind with a pattern such as *.parquet.",
            kind="input.file_kind",
        )
    (kind,) = set(known.values())
    return SourceFiles(system, tuple(known), kind, options)


def _kind_of(path: str) -> str | None:
    name = path.rpartition("/")[2].lower()
    return next((kind for end, kind in _KINDS.items() if name.endswith(end)), None)


def _is_hidden(path: str) -> bool:
    return path.rpartition("/")[2].startswith((".", "_"))
