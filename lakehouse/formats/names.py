"""Frame ids as file names and back; and the formats by name.

A file is named after its frame. Characters that file names cannot have are written
as `%XX`, and those that ids cannot have stay `%XX`, so both ways are exact.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, get_args
from urllib.parse import quote, unquote, urlsplit

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Content, Form, Losses, Source, Target
from lakehouse.formats.files import Origin
from lakehouse.model.ids import id_problem

MAX_STEM_BYTES: Final = 200
"""Bytes of a file's name without its ending: file systems allow 255 for both."""

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f%\\:<>"|/#\[\]?*,]|^\.|[ .]$')
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_ESCAPED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def file_name(frame_id: str, ending: str = "") -> str:
    r"""The name of a frame's file.

    >>> file_name("frame_1", ".png"), file_name("a:b", ".txt")
    ('frame_1.png', 'a%3Ab.txt')
    """
    return _UNSAFE.sub(lambda match: _escaped(match.group()), frame_id) + ending


def id_of_name(stem: str) -> str:
    """The id of the frame whose file has this name, without its ending.

    >>> id_of_name("a%3Ab"), id_of_name("img[1]")
    ('a:b', 'img%5B1%5D')
    """
    plain = _ESCAPED.sub(_unescaped, stem)
    return "".join(
        letter if id_problem(letter) is None else _escaped(letter) for letter in plain
    )


def ending_of(url: str) -> str:
    """The ending of a URL's file name, with its dot; empty where it has none.

    >>> ending_of("s3://bucket/a.b/c.jpg?v=1"), ending_of("frame")
    ('.jpg', '')
    """
    path = urlsplit(url).path if "://" in url else url
    ending = PurePosixPath(path).suffix
    return ending if _ENDING.fullmatch(ending) else ""


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _unescaped(match: re.Match[str]) -> str:
    """The escaped text, where an id may have it."""
    try:
        text = unquote(match.group(), errors="strict")
    except UnicodeDecodeError:
        return match.group()
    return "".join(
        letter if id_problem(letter) is None else quote(letter, safe="")
        for letter in text
    )


FormatName = Literal[
    "coco", "csv", "imagefolder", "parquet", "voc", "webdataset", "yolo"
]
"""A format of files that other tools read."""

FORMATS: Final[tuple[FormatName, ...]] = get_args(FormatName)
"""Every format, for reading and writing."""


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
    # Imported when asked for: some formats need the extra `formats`.
    module: Any = import_module(f"lakehouse.formats.{name}")
    return Format(name, module.FORM, module.read, module.write)
