"""A local folder of files that spare work, and that nothing depends on.

What is not there is made again, and a folder that cannot be written is done
without. It is `$LAKEHOUSE_CACHE`, else `lakehouse` in the user's cache folder;
what was used least recently goes when it grows over its bound.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

FOLDER_BYTES: Final = 4 * 1024**3
"""How large all files together may grow."""

SUFFIXES: Final = (".keys", ".neighbours")
"""What files are called: nothing else in the folder is touched."""


def folder() -> Path:
    """Where the files lie; it may not be there yet."""
    named = os.environ.get("LAKEHOUSE_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "lakehouse"


def cached(name: str, read: Callable[[Path], T]) -> T | None:
    """What `read` makes of a file, which counts as used; None if it makes nothing.

    Args:
        name: The file's name.
        read: May raise OSError or ValueError where the file is missing or damaged.
    """
    file = folder() / name
    try:
        found = read(file)
        os.utime(file)
    except (OSError, ValueError):
        return None
    return found


def keep(name: str, write: Callable[[Path], None]) -> None:
    """Let `write` make a file, seen whole or not at all.

    Args:
        name: The file's name, with one of the suffixes.
        write: Writes the path that it is given; an OSError leaves no file.
    """
    place = folder()
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
    """Remove what was used least recently while the folder is over its bound."""
    files = [(file.stat(), file) for file in place.iterdir() if file.suffix in SUFFIXES]
    total = sum(told.st_size for told, _ in files)
    for told, file in sorted(files, key=lambda item: item[0].st_mtime):
        if total <= FOLDER_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= told.st_size
