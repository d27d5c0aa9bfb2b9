"""Files as they are found on the way in, and folders as they appear on the way out.

What is written lies in a folder of its own until it is whole; then that folder gets
its name. So nobody ever sees half an export, and one that fails leaves nothing.
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

from lakehouse.errors import AlreadyExistsError, InvalidInputError, Problem
from lakehouse.formats.content import Row
from lakehouse.model.problems import Problems
from lakehouse.storage.media import is_relative
from lakehouse.types import Progress, silent

IMAGE_ENDINGS: Final = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""The endings of files that are images."""

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from: where the images are that they name."""

    folders: tuple[Path, ...]
    """Where they are looked for."""
    prefix: str | None = None
    """What stands before each name; None: where the image is found, else nothing."""
    progress: Progress = silent
    """Told how far the reading is."""

    def url(self, name: str) -> str:
        """The URL of the image of that name."""
        if not is_relative(name):
            return name
        if self.prefix is not None:
            return f"{self.prefix.rstrip('/')}/{name}" if self.prefix else name
        found = (folder / name for folder in self.folders)
        there = next((path for path in found if path.is_file()), None)
        return name if there is None else str(there.absolute())

    def url_of(self, image: Path, root: Path) -> str:
        """The URL of an image that was found below a folder."""
        if self.prefix is None:
            return str(image.absolute())
        return self.url(image.relative_to(root).as_posix())


def is_image(path: Path) -> bool:
    """Whether a file is an image, by its ending."""
    return path.suffix.lower() in IMAGE_ENDINGS


def the_file(path: Path, pattern: str, title: str) -> Path:
    """The file itself, or the only one of a folder that fits.

    Raises:
        InvalidInputError: If there is none, or more than one.
    """
    if path.is_file():
        return path
    found = sorted(path.glob(pattern)) or sorted(path.glob(f"*/{pattern}"))
    if len(found) == 1:
        return found[0]
    named = ", ".join(str(one.relative_to(path)) for one in found[:_SHOWN])
    told = f"has {len(found)}: {named}. Name one of them" if found else "has none"
    raise InvalidInputError(
        f"{title} is read from one file {pattern}, and {path} {told}.",
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


def fault(path: str, rule: str, message: str, hint: str) -> Problem:
    """Something wrong with a file that is read."""
    return Problem(None, None, path, rule, message, hint)


def require_unique(frames: Iterable[Row]) -> None:
    """Refuse files of the same name, since frames are called by it.

    Raises:
        InvalidInputError: If there are any; all are named.
    """
    counts = Counter(row["frame_id"] for row in frames)
    hint = "Frames are called like their files: rename some, or import folders apart."
    Problems([
            Problem(name, None, f"frames['{name}']", "frame.repeated",
                    f"{count} images are called so.", hint)
            for name, count in counts.items()
            if count > 1
        ]).raise_if_any("Nothing was written.")  # fmt: skip


@contextmanager
def appearing(path: Path, *, overwrite: bool) -> Generator[Path]:
    """A folder to write into, which gets its name when the block ends well.

    Raises:
        AlreadyExistsError: If there is something, and it is not to be overwritten.
    """
    if path.exists() and not overwrite and not _is_empty(path):
        raise AlreadyExistsError(
            f"There is something at {path} already. Choose another place, or pass "
            "overwrite=True (--overwrite).",
            kind="export.exists",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    made = path.parent / f".{path.name}.{token}"
    made.mkdir()
    try:
        yield made
        whole = _only(made, path)
        if path.exists():
            old = path.parent / f".{path.name}.{token}.old"
            path.rename(old)
            whole.rename(path)
            _remove(old)
        else:
            whole.rename(path)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _only(folder: Path, path: Path) -> Path:
    """What gets the name: the folder, or its only file where a file was asked for."""
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
