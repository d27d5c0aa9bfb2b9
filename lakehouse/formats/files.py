"""Finding the files of an import, and publishing the folder of an export.

An export is written into a hidden folder, which gets its name once it is complete.
So nobody ever sees half an export, and one that fails leaves nothing.
"""

import json
import secrets
import shutil
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakehouse.errors import AlreadyExistsError, InvalidInputError
from lakehouse.formats.content import Row
from lakehouse.model.problems import Problems
from lakehouse.storage.media import is_relative
from lakehouse.types import Progress, silent

IMAGE_ENDINGS: Final = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""The endings of files that are images."""

_NAMED_IN_MESSAGE: Final = 10  # enough to recognize the folder


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an import looks for the images that its files name."""

    folders: tuple[Path, ...]
    """The folders to look in."""
    prefix: str | None = None
    """Folder or URL before each name; None: the folder that has it, else nothing."""
    progress: Progress = silent
    """Called with a stage, how much of it is done, and how much there is."""

    def url(self, name: str) -> str:
        """The URL of the image of that name."""
        if not is_relative(name):
            return name
        if self.prefix is not None:
            return f"{self.prefix.rstrip('/')}/{name}" if self.prefix else name
        paths = (folder / name for folder in self.folders)
        path = next((path for path in paths if path.is_file()), None)
        return name if path is None else str(path.absolute())

    def url_of(self, image: Path, root: Path) -> str:
        """The URL of an image file below a folder."""
        if self.prefix is None:
            return str(image.absolute())
        return self.url(image.relative_to(root).as_posix())


def is_image(path: Path) -> bool:
    """Whether a file is an image, by its ending."""
    return path.suffix.lower() in IMAGE_ENDINGS


def only_file(path: Path, pattern: str, title: str) -> Path:
    """The file itself, or the only one in a folder that matches.

    Raises:
        InvalidInputError: If there is none, or more than one.
    """
    if path.is_file():
        return path
    files = sorted(path.glob(pattern)) or sorted(path.glob(f"*/{pattern}"))
    if len(files) == 1:
        return files[0]
    named = ", ".join(str(file.relative_to(path)) for file in files[:_NAMED_IN_MESSAGE])
    reason = f"has {len(files)}: {named}. Name one of them" if files else "has none"
    raise InvalidInputError(
        f"{title} is read from one file {pattern}, and {path} {reason}.",
        kind="import.no_file",
    )


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever is in it
    """The content of a JSON file.

    Raises:
        InvalidInputError: If it holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InvalidInputError(
            f"{path} cannot be read as JSON: {error}.", kind="import.unreadable"
        ) from error


def require_unique(frames: Iterable[Row]) -> None:
    """Refuse files of the same name: frames are named after them.

    Raises:
        InvalidInputError: If there are any; all are named.
    """
    problems = Problems()
    for name, count in Counter(row["frame_id"] for row in frames).items():
        if count > 1:
            problems.add(
                f"frames['{name}']",
                frame_id=name,
                rule="frame.repeated",
                message=f"{count} images have this name.",
                hint="Frames are named after their files: rename some, or import "
                "folders one by one.",
            )
    problems.raise_if_any("Nothing was written.")


@contextmanager
def new_folder(path: Path, *, overwrite: bool) -> Generator[Path]:
    """A folder to write into, which is moved to its path when the block ends well.

    Raises:
        AlreadyExistsError: If there is something at the path, and no `overwrite`.
    """
    if path.exists() and not overwrite and not _is_empty(path):
        raise AlreadyExistsError(
            f"There is something at {path} already. Choose another path, or pass "
            "overwrite=True (--overwrite).",
            kind="export.exists",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    # A sibling of the path, so that the rename stays within one file system.
    hidden = path.parent / f".{path.name}.{token}"
    hidden.mkdir()
    try:
        yield hidden
        result = _file_or_folder(hidden, path)
        if path.exists():
            # A rename does not replace a folder that has files: it steps aside first.
            old = path.parent / f".{path.name}.{token}.old"
            path.rename(old)
            result.rename(path)
            _remove(old)
        else:
            result.rename(path)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _file_or_folder(folder: Path, path: Path) -> Path:
    """The folder, or its only file where the path is that of such a file."""
    files = list(folder.iterdir())
    is_file = bool(path.suffix) and [file.suffix for file in files] == [path.suffix]
    return files[0] if is_file else folder


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
