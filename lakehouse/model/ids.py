"""Names and ids: which texts may be one, and how a new upload id is made.

Frame and label ids follow the rule of Aquarium's client: Latin-1 text without
control characters (U+0085 excepted, as there) and without `# [ ] ? * , /`.
"""

import re
import secrets
import time
import uuid
from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError

NAME_PATTERN: Final = r"^[A-Za-z0-9_]+$"
"""The names of projects, datasets, inference sets and metadata fields."""

UPLOAD_ID_CHARACTERS: Final = 128
"""An upload id has at most so many."""

_NAME_BYTES: Final = 255
"""File systems take names of up to so many bytes."""

_UPLOAD_ID: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]{1,128}")

_CHECKED_IN_PYTHON: Final = 256  # planning a query costs more than checking so many
_UUID_VERSION: Final = 0x7
_LAST_MILLISECOND: Final = (1 << 48) - 1
# The same rule twice: for Polars' regular expressions, and for Python's.
_FORBIDDEN: Final = (
    r"[#\[\]?*,/\x{00}-\x{1F}\x{7F}-\x{84}\x{86}-\x{9F}]|[^\x{00}-\x{FF}]"
)
_FORBIDDEN_PY: Final = re.compile(
    r"[#\[\]?*,/\x00-\x1f\x7f-\x84\x86-\x9f]|[^\x00-\xff]"
)
ID_HINT: Final = (
    "An id is non-empty Latin-1 text (a to z, é, ü, but not 写 or €) without "
    "# [ ] ? * , / and control characters."
)
"""The rule of frame and label ids, as every message says it."""


def check_name(what: str, name: object) -> str:
    """The name, if it may be one.

    Raises:
        InvalidInputError: If it has other characters, or is not text.

    >>> check_name("dataset", "train_2026")
    'train_2026'
    """
    if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name):
        return name
    raise InvalidInputError(
        f"{name!r} cannot name a {what}: names are letters, digits and underscores, "
        "at least one.",
        kind="name.invalid",
    )


def check_upload_id(upload_id: object) -> str:
    """The id of an upload, if a caller may choose it.

    Uploads are staged in a folder of that name, so an id must be a name in every
    store, and never a path.

    Raises:
        InvalidInputError: If it has other characters, is too long, or is not text.

    >>> check_upload_id("vendor-7.batch_2")
    'vendor-7.batch_2'
    """
    if isinstance(upload_id, str) and _UPLOAD_ID.fullmatch(upload_id):
        return upload_id
    raise InvalidInputError(
        f"{upload_id!a:.200} cannot be the id of an upload: ids are letters, digits and "
        f"any of . _ -, at most {UPLOAD_ID_CHARACTERS} characters, and not only dots. "
        "Choose another, or leave upload_id out to get a new one.",
        kind="upload.invalid_id",
    )


def can_be_staged(upload_id: object) -> bool:
    """Whether an upload of that id can be there: a folder can have the name.

    Earlier releases took more characters than `check_upload_id` does, and what they
    staged is still read.
    """
    if not isinstance(upload_id, str) or not upload_id.strip("."):
        return False
    try:
        data = upload_id.encode()
    except UnicodeEncodeError:
        return False
    return len(data) <= _NAME_BYTES and b"/" not in data and b"\0" not in data


def id_problem(value: object) -> str | None:
    """Why a value cannot be a frame or label id; None when it can.

    >>> id_problem("frame/1")
    "has the character '/'"
    """
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not text"
    if not value:
        return "is empty"
    match = _FORBIDDEN_PY.search(value)
    if match is None:
        return None
    is_latin = match.group() <= "\xff"
    return f"has the character {match.group()!r}" + (
        "" if is_latin else ", which is not Latin-1"
    )


def invalid_id_expr(column: str) -> pl.Expr:
    """Whether a text column's value cannot be an id; null counts as invalid."""
    value = pl.col(column)
    bad = (value.str.len_bytes() == 0) | value.str.contains(_FORBIDDEN)
    return bad.fill_null(value=True)


def any_invalid_id(ids: pl.Series) -> bool:
    """Whether any of many texts cannot be an id.

    >>> any_invalid_id(pl.Series(["frame_1", "frame/2"]))
    True
    """
    if ids.null_count():
        return True
    if len(ids) <= _CHECKED_IN_PYTHON:
        return any(id_problem(value) is not None for value in ids.to_list())
    # Sorted ids repeat side by side, once a label of the frame: each is checked once.
    if ids.is_sorted():
        ids = ids.filter((ids != ids.shift(1)).fill_null(value=True))
    checked = ids.alias("id").to_frame().lazy().select(invalid_id_expr("id").any())
    return bool(checked.collect(engine="streaming").item())


def new_upload_id(after: str | None = None) -> str:
    """A UUID of version 7 (RFC 9562) as text, later than the id `after`.

    >>> first = new_upload_id()
    >>> first < new_upload_id(after=first)
    True
    """
    milliseconds = time.time_ns() // 1_000_000
    tail = secrets.randbits(74)
    if after is not None and (previous := _parts(after)) >= (milliseconds, tail):
        # The clock stands or went back. By a random step, so that two writers behind
        # the same id do not make the same next one.
        milliseconds, tail = previous[0], previous[1] + 1 + secrets.randbits(32)
        if tail >> 74:
            milliseconds, tail = milliseconds + 1, secrets.randbits(74)
        # Nothing is later than the end of time; only a made-up id is so late.
        milliseconds = min(milliseconds, _LAST_MILLISECOND)
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    number = milliseconds << 80 | _UUID_VERSION << 76 | high << 64 | 0b10 << 62 | low
    return str(uuid.UUID(int=number))


def _parts(upload_id: str) -> tuple[int, int]:
    """Milliseconds and random bits of an id; zeros if it is of no version 7."""
    try:
        number = uuid.UUID(upload_id).int
    except ValueError:
        return (0, 0)
    if (number >> 76) & 0xF != _UUID_VERSION:
        return (0, 0)
    high, low = (number >> 64) & 0xFFF, number & ((1 << 62) - 1)
    return number >> 80, high << 62 | low
