"""Imports: the files of another tool as one upload, and what it has no column for."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.formats import FormatName, Losses, describe_losses, read_files
from lakehouse.model.labels import MASK_CLASS
from lakehouse.model.operations import Operations
from lakehouse.types import silent
from lakehouse.uploads.draft import Draft, IfExists
from lakehouse.uploads.submit import SubmitOptions
from lakehouse.uploads.upload import Upload

AddClasses = Callable[[Sequence[str]], list[str]]
"""Appends classes to the project's; returns the names that were new."""


@dataclass(frozen=True, slots=True)
class Import:
    """What `dataset.import_from()` did."""

    format: str
    path: Path
    """What was read."""
    upload: Upload
    """The upload: its status, counts and errors, and `retry`."""
    classes_added: tuple[str, ...]
    """Classes that the project did not have before."""
    losses: pl.DataFrame
    """What has no column here: table, field, rows that lose it, and the reason."""

    @property
    def is_lossless(self) -> bool:
        """Whether every field that was read has a place; see `upload` for faults."""
        return not self.losses.height

    def to_frame(self) -> pl.DataFrame:
        """The losses, a row each."""
        return self.losses

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "format": self.format,
            "path": str(self.path),
            "upload": self.upload.id,
            "status": self.upload.status,
            "version": self.upload.version,
            "frames": self.upload.frame_count,
            "labels": self.upload.label_count,
            **self.upload.counts,
            "classes_added": list(self.classes_added),
            "losses": self.losses.to_dicts(),
        }

    def __repr__(self) -> str:
        upload = self.upload
        return (
            f"<Import {self.format}: {upload.frame_count} frames, "
            f"{upload.label_count} labels, {upload.status}; {describe_losses(self.losses)}>"
        )


def run_import(
    path: str | os.PathLike[str],
    format_name: FormatName,
    *,
    images: str | None,
    if_exists: IfExists,
    add_classes: AddClasses | None,
    check: Callable[[], None],
    submit: Callable[..., Upload],
    options: SubmitOptions,
) -> Import:
    """Read files, and submit their frames and labels as one upload.

    Args:
        path: A folder, or a file.
        format_name: The format of the files.
        images: What stands before the names of images, if anything.
        if_exists: What becomes of frames that exist.
        add_classes: Appends the classes that the files name; None leaves them out.
        check: Raises if the target cannot be written.
        submit: The target's.
        options: The options of `submit`.

    Raises:
        InvalidInputError: If files cannot be read; all problems are listed.
    """
    losses, progress = Losses(), options.get("progress", silent)
    content = read_files(
        Path(path),
        format_name=format_name,
        images=images,
        losses=losses,
        progress=progress,
    )
    # Files are read; checking the rows reports no progress of its own.
    progress("rows", 0, 1)
    draft = Draft()
    draft.add(content.frames, content.labels, if_exists=if_exists)
    operations = draft.operations()
    # Before classes are added: a target that refuses the upload must not leave its
    # project with classes that no label has.
    check()
    added: list[str] = []
    if add_classes is not None:
        added = add_classes(_class_names(operations, content.classes))
    upload = submit(operations, **options)
    return Import(format_name, Path(path), upload, tuple(added), losses.to_frame())


def _class_names(operations: Operations, listed: Sequence[str]) -> list[str]:
    """The classes that files list, and those that their labels have.

    The class of whole masks is no class of a project.
    """
    names = list(listed)
    if "class_name" in operations.labels.columns:
        used = operations.labels.get_column("class_name").drop_nulls().unique().sort()
        names += used.to_list()
    return [name for name in dict.fromkeys(names) if name != MASK_CLASS]
