"""A local folder of files that only save time, and that nothing depends on.

A file that is missing is made again, and a folder that cannot be written is no
error. It is `$LAKEHOUSE_CACHE`, else `lakehouse` in the user's cache folder; files
used least recently are removed when it grows over its bound.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from platformdirs import user_cache_path

T = TypeVar("T")

FOLDER_BYTES: Final = 4 * 1024**3
"""How large all files together may grow."""

SUFFIXES: Final = (".keys", ".neighbours")
"""How names of files end: no other file in the folder is ever removed."""


def folder() -> Path:
    """Where the files lie; it may not be there yet."""
    path = os.environ.get("LAKEHOUSE_CACHE")
    return Path(path) if path else user_cache_path("lakehouse", appauthor=False)


def cached(name: str, read: Callable[[Path], T]) -> T | None:
    """What `read` returns for a file; None if it fails, or there is no file.

    Args:
        name: The file's name.
        read: May raise OSError or ValueError where the file is missing or damaged.
    """
    file = folder() / name
    try:
        value = read(file)
        # The time of the last use, by which `_trim` chooses: access times are often
        # switched off.
        os.utime(file)
    except (OSError, ValueError):
        return None
    return value


def keep(name: str, write: Callable[[Path], None]) -> None:
    """Let `write` make a file that other processes see as a whole or not at all.

    Args:
        name: The file's name, with one of the suffixes.
        write: Writes the path that it is given; an OSError leaves no file.
    """
    place = folder()
    # Its own name, since two processes may make the same file at once.
    temporary = place / f".{name}-{secrets.token_hex(4)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(place / name)
        _trim(place)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _trim(place: Path) -> None:
    """Remove the least recently used files while the folder is over its bound."""
    files = [(file.stat(), file) for file in place.iterdir() if file.suffix in SUFFIXES]
    total = sum(facts.st_size for facts, _ in files)
    for facts, file in sorted(files, key=lambda item: item[0].st_mtime):
        if total <= FOLDER_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= facts.st_size
