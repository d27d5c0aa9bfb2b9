"""The formats by name, each loaded when it is used."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Content, Form, Source, Target
from lakehouse.formats.files import Origin
from lakehouse.formats.losses import Losses

__all__ = ["FORMATS", "Format", "FormatName", "format_of"]

FormatName = Literal[
    "coco", "csv", "imagefolder", "parquet", "voc", "webdataset", "yolo"
]
"""A format of files that other tools read."""

FORMATS: Final[tuple[FormatName, ...]] = (
    "coco", "csv", "imagefolder", "parquet", "voc", "webdataset", "yolo",
)  # fmt: skip
"""Every format, for reading and writing."""

_WRITERS: Final = {"coco": "coco_writing", "yolo": "yolo_writing"}


@dataclass(frozen=True, slots=True)
class Format:
    """A format: what it has room for, and how it is read and written."""

    name: str
    form: Form
    read: Callable[[Path, Origin, Losses], Content]
    write: Callable[[Source, Target], None]


def format_of(name: str) -> Format:
    """The format of that name.

    Raises:
        InvalidInputError: If there is none.
    """
    if name not in FORMATS:
        raise InvalidInputError(
            f"There is no format {name!r}. There are: {', '.join(FORMATS)}.",
            kind="format.unknown",
        )
    reading: Any = import_module(f"lakehouse.formats.{name}")
    writing: Any = import_module(f"lakehouse.formats.{_WRITERS.get(name, name)}")
    return Format(name, reading.FORM, reading.read, writing.write)
