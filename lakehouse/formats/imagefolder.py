"""Image folders, as Hugging Face's `datasets` opens them.

    metadata.parquet        a row an image: file_name, the frame's columns, objects
    frame_1.png

`objects` has a list for each column of labels, and `bbox` for their boxes. Parquet
tells the types of columns, which all parts must agree on. On the way in, columns that no frame has become metadata; folders called like parts (train,
test, validation) become `user__split`; where there is no metadata file, a folder is
the class of its images.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import Problem
from lakehouse.formats.content import (
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    metadata_of,
)
from lakehouse.formats.files import Origin, fault, is_image, require_unique
from lakehouse.formats.names import id_of_name
from lakehouse.formats.parquet import used
from lakehouse.formats.pictures import FileNames, copied
from lakehouse.formats.shapes import sides
from lakehouse.model.contracts import contract
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problems

FORM: Final = Form("An image folder", media=True)

_BOX: Final = ("left", "top", "width", "height")
_TABLES: Final = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_PARTS: Final = frozenset({"train", "test", "validation", "val", "valid", "dev"})
_NO_IMAGE: Final = "A frame without an image is no file."


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a folder with metadata files, or with a folder for each class.

    Raises:
        InvalidInputError: If it has no images, or its metadata cannot be read.
    """
    tables = sorted(file for name in _TABLES for file in path.rglob(name))
    frames, labels, problems = list[Row](), list[Row](), list[Problem]()
    for frame, its in (
        _listed(path, tables, origin, losses, problems)
        if tables
        else _foldered(path, origin)
    ):
        frames.append(frame)
        labels += [{"frame_id": frame["frame_id"]} | label for label in its]
    if not frames and not tables:
        told = "There is no image and no metadata file below it."
        problems.append(fault(str(path), "imagefolder.empty", told, "Name another."))
    Problems(problems).raise_if_any("Nothing was written: the folder cannot be read.")
    require_unique(frames)
    names = dict.fromkeys(str(label["class_name"]) for label in labels)
    return Content(frames, labels, tuple(names))


def native(fields: Mapping[str, Any], table: str, losses: Losses) -> Row:
    """The fields that frames (or labels) have as they are; all others as metadata."""
    known = contract(table).schema()
    row = {
        name: value
        for name, value in fields.items()
        if value is not None and (name in known or name.startswith(PREFIX))
    }
    rest = {name: value for name, value in fields.items() if name not in row}
    return row | metadata_of(rest, table, losses)


def _listed(
    root: Path,
    tables: Sequence[Path],
    origin: Origin,
    losses: Losses,
    problems: list[Problem],
) -> Iterator[tuple[Row, list[Row]]]:
    for file in tables:
        try:
            lines = list(_lines(file))
        except (ValueError, OSError, pl.exceptions.PolarsError) as error:
            problems.append(
                fault(file.name, "imagefolder.table", f"{error}.", "Mend it.")
            )
            continue
        for place, line in enumerate(lines):
            name = line.pop("file_name", None)
            if not isinstance(name, str):
                told = "The line has no file_name."
                where = f"{file.name}:{place + 1}"
                problems.append(fault(where, "imagefolder.line", told, "Add it."))
                continue
            objects = line.pop("objects", None) or {}
            frame = native(line, "frames", losses)
            frame = _defaults(root, file.parent / name, origin) | frame
            yield frame, list(_objects(objects, losses))


def _lines(file: Path) -> Iterator[Row]:
    match file.suffix:
        case ".jsonl":
            # Only line feeds end lines: JSON texts may hold other separators.
            for line in file.read_text(encoding="utf-8").split("\n"):
                if line.strip():
                    yield json.loads(line)
        case ".csv":
            yield from pl.read_csv(file, infer_schema_length=None).to_dicts()
        case _:
            yield from pl.read_parquet(file).to_dicts()


def _defaults(root: Path, image: Path, origin: Origin) -> Row:
    """What a file's place tells of its frame."""
    url = origin.url_of(image, root)
    row: Row = {"frame_id": id_of_name(image.stem), "image_url": url}
    part = image.relative_to(root).parts[0]
    return row | ({f"{PREFIX}split": part} if part in _PARTS else {})


