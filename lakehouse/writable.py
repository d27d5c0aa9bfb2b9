"""The verbs of a dataset: what it takes in, one upload a call.

`add`, `modify`, `upsert_labels` and `delete` each make one upload, `open_upload`
combines several into one. All of them end in `submit`, the one way in.
"""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Unpack

from lakehouse.catalogue import SingleTable
from lakehouse.collection import Collection
from lakehouse.draft import Draft
from lakehouse.formats import FormatName, Losses, read_files
from lakehouse.importing import Import, class_names
from lakehouse.loading import Load, LoadOptions, run_load
from lakehouse.model.label_types import MASK_CLASS
from lakehouse.model.operations import Operations
from lakehouse.progress import Tell, silent
from lakehouse.registered import Registered
from lakehouse.settings import Settings
from lakehouse.similarity.splits import splits_of
from lakehouse.typing import FrameLike, LabelLike, SourceLike, TableLike
from lakehouse.upload import Upload
from lakehouse.versioned import SubmitOptions

__all__ = ["AddClasses", "Writable"]

IfExists = Literal["replace", "reject", "skip"]
Nulls = Literal["keep", "clear"]
AddClasses = Callable[[Sequence[str]], list[str]]
"""Appends classes to the project's; the names of those that were not there."""


class Writable(Registered):
    """Takes frames and labels in; `Dataset` is the one that does.

    Args:
        name: The dataset's.
        collection: Its tables.
        registry: Where its project lists it.
        settings: What the connection hands down.
        add_classes: Appends classes to the project's, for imports that ask for it.
    """

    def __init__(
        self,
        name: str,
        collection: Collection,
        registry: SingleTable,
        settings: Settings,
        *,
        add_classes: AddClasses | None = None,
    ) -> None:
        super().__init__(name, collection, registry, settings)
        self._add_classes = add_classes

    def add(
        self,
        frames: FrameLike,
        labels: LabelLike | None = None,
        *,
        if_exists: IfExists = "replace",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Add frames with their labels, or replace frames wholly.

        A frame that is there already is replaced: its sensors, metadata,
        labels and embedding become exactly what these rows carry.

        Args:
            frames: Rows with `frame_id`, `image_url` or `sensors`, metadata as
                `user__<name>`: anything Arrow, a LazyFrame, dicts, or a path.
            labels: Rows with `frame_id`, `label_id`, `class_name`, geometry.
            if_exists: Whether a frame that is there is replaced, rejected, or
                skipped.
            **options: As `submit` takes them: message, metadata, upload_id,
                on_error, based_on.

        Returns:
            The upload; frames at fault are in `upload.errors()`.

        Raises:
            InvalidInputError: If the rows cannot be read as frames or labels:
                an unknown column, a missing or repeated id. Nothing is written.
        """
        draft = Draft()
        draft.add(frames, labels, if_exists=if_exists)
        return self.submit(draft.operations(), **options)

    def load(
        self,
        frames: SourceLike | None = None,
        labels: SourceLike | None = None,
        *,
        if_exists: IfExists = "replace",
        **options: Unpack[LoadOptions],
    ) -> Load:
        r"""Add frames with their labels, or labels alone, from sources of any size.

        The same as `add`, or `upsert_labels`, in parts that fit in memory, each
        of whole frames and an upload of its own. A load that broke off is called
        again with its `load_id`: parts that are there are not sent again.

        Args:
            frames: A file, a folder or a pattern (`s3://bucket/frames/*.parquet`)
                of Parquet, Arrow IPC, CSV or JSON lines; or a LazyFrame.
            labels: The same for labels.
            if_exists: As `add` takes it.
            **options: `load_id`, the id of the load to go on with. `part_bytes`,
                about how much of the sources becomes one upload: the local disk
                has room for the sources once, memory for ten parts.
                `storage_options`, `AWS_…` settings for sources on S3 (the lake's
                own when left out). `message` and `metadata` as `submit` takes
                them. `progress`, told the stage (`rows`, `parts`), how much of it
                is done, and how much there is.

        Raises:
            InvalidInputError: If a source is not there, has no frame ids, or has a
                column that is unknown (nothing is written); if rows of a part
                cannot be read (the other parts are loaded); or if `load_id` is
                of other files.

        >>> import pathlib, tempfile, lakehouse
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> size = folder.joinpath("1.csv").write_text("frame_id,image_url\na,a.png")
        >>> size = folder.joinpath("2.csv").write_text("frame_id,image_url\nb,b.png")
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
        >>> load = dataset.load(folder)
        >>> load.status, load.counts["created"]
        ('DONE', 2)
        """

        def drafted(*tables: TableLike) -> Operations:
            draft = Draft()
            if frames is None:
                draft.upsert_labels(tables[0])
            else:
                draft.add(*tables, if_exists=if_exists)
            return draft.operations()

        return run_load(self, (frames, labels), drafted, options)

    def modify(
        self,
        frames: FrameLike | None = None,
        labels: LabelLike | None = None,
        *,
        nulls: Nulls = "keep",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Merge the fields given into frames and labels that are there.

        Args:
            frames: Rows with `frame_id` and the fields to change.
            labels: Rows with `frame_id`, `label_id` and the fields to change.
            nulls: `keep` leaves a field alone where its value is null;
                `clear` sets it to null.
            **options: As `submit` takes them.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = Draft()
        draft.modify(frames, labels, nulls=nulls)
        return self.submit(draft.operations(), **options)

    def upsert_labels(
        self, labels: LabelLike, **options: Unpack[SubmitOptions]
    ) -> Upload:
        """Create labels, or replace those there wholly; other labels stay.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = Draft()
        draft.upsert_labels(labels)
        return self.submit(draft.operations(), **options)

    def delete(
        self,
        frames: FrameLike | list[str] | None = None,
        labels: LabelLike | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Take frames, or single labels, out of the latest version.

        Older versions keep them.

        Args:
            frames: Frame ids, or rows with `frame_id`.
            labels: Rows with `frame_id` and `label_id`.
            **options: As `submit` takes them.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = Draft()
        draft.delete(frames, labels)
        return self.submit(draft.operations(), **options)

    def assign_splits(
        self,
        shares: Mapping[str, float],
        *,
        by: str | None = None,
        field: str = "user__split",
        seed: str | int = "",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Give frames without a split one, for good: train, test, and so on.

        Which one follows from a hash of the frame's group alone, so it is the same
        on every machine and whatever comes later. Frames that have a split keep it,
        and others of their group follow them.

        Args:
            shares: Split to its part of the groups; together they are 1.
            by: A metadata field, such as `user__patient`: frames of one value stay
                together. Each frame is by itself when left out, or where it is null.
            field: The metadata field that holds the split.
            seed: Another seed is another draw.
            **options: As `submit` takes them.

        Returns:
            The upload; it changes nothing where all frames have a split.

        Raises:
            InvalidInputError: If shares are no parts of 1, there is no such field, or
                frames of one group are in several splits already. Nothing is written.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("cells", classes=["cell"]).create_dataset(
        ...     "hela"
        ... )
        >>> rows = [{"frame_id": f"f{n}", "image_url": "a.png"} for n in range(1000)]
        >>> upload = dataset.add(rows)
        >>> upload = dataset.assign_splits({"train": 0.8, "test": 0.2})
        >>> frames = dataset.latest().frames().collect()
        >>> frames["user__split"].value_counts(sort=True).rows()
        [('train', 808), ('test', 192)]
        """
        rows = splits_of(self.latest().frames(), shares, by, field, str(seed))
        return self.modify(rows, **options)

    @contextmanager
    def open_upload(self, **options: Unpack[SubmitOptions]) -> Generator[Draft]:
        """Combine several verbs into one upload, and so into one version.

        It is submitted when the block ends; if the block raises, nothing is.
        Afterwards `draft.upload` is the upload.
        """
        draft = Draft()
        yield draft
        draft.upload = self.submit(draft.operations(), **options)

    def import_from(
        self,
        path: str | os.PathLike[str],
        format: FormatName,  # noqa: A002 - users call it so
        *,
        images: str | None = None,
        add_classes: bool = False,
        if_exists: IfExists = "replace",
        progress: Tell = silent,
        **options: Unpack[SubmitOptions],
    ) -> Import:
        r"""Add the frames and labels of files that another tool wrote: one upload.

        Frames are called like their files. Labels of a class that the project does
        not have are rejected with their frames, unless `add_classes` is set.

        Args:
            path: A folder, or a file.
            format: `coco`, `voc`, `yolo`, `csv`, `parquet`, `imagefolder` (Hugging
                Face) or `webdataset`.
            images: What stands before the names of images, such as
                `s3://bucket/images`; by default the folder in which they are found,
                else nothing: names stay relative, see `connect(media_root=…)`.
            add_classes: Append the classes that the files name to the project's.
            if_exists: As for `add`.
            progress: Called with a stage, how much of it is done, and how much
                there is.
            **options: As `submit` takes them.

        Returns:
            The upload, and in `losses` what the files say that has no column.

        Raises:
            InvalidInputError: If files cannot be read: all faults are listed, and
                nothing is written.

        >>> import pathlib, tempfile, lakehouse
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> size = folder.joinpath("frames.csv").write_text(
        ...     "frame_id,image_url\na,a.png"
        ... )
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
        >>> dataset.import_from(folder, "csv")
        <Import csv: 1 frames, 0 labels, DONE; nothing lost>
        """
        losses, tell = Losses(), progress
        content = read_files(
            Path(path), format_name=format, images=images, losses=losses, tell=tell
        )
        tell("rows", 0, 1)
        draft = Draft()
        draft.add(content.frames, content.labels, if_exists=if_exists)
        operations = draft.operations()
        self._require_writable(options.get("upload_id"))
        added: list[str] = []
        if add_classes and self._add_classes is not None:
            named = [
                name for name in class_names(operations, content) if name != MASK_CLASS
            ]
            added = self._add_classes(named)
        upload = self.submit(operations, **options)
        return Import(format, Path(path), upload, tuple(added), losses.to_frame())
