"""From the rows of a snapshot to files of a format, and a report of what is lost."""

from pathlib import Path

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.formats.content import Source, Target, losses_of
from lakehouse.formats.files import appearing
from lakehouse.formats.kinds import format_of
from lakehouse.formats.losses import Losses
from lakehouse.formats.report import Export
from lakehouse.model.metadata import PREFIX
from lakehouse.progress import Tell
from lakehouse.storage import collect_all

__all__ = ["export"]


def export(
    source: Source,
    path: Path,
    *,
    format_name: str,
    media: bool | None,
    split: str | None,
    overwrite: bool,
    tell: Tell,
) -> Export:
    """Write rows as files of a format.

    Args:
        source: The rows.
        path: The folder to make; for COCO also the `.json` file.
        format_name: One of `FORMATS`.
        media: Whether to write images too; None: where the format needs them.
        split: The metadata field of frames that names the part of each.
        overwrite: Replace what is at `path`.
        tell: Told how far it is.

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
        kind.write(fitting, Target(folder, losses, tell, wanted, split))
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