def _objects(objects: Mapping[str, Any], losses: Losses) -> Iterator[Row]:
    """The labels of an image, from a list for each of their columns."""
    count = max((len(values) for values in objects.values()), default=0)
    for place in range(count):
        fields = {name: values[place] for name, values in objects.items()}
        box = fields.pop("bbox", None)
        names = (fields.pop(name, None) for name in ("category", "categories"))
        kind = next((name for name in names if name is not None), None)
        row: Row = {"label_id": f"{place:06}"} | ({} if box is None else sides(box))
        row |= {} if kind is None else {"class_name": str(kind)}
        yield row | native(fields, "labels", losses)


def _foldered(root: Path, origin: Origin) -> Iterator[tuple[Row, list[Row]]]:
    """Images whose folder is their class."""
    for image in sorted(root.rglob("*")):
        if not is_image(image):
            continue
        frame = _defaults(root, image, origin)
        folders = image.relative_to(root).parts[:-1]
        folders = folders[1:] if folders and folders[0] in _PARTS else folders
        label = {"label_id": "class", "label_type": "CLASSIFICATION_2D"}
        yield frame, [label | {"class_name": folders[-1]}] if folders else []


# ---------------------------------- WRITING --------------------------------- #


def write(source: Source, target: Target) -> None:
    """Write images, and a `metadata.parquet` beside those of each part."""
    schema = _schema(source)
    names, problems = FileNames(), list[Problem]()
    with ExitStack() as open_files:
        tables: dict[Path, _Metadata] = {}
        for batch in source.batches(target.progress):
            pictures: list[tuple[Row, Path]] = []
            rows: dict[Path, list[Row]] = {}
            for frame, labels in batch:
                if "image_url" not in frame:
                    target.losses.add("frames", "frame_id", 1, _NO_IMAGE)
                    target.losses.add("labels", "label_id", len(labels), _NO_IMAGE)
                    continue
                folder = target.folder / (target.part_of(frame) or "")
                name = names.of_frame(frame)
                pictures.append((frame, folder / name))
                objects = _lists(labels, schema["objects"])
                row = {"file_name": name, **frame, "objects": objects}
                rows.setdefault(folder, []).append(row)
            for folder, its in rows.items():
                if folder not in tables:
                    table = _Metadata(folder, schema)
                    tables[folder] = open_files.enter_context(table)
                tables[folder].write(its)
            copied(pictures, source.media, problems)
        if not tables:
            open_files.enter_context(_Metadata(target.folder, schema)).write([])
    Problems(problems).raise_if_any("Nothing was exported.")


class _Metadata(AbstractContextManager["_Metadata"]):
    """A metadata file that grows by batches."""

    def __init__(self, folder: Path, schema: pl.Schema) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - slow to load

        folder.mkdir(exist_ok=True)
        self._schema = schema
        arrow = pl.DataFrame(schema=schema).to_arrow().schema
        self._file: Any = pq.ParquetWriter(folder / "metadata.parquet", arrow)

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        table = pl.DataFrame(rows, schema=self._schema)
        self._file.write_table(table.to_arrow())

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def _schema(source: Source) -> pl.Schema:
    """The columns of the metadata: those that are used, moments as text."""
    frames, labels = source.frames.collect_schema(), source.labels.collect_schema()
    columns = {name: _texts(frames[name]) for name in used(source.frames)}
    lists: dict[str, pl.DataType] = {
        name: pl.List(_texts(labels[name]))
        for name in used(source.labels)
        if name not in {"frame_id", "class_id"}
    }
    if set(_BOX) <= lists.keys():
        lists = {name: dtype for name, dtype in lists.items() if name not in _BOX}
        lists["bbox"] = pl.List(pl.List(pl.Float64()))
    objects = pl.Struct(lists or {"label_id": pl.List(pl.String())})
    return pl.Schema({"file_name": pl.String(), **columns, "objects": objects})


def _texts(dtype: Any) -> Any:  # noqa: ANN401 - types, and classes of types
    """A type with texts in place of moments, however deep."""
    if isinstance(dtype, pl.Datetime):
        return pl.String()
    if isinstance(dtype, pl.List):
        return pl.List(_texts(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({name: _texts(inner) for name, inner in dict(dtype).items()})
    return dtype


def _lists(labels: Sequence[Row], objects: pl.DataType) -> Row:
    """A list for each column of labels; boxes are one."""
    names = dict(objects) if isinstance(objects, pl.Struct) else {}
    made: Row = {name: [label.get(name) for label in labels] for name in names}
    if "bbox" in names:
        made["bbox"] = [
            [label[side] for side in _BOX] if set(_BOX) <= label.keys() else None
            for label in labels
        ]
    return made
