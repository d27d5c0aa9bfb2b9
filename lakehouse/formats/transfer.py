"""Export of a snapshot to files of a format, and import of such files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Content, Losses, Source, Target, count_losses
from lakehouse.formats.files import Origin, new_folder
from lakehouse.formats.names import format_of
from lakehouse.model.metadata import PREFIX
from lakehouse.storage import collect_all
from lakehouse.types import Progress, silent

_IMAGE_FOLDERS: Final = ("", "images", "JPEGImages", "../images", "../JPEGImages")
"""Where images usually are, from an annotation file or folder."""


@dataclass(frozen=True, slots=True)
class Export:
    """The report of `snapshot.export()`."""

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
    """What was not written: table, field, rows that lose it, and the reason."""

    @property
    def is_lossless(self) -> bool:
        """Whether importing it again gives the same rows."""
        return not self.losses.height

    def to_frame(self) -> pl.DataFrame:
        """A row for each loss."""
        return self.losses

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
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
            f"{describe_losses(self.losses)}>"
        )


def describe_losses(losses: pl.DataFrame) -> str:
    """The fields that are lost, as text.

    >>> describe_losses(pl.DataFrame())
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
        path: The folder to create; for COCO also the `.json` file.
        format_name: One of `FORMATS`.
        media: Whether to write images too; None: where the format needs them.
        split: The metadata field of frames that names the part of each.
        overwrite: Replace what is at `path`.
        progress: Called with a stage, how much of it is done, and how much there is.

    Raises:
        InvalidInputError: If there is no such format or field, or images cannot be
            read: all of them are named, and nothing is left behind.
        AlreadyExistsError: If there is something at `path`.
    """
    kind = format_of(format_name)
    _check_split(source, split)
    losses = Losses()
    source = source.renamed(losses)
    # Before labels are left out that the format does not have: the report counts what
    # there was, and the losses what of it is missing.
    counts = collect_all(
        [source.frames.select(pl.len()), source.labels.select(pl.len())]
    )
    fitting = count_losses(kind.form, source, losses)
    # Written beside the target and moved when complete, so a failed export leaves
    # nothing that looks like a whole one.
    with new_folder(path, overwrite=overwrite) as folder:
        with_media = kind.form.media if media is None else media
        kind.write(fitting, Target(folder, losses, progress, with_media, split))
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
        images: Folder or URL before the names of images; None: the folder that has
            them, else nothing.
        losses: Where values without a column are counted.
        progress: Called with a stage, how much of it is done, and how much there is.

    Raises:
        InvalidInputError: If there is no such format, or files cannot be read: all
            problems are listed.
    """
    kind = format_of(format_name)
    if not path.exists():
        raise InvalidInputError(f"There is nothing at {path}.", kind="import.no_file")
    base = path.parent if path.is_file() else path
    folders = tuple((base / name).resolve() for name in _IMAGE_FOLDERS)
    origin = Origin(folders, images, progress)
    return kind.read(path, origin, losses)
