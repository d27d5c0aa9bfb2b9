"""Parquet: `frames.parquet` and `labels.parquet`, with nothing lost.

Columns are those of a snapshot, and `embedding`. A README in the form that Hugging
Face's hub reads makes `datasets.load_dataset(folder, "labels")` work.
"""

import json
from pathlib import Path
from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Content, Form, Losses, Source, Target
from lakehouse.formats.files import Origin
from lakehouse.storage import collect

FORM: Final = Form("Parquet", vectors=True, typed=True)

_CLASSES: Final = "lakehouse.classes"
_README: Final = """---
configs:
- config_name: frames
  data_files: frames.parquet
- config_name: labels
  data_files: labels.parquet
  default: true
---
"""


def read(path: Path, origin: Origin, losses: Losses) -> Content:
    """Read a folder with `frames.parquet`, `labels.parquet`, or both.

    Raises:
        InvalidInputError: If neither is there.
    """
    del origin, losses
    frames, labels = tables_of(path, "parquet")
    classes: tuple[str, ...] = ()
    if labels is not None:
        names = pl.read_parquet_metadata(labels).get(_CLASSES)
        classes = tuple(json.loads(names)) if names else ()
    return Content(frames or [], labels or [], classes)


def tables_of(path: Path, ending: str) -> tuple[Path | None, Path | None]:
    """The files of frames and of labels in a folder.

    Raises:
        InvalidInputError: If neither is there.
    """
    files = [path / f"{name}.{ending}" for name in ("frames", "labels")]
    if not any(file.is_file() for file in files):
        raise InvalidInputError(
            f"There is neither frames.{ending} nor labels.{ending} in {path}. Name the "
            f"folder with them; one file goes in by dataset.add('frames.{ending}').",
            kind="import.no_file",
        )
    frames, labels = (file if file.is_file() else None for file in files)
    return frames, labels


def write(source: Source, target: Target) -> None:
    """Write both tables, and the README."""
    classes = json.dumps(list(source.classes.ids))
    tables = with_embeddings(source)
    for done, (name, rows) in enumerate(tables.items()):
        path = target.folder / f"{name}.parquet"
        metadata = {_CLASSES: classes}
        rows.sink_parquet(path, compression="zstd", metadata=metadata)
        target.progress("tables", done + 1, len(tables))
    (target.folder / "README.md").write_text(_README, encoding="utf-8")


def with_embeddings(source: Source) -> dict[str, pl.LazyFrame]:
    """Frames and labels with their vectors, sorted, in the columns that have values."""
    return {
        "frames": _with_embeddings(
            source.frames, source.frame_embeddings, ["frame_id"]
        ),
        "labels": _with_embeddings(
            source.labels, source.label_embeddings, ["frame_id", "label_id"]
        ),
    }


def _with_embeddings(
    rows: pl.LazyFrame, vectors: pl.LazyFrame, key: list[str]
) -> pl.LazyFrame:
    names = [
        column for column in used_columns(rows) if column not in {*key, "class_id"}
    ]
    rows = rows.select(*key, *names)
    if collect(vectors.select(pl.len())).item():
        rows = rows.join(vectors, on=key, how="left")
    return rows.sort(key)


def used_columns(rows: pl.LazyFrame) -> list[str]:
    """The columns that have a value, in their order."""
    counts = collect(rows.select(pl.all().count()))
    return [name for name, count in counts.row(0, named=True).items() if count]
