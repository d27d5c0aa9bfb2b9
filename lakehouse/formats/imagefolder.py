"""Image folders, as Hugging Face's `datasets` opens them.

    metadata.parquet        a row an image: file_name, the frame's columns, objects
    frame_1.png

`objects` has a list for each column of labels, and `bbox` for their boxes. The file
is Parquet because it keeps the types of columns, on which all splits must agree. When
read, columns that frames do not have become metadata; folders named like splits
(train, test, validation) become `user__split`; where there is no metadata file, a
folder is the class of its images.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.formats.content import (
    Content,
    Form,
    Losses,
    Row,
    Source,
    Target,
    metadata_of,
)
from lakehouse.formats.files import Origin, is_image, require_unique
from lakehouse.formats.names import id_of_name
from lakehouse.formats.parquet import used_columns
from lakehouse.formats.pictures import FileNames, copy_images
from lakehouse.formats.shapes import box_columns
from lakehouse.model.contracts import contract
from lakehouse.model.metadata import PREFIX
from lakehouse.model.problems import Problems

FORM: Final = Form("An image folder", media=True)

_BOX: Final = ("left", "top", "width", "height")
# The names that Hugging Face's `datasets` takes for metadata, and for splits.
_TABLES: Final = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_SPLITS: Final = frozenset({"train", "test", "validation", "val", "valid", "dev"})
_NO_IMAGE: Final = "A frame without an image has no file."


# ---------------------------------- READING --------------------------------- #


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a folder with metadata files, or with a folder for each class.

    Raises:
        InvalidInputError: If it has no images, or its metadata cannot be read.
    """
    tables = sorted(file for name in _TABLES for file in path.rglob(name))
    frames, labels, problems = list[Row](), list[Row](), Problems()
    for frame, objects in (
        _by_metadata(path, tables, origin, losses, problems)
        if tables
        else _by_class_folder(path, origin)
    ):
        frames.append(frame)
        labels += [{"frame_id": frame["frame_id"]} | label for label in objects]
    if not frames and not tables:
        problems.add(
            str(path),
            rule="imagefolder.empty",
            message="The folder holds no image and no metadata file.",
            hint="Name another folder.",
        )
    problems.raise_if_any("Nothing was written: the folder cannot be read.")
    require_unique(frames)
    # A dict keeps the order of first sight, so that two imports number classes alike.
    names = dict.fromkeys(str(label["class_name"]) for label in labels)
    return Content(frames, labels, tuple(names))


def known_fields(fields: Mapping[str, Any], table: str, losses: Losses) -> Row:
    """Fields whose name is a column of frames (or labels); the others as metadata."""
    known = contract(table).schema()
    row = {
        name: value
        for name, value in fields.items()
        if value is not None and (name in known or name.startswith(PREFIX))
    }
    rest = {name: value for name, value in fields.items() if name not in row}
    return row | metadata_of(rest, table, losses)


def _by_metadata(
    root: Path,
    tables: Sequence[Path],
    origin: Origin,
    losses: Losses,
    problems: Problems,
) -> Iterator[tuple[Row, list[Row]]]:
    for file in tables:
        try:
            # Read whole before the first row is used: a file that breaks off half way
            # must not have given frames already.
            lines = list(_lines(file))
        except (ValueError, OSError, pl.exceptions.PolarsError) as error:
            problems.add(
                file.name,
                rule="imagefolder.table",
                message=f"The file cannot be read: {error}.",
                hint="Correct it.",
            )
            continue
        for place, line in enumerate(lines):
            # The one column that Hugging Face requires: the path of the image from the
            # table.
            name = line.pop("file_name", None)
            if not isinstance(name, str):
                problems.add(
                    f"{file.name}:{place + 1}",
                    rule="imagefolder.line",
                    message="The line has no file_name.",
                    hint="Add it.",
                )
                continue
            objects = line.pop("objects", None) or {}
            frame = known_fields(line, "frames", losses)
            # What the table says of a frame beats what follows from its path.
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
            # All rows are looked at for a type: by the first hundred, a float in row
            # 101 fails.
            yield from pl.read_csv(file, infer_schema_length=None).to_dicts()
        case _:
            yield from pl.read_parquet(file).to_dicts()


def _defaults(root: Path, image: Path, origin: Origin) -> Row:
    """The fields of a frame that follow from the path of its image."""
    url = origin.url_of(image, root)
    row: Row = {"frame_id": id_of_name(image.stem), "image_url": url}
    part = image.relative_to(root).parts[0]
    return row | ({f"{PREFIX}split": part} if part in _SPLITS else {})


