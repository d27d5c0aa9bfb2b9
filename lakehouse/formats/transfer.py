"""From the rows of a snapshot to files of a format, and a report of what is lost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Content, Losses, Source, Target, losses_of
from lakehouse.formats.files import Origin, appearing
from lakehouse.formats.names import format_of
from lakehouse.model.metadata import PREFIX
from lakehouse.storage import collect_all
from lakehouse.types import Progress, silent


@dataclass(frozen=True, slots=True)
class Export:
    """What `snapshot.export()` wrote."""

    format: str
    path: Path
    """The folder, or the one file."""
    frames: int
    """Frames of the snapshot."""
    labels: int
    """Labels of the snapshot."""
    files: int
    """Files written, images included."""
    bytes: int
    """Their size in all."""
    losses: pl.DataFrame
    """What did not go along: table, field, rows that lose it, and the reason."""

    @property
    def is_lossless(self) -> bool:
        """Whether importing it again gives the same rows."""
        return not self.losses.height

    def to_frame(self) -> pl.DataFrame:
        """The losses, a row each."""
        return self.losses

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "format": self.format,
            "path": str(self.path),
            "frames": self.frames,
            "labels": self.labels,
            "files": self.files,
            "bytes": self.bytes,
            "losses": self.losses.to_dicts(),
        }

    def __repr__(self) -> str:
        return (
            f"<Export {self.format}: {self.frames} frames, {self.labels} labels; "
            f"{told_losses(self.losses)}>"
        )


def told_losses(losses: pl.DataFrame) -> str:
    """Losses in a few words.

    >>> told_losses(pl.DataFrame())
    'nothing lost'
    """
    if not losses.height:
        return "nothing lost"
    names = dict.fromkeys(
        f"{table}.{field}" for table, field in losses.select("table", "field").rows()
    )
    return f"lost: {', '.join(names)}"


def export(
    source: Source,
    path: Path,
    *,
    format_name: str,
    media: bool | None,
    split: str | None,
    overwrite: bool,
    progress: Progress,
) -> Export:
    """Write rows as files of a format.

    Args:
        source: The rows.
        path: The folder to make; for COCO also the `.json` file.
        format_name: One of `FORMATS`.
        media: Whether to write images too; None: where the format needs them.
        split: The metadata field of frames that names the part of each.
        overwrite: Replace what is at `path`.
        progress: Told how far it is.

    Raises:
        InvalidInputError: If there is no such format or field, or images cannot be
            read: all of them are named, and nothing is left behind.
        AlreadyExistsError: If there is something at `path`.
    """
    kind = format_of(format_name)
    _check_split(source, split)
    losses = Losses()
    source = source.renamed(losses)
    counts = collect_all(
        [source.frames.select(pl.len()), source.labels.select(pl.len())]
    )
    fitting = losses_of(kind.form, source, losses)
    with appearing(path, overwrite=overwrite) as folder:
        wanted = kind.form.media if media is None else media
        kind.write(fitting, Target(folder, losses, progress, wanted, split))
        written = [file for file in folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in written)
    frames, labels = (count.item() for count in counts)
    return Export(
        kind.name, path, frames, labels, len(written), size, losses.to_frame()
    )


def _check_split(source: Source, split: str | None) -> None:
    columns = source.frames.collect_schema().names()
    if split is None or PREFIX + split in columns:
        return
    fields = [name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX)]
    raise InvalidInputError(
        f"Frames have no metadata field {split!r} to split by. There are: "
        f"{', '.join(fields) or 'none'}.",
        kind="export.split",
    )


_BESIDE = ("", "images", "JPEGImages", "../images", "../JPEGImages")
"""Where images usually are, from an annotation file or folder."""


def read_files(
    path: Path,
    *,
    format_name: str,
    images: str | None,
    losses: Losses,
    progress: Progress = silent,
) -> Content:
    """Read files of a format.

    Args:
        path: The folder, or a file.
        format_name: One of `FORMATS`.
        images: What stands before the names of images; None: the folder in which
            they are found, else nothing.
        losses: Where what has no column is told.
        progress: Told how far it is.

    Raises:
        InvalidInputError: If there is no such format, or files cannot be read: all
            faults are listed.
    """
    kind = format_of(format_name)
    if not path.exists():
        raise InvalidInputError(f"There is nothing at {path}.", kind="import.no_file")
    base = path.parent if path.is_file() else path
    folders = tuple((base / name).resolve() for name in _BESIDE)
    origin = Origin(folders, images, progress)
    return kind.read(path, origin, losses)
