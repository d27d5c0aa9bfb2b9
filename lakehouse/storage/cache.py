"""A local folder of files that only save time, and that nothing depends on.

A file that is missing is made again, and a folder that cannot be written is no
error. It is `$LAKEHOUSE_CACHE`, else `lakehouse` in the user's cache folder; files
used least recently are removed when it grows over its bound.

    "lakecache" and format   16 bytes
    XXH3-128                 16 bytes, of the file's own name and what follows
    content

Files are renamed without a sync, so a power cut may leave zeros in them; and a
restored or copied folder may have a file under the name of another. Both, and every
flipped bit, make the checksum differ, and the file counts as missing. A name says
what its content was made from: a data file, whose name is never used twice, or the
hash of all inputs.
"""

import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import xxhash
from platformdirs import user_cache_path

T = TypeVar("T")

Content = npt.NDArray[np.uint8]
"""`uint8[n]`: the bytes of a file, aligned to 8; of a large file mapped."""

FOLDER_BYTES: Final = 4 * 1024**3
"""How large all files together may grow."""

SUFFIXES: Final = (".keys", ".neighbours")
"""How names of files end: no other file in the folder is ever removed."""


def folder() -> Path:
    """Where the files lie; it may not be there yet."""
    path = os.environ.get("LAKEHOUSE_CACHE")
    return Path(path) if path else user_cache_path("lakehouse", appauthor=False)


_MAGIC: Final = b"lakecache\0\0\0\0\0\0\1"
_HEAD_BYTES: Final = 32  # the magic number, then the checksum
_MAPPED_BYTES: Final = 1 << 20  # larger files share their memory among processes


def cached(name: str, read: Callable[[Content], T]) -> T | None:
    """What `read` makes of a file's content; None if it is missing or damaged.

    Args:
        name: The file's name.
        read: From the content as it was kept. May raise OSError or ValueError where
            it is none of this release.
    """
    file = folder() / name
    try:
        value = read(_content(file))
        # The time of the last use, by which `_trim` chooses: access times are often
        # switched off.
        os.utime(file)
    except (OSError, ValueError):
        return None
    return value


def keep(name: str, parts: Iterable[npt.NDArray[Any]]) -> None:
    """Make a file that other processes see as a whole or not at all.

    Args:
        name: The file's name, with one of the suffixes.
        parts: The content, one after the other. Where the folder cannot be written
            there is no file, and no error.
    """
    place = folder()
    # A name of our own, since two processes may make the same file at once.
    temporary = place / f".{name}-{secrets.token_hex(4)}"
    hasher = xxhash.xxh3_128(name.encode())
    try:
        place.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(bytes(_HEAD_BYTES))
            for part in parts:
                data = np.ascontiguousarray(part).data.cast("B")
                hasher.update(data)
                file.write(data)
            file.seek(0)
            file.write(_MAGIC + hasher.digest())
        temporary.replace(place / name)
        _trim(place)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove(name: str) -> None:
    """Remove a file whose content turned out to be wrong; it may be missing."""
    with suppress(OSError):
        (folder() / name).unlink(missing_ok=True)


def _content(file: Path) -> Content:
    """The content of a file, once its checksum is found right.

    Raises:
        OSError: If the file is not there or cannot be read.
        ValueError: If it is damaged, of another release, or was kept by another name.
    """
    data: Content
    if file.stat().st_size > _MAPPED_BYTES:
        data = np.memmap(file, dtype=np.uint8, mode="r")
    else:
        data = np.fromfile(file, dtype=np.uint8)
    hasher = xxhash.xxh3_128(file.name.encode())
    # All of it is read: a few milliseconds for each 100 MB, once in a process.
    hasher.update(data[_HEAD_BYTES:].data)
    if data[:_HEAD_BYTES].tobytes() != _MAGIC + hasher.digest():
        raise ValueError(f"{file} is damaged, or was kept under another name")
    return data[_HEAD_BYTES:]


def _trim(place: Path) -> None:
    """Remove the least recently used files while the folder is over its bound."""
    files = [(file.stat(), file) for file in place.iterdir() if file.suffix in SUFFIXES]
    total = sum(facts.st_size for facts, _ in files)
    for facts, file in sorted(files, key=lambda item: item[0].st_mtime):
        if total <= FOLDER_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= facts.st_size