def _objects(objects: Mapping[str, Any], losses: Losses) -> Iterator[Row]:
    """The labels of an image, from a list for each of their columns."""
    # Columns of one image have one length in a file of `datasets`: the longest is any
    # of them.
    count = max((len(values) for values in objects.values()), default=0)
    for place in range(count):
        fields = {name: values[place] for name, values in objects.items()}
        box = fields.pop("bbox", None)
        # Hugging Face describes `categories` for image folders; many of its datasets
        # have `category`.
        names = (fields.pop(name, None) for name in ("category", "categories"))
        kind = next((name for name in names if name is not None), None)
        row: Row = {"label_id": f"{place:06}"} | (
            {} if box is None else box_columns(box)
        )
        row |= {} if kind is None else {"class_name": str(kind)}
        yield row | known_fields(fields, "labels", losses)


def _by_class_folder(root: Path, origin: Origin) -> Iterator[tuple[Row, list[Row]]]:
    """Images, with the name of their folder as their class."""
    for image in sorted(root.rglob("*")):
        if not is_image(image):
            continue
        frame = _defaults(root, image, origin)
        folders = image.relative_to(root).parts[:-1]
        # In `train/cat/1.png` the first folder is the split and the last one the class.
        folders = folders[1:] if folders and folders[0] in _SPLITS else folders
        label = {"label_id": "class", "label_type": "CLASSIFICATION_2D"}
        yield frame, [label | {"class_name": folders[-1]}] if folders else []


# ---------------------------------- WRITING --------------------------------- #


def write(source: Source, target: Target) -> None:
    """Write images, and a `metadata.parquet` beside those of each part."""
    schema = _schema(source)
    names, problems = FileNames(), Problems()
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
                # A table for each part, beside its images: `datasets` takes the
                # folder's name as the split.
                folder = target.folder / (target.part_of(frame) or "")
                name = names.of_frame(frame)
                pictures.append((frame, folder / name))
                objects = _columns_of(labels, schema["objects"])
                row = {"file_name": name, **frame, "objects": objects}
                rows.setdefault(folder, []).append(row)
            for folder, members in rows.items():
                if folder not in tables:
                    table = _Metadata(folder, schema)
                    tables[folder] = open_files.enter_context(table)
                tables[folder].write(members)
            copy_images(pictures, source.media, problems)
        if not tables:
            open_files.enter_context(_Metadata(target.folder, schema)).write([])
    problems.raise_if_any("Nothing was exported.")


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
    """The columns of the metadata: those that have values, with dates as text."""
    frames, labels = source.frames.collect_schema(), source.labels.collect_schema()
    # Null columns are left out: the type of a column without a value tells a reader
    # nothing.
    columns = {
        name: _with_text_dates(frames[name]) for name in used_columns(source.frames)
    }
    lists: dict[str, pl.DataType] = {
        name: pl.List(_with_text_dates(labels[name]))
        for name in used_columns(source.labels)
        if name not in {"frame_id", "class_id"}
    }
    if set(_BOX) <= lists.keys():
        lists = {name: dtype for name, dtype in lists.items() if name not in _BOX}
        # Hugging Face has boxes as COCO does: left, top, width, height in one list.
        lists["bbox"] = pl.List(pl.List(pl.Float64()))
    # Parquet cannot hold a struct without fields, so a version without labels has one.
    objects = pl.Struct(lists or {"label_id": pl.List(pl.String())})
    return pl.Schema({"file_name": pl.String(), **columns, "objects": objects})


def _with_text_dates(dtype: Any) -> Any:  # noqa: ANN401 - types, and classes of types
    """A type with text in place of dates, at every depth."""
    if isinstance(dtype, pl.Datetime):
        return pl.String()
    if isinstance(dtype, pl.List):
        return pl.List(_with_text_dates(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pl.Struct(
            {name: _with_text_dates(inner) for name, inner in dict(dtype).items()}
        )
    return dtype


def _columns_of(labels: Sequence[Row], objects: pl.DataType) -> Row:
    """A list for each column of labels, and one of their boxes."""
    names = dict(objects) if isinstance(objects, pl.Struct) else {}
    lists: Row = {name: [label.get(name) for label in labels] for name in names}
    if "bbox" in names:
        lists["bbox"] = [
            [label[side] for side in _BOX] if set(_BOX) <= label.keys() else None
            for label in labels
        ]
    return lists
