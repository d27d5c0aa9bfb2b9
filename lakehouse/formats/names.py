"""From frame ids to file names and back.

A file is called like its frame. What file names cannot hold is written as `%XX`,
and what ids cannot hold is kept as `%XX`, so both ways end where they began.
"""

import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from lakehouse.model.ids import id_problem

__all__ = ["LONGEST", "ending_of", "file_name", "id_of_name"]

LONGEST: Final = 200
"""Bytes of a file's name before its ending, at the most."""

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f%\\:<>"|/#\[\]?*,]|^\.|[ .]$')
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_ESCAPED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def file_name(frame_id: str, ending: str = "") -> str:
    r"""What the file of a frame is called.

    >>> file_name("frame_1", ".png"), file_name("a\tb", ".txt")
    ('frame_1.png', 'a%09b.txt')
    """
    return _UNSAFE.sub(lambda found: _escaped(found.group()), frame_id) + ending


def id_of_name(stem: str) -> str:
    r"""The id of the frame whose file is called so, without its ending.

    >>> id_of_name("a%09b"), id_of_name("img[1]")
    ('a\tb', 'img%5B1%5D')
    """
    plain = _ESCAPED.sub(_plain, stem)
    return "".join(
        letter if id_problem(letter) is None else _escaped(letter) for letter in plain
    )


def ending_of(url: str) -> str:
    """The ending of what a URL names, with its dot; none where there is none.

    >>> ending_of("s3://bucket/a.b/c.jpg?v=1"), ending_of("frame")
    ('.jpg', '')
    """
    path = urlsplit(url).path if "://" in url else url
    ending = PurePosixPath(path).suffix
    return ending if _ENDING.fullmatch(ending) else ""


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _plain(found: re.Match[str]) -> str:
    """What was escaped, where that is text that an id may have."""
    try:
        text = unquote(found.group(), errors="strict")
    except UnicodeDecodeError:
        return found.group()
    return "".join(
        letter if id_problem(letter) is None else quote(letter, safe="")
        for letter in text
    )
