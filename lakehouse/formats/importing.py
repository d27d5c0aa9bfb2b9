"""From files of a format to rows as datasets take them."""

from pathlib import Path

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Content
from lakehouse.formats.files import Origin
from lakehouse.formats.kinds import format_of
from lakehouse.formats.losses import Losses
from lakehouse.progress import Tell, silent

__all__ = ["read_files"]

_BESIDE = ("", "images", "JPEGImages", "../images", "../JPEGImages")
"""Where images usually are, from an annotation file or folder."""


def read_files(
    path: Path,
    *,
    format_name: str,
    images: str | None,
    losses: Losses,
    tell: Tell = silent,
) -> Content:
    """Read files of a format.

    Args:
        path: The folder, or a file.
        format_name: One of `FORMATS`.
        images: What stands before the names of images; None: the folder in which
            they are found, else nothing.
        losses: Where what has no column is told.
        tell: Told how far it is.

    Raises:
        InvalidInputError: If there is no such format, or files cannot be read: all
            faults are listed.
    """
    kind = format_of(format_name)
    if not path.exists():
        raise InvalidInputError(f"There is nothing at {path}.", kind="import.no_file")
    base = path.parent if path.is_file() else path
    folders = tuple((base / name).resolve() for name in _BESIDE)
    origin = Origin(folders, images, tell)
    return kind.read(path, origin, losses)
