"""The sources of a load: read in chunks, twice, and never at once.

Tables are read by Polars' streaming engine. Lines of JSON stay text until their part
is loaded, so a value of an unexpected type is a problem of that part alone.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import fsspec
import polars as pl
import pyarrow as pa

from lakehouse.errors import InvalidInputError
from lakehouse.intake.files import csv_types, first_line, unreadable
from lakehouse.storage import s3_files
from lakehouse.types import TableLike

_KINDS: Final = {
    ".parquet": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_WILDCARDS: Final = frozenset("*?[")

_CHUNK_ROWS: Final = 65_536
_CHUNK_LINES: Final = 16_384
"""Read at a time; lines are fewer, as each becomes a Python object."""

_KEY: Final = "frame_id"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files of one kind."""

    system: Any
    """The fsspec file system that the files are on."""
    paths: tuple[str, ...]
    """Paths in that file system, sorted."""
    kind: str
    """`parquet`, `ipc`, `csv` or `jsonl`."""
    options: Mapping[str, str]
    """The `AWS_…` settings to read the files with."""

    @property
    def uris(self) -> list[str]:
        """The paths as Polars takes them."""
        return [str(self.system.unstrip_protocol(path)) for path in self.paths]

    @property
    def signature(self) -> str:
        """Equal for the same files with the same sizes and ETags, or mtimes."""
        infos = [self.system.info(path) for path in self.paths]
        marks = [
            (info["name"], info["size"], info.get("ETag") or info.get("mtime"))
            for info in infos
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
    path = str(system._strip_protocol(source))  # noqa: SLF001 - fsspec's own way
    if _WILDCARDS.intersection(path):
        paths = system.glob(path)
    elif system.isdir(path):
        paths = system.find(path)
    else:
        paths = [path] if system.exists(path) else []
    # Engines leave files such as _SUCCESS and .part-0.crc beside their data.
    kinds = {path: _kind_of(path) for path in sorted(paths) if not _is_hidden(path)}
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


class Source(ABC):
    """Rows that are read more than once, each time in the same order."""

    ending: str
    """The suffix of the files of its parts."""

    @abstractmethod
    def ids(self) -> Iterator[tuple[pl.Series, int]]:
        """Frame ids chunk by chunk, with the approximate bytes of their rows."""

    @abstractmethod
    def chunks(self) -> Iterator[tuple[pl.Series, Any]]:
        """Frame ids with their rows, chunk by chunk."""

    @abstractmethod
    def write(self, chunk: Any, places: pl.Series, file: IO[bytes]) -> None:  # noqa: ANN401
        """Append some rows of a chunk to a part's file."""

    @abstractmethod
    def read(self, path: Path) -> TableLike:
        """The rows of a part's file, as `dataset.add` takes them."""

    def head(self) -> TableLike:
        """A table without rows, with the columns that are known."""
        return []


class Rows(Source):
    """A table that Polars scans."""

    ending = ".arrows"

    def __init__(self, rows: pl.LazyFrame) -> None:
        self._rows = rows
        self._names: list[str] = []
        self._schema = rows.collect_schema()
        if _KEY not in self._schema:
            raise InvalidInputError(
                f"The source has no column {_KEY}, only {', '.join(self._schema)}.",
                kind="id.missing",
            )

    @classmethod
    def of_files(cls, files: SourceFiles) -> "Rows":
        """The rows of Parquet, Arrow IPC or CSV files."""
        options: dict[str, Any] = {"storage_options": dict(files.options) or None}
        if not files.uris[0].startswith("s3://"):
            options = {}
        if files.kind == "parquet":
            options["missing_columns"] = "insert"
        if files.kind == "csv":
            options["infer_schema_length"] = None
            options["schema_overrides"] = _text_types(files)
        scan: dict[str, Callable[..., pl.LazyFrame]] = {
            "parquet": pl.scan_parquet,
            "csv": pl.scan_csv,
            "ipc": pl.scan_ipc,
        }
        with _map_errors(files.uris):
            rows = cls(scan[files.kind](files.uris, **options))
        rows._names = files.uris
        return rows

    def ids(self) -> Iterator[tuple[pl.Series, int]]:
        """Frame ids, read without the other columns, and estimated bytes."""
        # A row is taken to be as wide as the first 4096 are on average: measuring all
        # would read every column once more.
        with _map_errors(self._names):
            first = self._rows.head(_CHUNK_ROWS // 16).collect(engine="streaming")
        width = first.estimated_size() / max(1, first.height)
        with _map_errors(self._names):
            for part in _batches(self._rows.select(_KEY)):
                ids = part.to_series()
                yield _texts(ids), int(width * len(ids))

    def chunks(self) -> Iterator[tuple[pl.Series, Any]]:
        """Frame ids with DataFrames."""
        with _map_errors(self._names):
            for part in _batches(self._rows):
                yield _texts(part.get_column(_KEY)), part

    def write(self, chunk: Any, places: pl.Series, file: IO[bytes]) -> None:  # noqa: ANN401
        """Append the rows as one more Arrow stream."""
        table: pa.Table = chunk[places].to_arrow(compat_level=pl.CompatLevel.oldest())
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)

    def read(self, path: Path) -> TableLike:
        """All streams of the file, as one table."""
        parts: list[pl.DataFrame] = [pl.DataFrame(schema=self._schema)]
        if not path.exists():
            return parts[0]
        with pa.memory_map(str(path)) as file:
            while file.tell() < file.size():
                parts.append(pl.DataFrame(pa.ipc.open_stream(file).read_all()))
        return pl.concat(parts[1:] or parts, how="vertical_relaxed")

    def head(self) -> TableLike:
        """The columns, without a row."""
        return pl.DataFrame(schema=self._schema)


class Lines(Source):
    """Lines of JSON, one object each."""

    ending = ".jsonl"

    def __init__(self, files: SourceFiles) -> None:
        self._files = files

    def ids(self) -> Iterator[tuple[pl.Series, int]]:
        """Frame ids, and the lengths of their lines."""
        for ids, lines in self.chunks():
            yield ids, sum(map(len, lines))

    def chunks(self) -> Iterator[tuple[pl.Series, Any]]:
        """Frame ids with lists of lines."""
        for path in self._files.paths:
            with self._files.system.open(path, "rb") as file:
                first = 1
                while lines := list(islice(file, _CHUNK_LINES)):
                    kept = [line for line in lines if line.strip()]
                    yield pl.Series(_ids(kept, path, first), dtype=pl.String), kept
                    first += len(lines)

    def write(self, chunk: Any, places: pl.Series, file: IO[bytes]) -> None:  # noqa: ANN401
        """Append the lines unchanged."""
        lines: Sequence[bytes] = chunk
        texts = (lines[place].removeprefix(_BOM) for place in places)
        file.writelines(text.rstrip(b"\n") + b"\n" for text in texts)

    def read(self, path: Path) -> TableLike:
        """The path of the file."""
        return path if path.exists() else []


def _ids(lines: Sequence[bytes], path: str, first: int) -> list[str | None]:
    ids: list[str | None] = []
    for number, line in enumerate(lines, first):
        try:
            # A byte order mark is no part of the text; it can only start a file.
            frame_id = json.loads(line.removeprefix(_BOM))[_KEY]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInputError(
                f"{path}, about line {number}: no JSON object with a {_KEY} "
                f"({type(error).__name__}: {error}). Nothing was loaded; correct the line.",
                kind="input.no_object",
            ) from error
        ids.append(frame_id if isinstance(frame_id, str) else None)
    return ids


@contextmanager
def _map_errors(names: Sequence[str]) -> Generator[None]:
    """Errors of Polars as errors that name the files; a caller's own scan is left alone."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")  # noqa: PLR2004
        raise unreadable(shown or "the source", first_line(error)) from error


def _text_types(files: SourceFiles) -> dict[str, pl.DataType]:
    """The columns of CSV files that are text, whatever their values look like."""
    with files.system.open(files.paths[0], "rb") as file:
        return csv_types(file.readline())


def _texts(ids: pl.Series) -> pl.Series:
    """Ids as text; what is none becomes null, and is refused with its part."""
    return ids if ids.dtype == pl.String else ids.cast(pl.String, strict=False)


def _batches(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    yield from rows.collect_batches(chunk_size=_CHUNK_ROWS, engine="streaming")
