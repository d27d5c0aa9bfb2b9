"""A dataset: frames and labels under one ledger.

Rows come in as uploads. Every read starts at a version: `latest()` or `at(ref)`, which
stand in `Versioned` with all that a dataset and an inference set have in common.
Checkpoints name its versions, clones copy it, and inference sets are pinned to it.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Unpack

import polars as pl

from lakehouse.catalog.clone import Clone, register_clone
from lakehouse.catalog.evaluation import TaskSpec
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.catalog.registry import MUTABLE_PREFIX, Mode, RegistryRow, check_mode
from lakehouse.catalog.settings import Settings
from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import AlreadyExistsError, InvalidInputError
from lakehouse.formats import FormatName
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable, pick, register
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.ids import check_name
from lakehouse.model.metadata import metadata_columns
from lakehouse.model.operations import Operations
from lakehouse.similarity.splits import splits_of
from lakehouse.transactions.background import later
from lakehouse.transactions.clone import clone_content
from lakehouse.transactions.create import create_collection
from lakehouse.transactions.tags import awaited, take_pin
from lakehouse.types import (
    FrameLike,
    LabelLike,
    SourceLike,
    TableLike,
    VersionLike,
)
from lakehouse.uploads import Load, LoadOptions, run_load
from lakehouse.uploads.draft import Draft, IfExists, Nulls
from lakehouse.uploads.imports import AddClasses, Import, run_import
from lakehouse.uploads.submit import SubmitOptions
from lakehouse.uploads.upload import Upload
from lakehouse.versions.checkpoints import (
    Checkpoint,
    checkpoints_table,
    create_checkpoint,
    find_checkpoint,
)
from lakehouse.versions.resolve import resolve


class Dataset(Versioned):
    """Frames and labels with a history. Made by `project.dataset()`.

    Args:
        project: The name of the project.
        name: The name of the dataset.
        collection: Its ledger and tables.
        registry: The table of all datasets and inference sets of the project.
        settings: What was chosen at `connect()`.
        task_spec: What the project's models are for: how metrics count.
        add_classes: Appends classes to those of the project, for imports.
    """

    def __init__(
        self,
        project: str,
        name: str,
        collection: Collection,
        registry: SingleTable,
        settings: Settings,
        *,
        task_spec: TaskSpec | None = None,
        add_classes: AddClasses | None = None,
    ) -> None:
        row = RegistryRow(registry, "dataset", name)
        super().__init__(name, collection, row, settings)
        self.project_name = project
        self._registry = registry
        self._task_spec = task_spec
        self._add_classes = add_classes

    # -------------------------------- WRITING ------------------------------- #

    def add(
        self,
        frames: FrameLike,
        labels: LabelLike | None = None,
        *,
        if_exists: IfExists = "replace",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Add frames with their labels, or replace frames with all they have.

        A frame that exists already is replaced: afterwards it has the sensors,
        metadata, labels and embedding of these rows, and no others.

        Args:
            frames: Rows with `frame_id`, `image_url` or `sensors`, metadata as
                `user__<name>`: anything Arrow, a LazyFrame, dicts, or a path.
            labels: Rows with `frame_id`, `label_id`, `class_name`, geometry.
            if_exists: Whether a frame that exists is replaced, rejected, or skipped.
            **options: As `submit` takes them: message, metadata, upload_id,
                on_error, based_on.

        Returns:
            The upload; `upload.errors()` lists rejected frames.

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
        of whole frames and an upload of its own. An interrupted load is called again
        with its `load_id`: parts that were sent are not sent again.

        Args:
            frames: A file, a folder or a pattern (`s3://bucket/frames/*.parquet`)
                of Parquet, Arrow IPC, CSV or JSON lines; or a LazyFrame.
            labels: The same for labels.
            if_exists: As `add` takes it.
            **options: `load_id`, the id of the load to continue. `part_bytes`,
                about how many bytes of the sources become one upload: the local disk
                needs room for the sources once, memory for ten parts.
                `storage_options`, `AWS_…` settings for sources on S3 (the lake's
                own when left out). `message` and `metadata` as `submit` takes
                them. `progress`, called with the stage (`rows`, `parts`), how much
                of it is done, and how much there is.

        Raises:
            InvalidInputError: If a source does not exist, has no frame ids, or has an
                unknown column (nothing is written); if rows of a part cannot be
                read (the other parts are loaded); or if `load_id` belongs to other
                files.

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

        def draft_part(*tables: TableLike) -> Operations:
            """The operations of one part: a table for each source that is given."""
            draft = Draft()
            if frames is None:
                draft.upsert_labels(tables[0])
            else:
                draft.add(*tables, if_exists=if_exists)
            return draft.operations()

        return run_load(self, (frames, labels), draft_part, options)

    def modify(
        self,
        frames: FrameLike | None = None,
        labels: LabelLike | None = None,
        *,
        nulls: Nulls = "keep",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Merge the given fields into frames and labels that exist.

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
        """Create labels, or replace existing ones; all other labels stay.

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
        """Remove frames, or single labels, from the latest version.

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
        """Assign frames without a split to one, permanently: train, test, and so on.

        The split follows from a hash of the frame's group alone, so it is the same
        on every machine and does not depend on later frames. Frames that have a split
        keep it, and others of their group follow them.

        Args:
            shares: The share of the groups for each split, such as
                `{"train": 0.8, "test": 0.2}`; they add up to 1.
            by: A metadata field, such as `user__patient`: frames of one value stay
                in one split. Each frame is a group when left out, or where it is null.
            field: The metadata field that holds the split.
            seed: Another seed gives another assignment.
            **options: As `submit` takes them.

        Returns:
            The upload; it changes nothing if all frames have a split.

        Raises:
            InvalidInputError: If shares do not add up to 1, there is no such field, or
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
        # Not reached if the block raised, since `yield` raises then.
        draft.upload = self.submit(draft.operations(), **options)

    def import_from(
        self,
        path: str | os.PathLike[str],
        format: FormatName,  # noqa: A002 - users call it so
        *,
        images: str | None = None,
        add_classes: bool = False,
        if_exists: IfExists = "replace",
        **options: Unpack[SubmitOptions],
    ) -> Import:
        r"""Add the frames and labels of files that another tool wrote, in one upload.

        The id of a frame is the name of its file. Labels of a class that the project
        does not have are rejected with their frames, unless `add_classes` is set.

        Args:
            path: A folder, or a file.
            format: `coco`, `voc`, `yolo`, `csv`, `parquet`, `imagefolder` (Hugging
                Face) or `webdataset`.
            images: The folder or URL that image names start from, such as
                `s3://bucket/images`; by default the folder in which the images lie,
                else none: names stay relative, see `connect(media_root=…)`.
            add_classes: Append the classes that the files name to the project's.
            if_exists: As for `add`.
            **options: As `submit` takes them; `progress` counts files that are read, too.

        Returns:
            The upload, and in `losses` the fields of the files that have no column.

        Raises:
            InvalidInputError: If files cannot be read: all problems are listed, and
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
        return run_import(
            path,
            format,
            images=images,
            if_exists=if_exists,
            add_classes=self._add_classes if add_classes else None,
            # Called before classes are added: see run_import.
            check=lambda: self._require_writable(options.get("upload_id")),
            submit=self.submit,
            options=options,
        )

    # ------------------------------ CHECKPOINTS ----------------------------- #

    def checkpoint(
        self,
        name: str,
        at: VersionLike = "latest",
        *,
        message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """Name a version permanently; the same call made again changes nothing.

        Args:
            name: A letter, then letters, digits, `_`, `.` and `-`; unique in the
                dataset.
            at: The version, as `at` takes it.
            message: The reason, kept with the checkpoint.
            metadata: Anything JSON can hold.

        Raises:
            InvalidInputError: If the name has other characters.
            AlreadyExistsError: If the name is taken.
            NotFoundError: If there is no such version.
        """
        return create_checkpoint(
            self._collection,
            name,
            at,
            author=self._settings.author,
            message=message,
            metadata=dict(metadata or {}),
        )

    def get_checkpoint(self, name: str) -> Checkpoint:
        """The checkpoint of that name, archived ones too.

        Raises:
            NotFoundError: If there is none.
        """
        return find_checkpoint(self._collection, name, self._settings.author)

    def checkpoints(self, *, archived: bool = False) -> pl.DataFrame:
        """The checkpoints by the time of their versions.

        Args:
            archived: Include archived ones.

        Returns:
            A row each: name, version, its time, author, message, metadata; how many
            frames and labels it has; and the counts of uploads since the one before.
        """
        return checkpoints_table(self._collection, archived=archived)

    # --------------------------------- CLONES ------------------------------- #

    def clone(
        self, name: str, at: VersionLike = "latest", *, exist_ok: bool = False
    ) -> "Clone[Dataset]":
        """Make a dataset that begins with the content of this one at a version.

        It is listed at once, and can be read when its files are there: the store
        links or copies them in the background, none is encoded again. Its version 0
        has the fingerprint of the version that is cloned. Inference sets and checkpoints are not cloned. When
        merging is deferred it is only listed, and `project.finish_clones()` or
        `lakehouse run clone` completes it.

        Args:
            name: Letters, digits and underscores; unique in the project.
            at: The version, as `at` takes it.
            exist_ok: Continue an existing clone of this dataset.

        Returns:
            Its status, and `wait()`.

        Raises:
            InvalidInputError: If the name has other characters.
            AlreadyExistsError: If the name is taken.
            NotFoundError: If there is no such version.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
        >>> upload = dataset.add([{"frame_id": "f1", "image_url": "f1.png"}])
        >>> dataset.clone("copy").wait()
        <Dataset p/copy version 0: 1 frames, 0 labels>
        """
        check_name("dataset", name)
        version = resolve(self._collection, at)
        target = self._sibling_collection(name)
        # A clone that was begun before goes on with the version it was begun of.
        version = register_clone(
            self._registry,
            target,
            source=self.name,
            name=name,
            version=version,
            exist_ok=exist_ok,
        )
        work = None
        if self._settings.inline:
            # Collections of their own, since another thread reads and writes them:
            # what a collection has cached is not shared between threads.
            source, target_twin = (
                self._collection.twin(),
                self._sibling_collection(name),
            )
            author = self._settings.author
            work = later(
                lambda: clone_content(source, target_twin, version, author=author)
            )
        return Clone(name, target, lambda: self._sibling(name), work)

    def clone_as_mutable(self, *, exist_ok: bool = False) -> "Clone[Dataset]":
        """Clone a BATCH dataset as `MUTABLE_<name>`, which takes changes.

        Args:
            exist_ok: Continue the existing clone.

        Raises:
            InvalidInputError: If the dataset is not BATCH.
            AlreadyExistsError: If the name is taken.
        """
        if self.mode != "BATCH":
            raise InvalidInputError(
                f"The dataset {self.name!r} takes changes already. A copy of it is made "
                "by dataset.clone(name).",
                kind="dataset.mutable",
            )
        return self.clone(f"{MUTABLE_PREFIX}{self.name}", exist_ok=exist_ok)

    def finish_clone(self) -> bool:
        """Complete an interrupted clone; False if there is nothing to do.

        Raises:
            StorageError: If the store failed; the same call continues.
        """
        row = self._registry_row.read()
        # With a first entry the clone is complete, whichever process wrote it.
        if not row["clone_of"] or self._collection.ledger.head() is not None:
            return False
        source = self._sibling_collection(row["clone_of"])
        author = self._settings.author
        clone_content(source, self._collection, int(row["clone_at"]), author=author)
        return True

    def _sibling(self, name: str) -> "Dataset":
        """Another dataset of the project."""
        return Dataset(
            self.project_name,
            name,
            self._sibling_collection(name),
            self._registry,
            self._settings,
            task_spec=self._task_spec,
            add_classes=self._add_classes,
        )

    def _sibling_collection(self, name: str) -> Collection:
        own = self._collection
        path = f"{own.path.rpartition('/')[0]}/{name}"
        return Collection(own.store, path, own.classes, media=own.media)

    # ----------------------------- INFERENCE SETS --------------------------- #

    def create_inference_set(
        self,
        name: str,
        at: VersionLike | None = None,
        *,
        mode: Mode = "STREAMING",
        frame_metadata: Mapping[str, str] | None = None,
        inference_metadata: Mapping[str, str] | None = None,
        frame_embedding_model: str | None = None,
        inference_embedding_model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        exist_ok: bool = False,
    ) -> InferenceSet:
        """Create an empty inference set, pinned to a version of this dataset.

        Args:
            name: Letters, digits and underscores; unique in the dataset.
            at: The version to pin it to, as `at` takes it; when left out the latest,
                once earlier uploads are merged.
            mode: STREAMING, or BATCH: one upload, all or nothing, then fixed.
            frame_metadata: Field to type, as for `create_dataset`.
            inference_metadata: The same for inferences.
            frame_embedding_model: The model that makes the frames' vectors.
            inference_embedding_model: The model that makes the inferences' vectors.
            metadata: Anything JSON can hold.
            exist_ok: Return the existing set instead of raising.

        Raises:
            InvalidInputError: If a name or a type is unusable.
            AlreadyExistsError: If the name is taken and `exist_ok` is not set.
            NotFoundError: If there is no such version.
            ArchivedError: If the dataset is archived.
        """
        check_name("inference set", name)
        check_mode(mode)
        self.require_active()
        # Names hold no slash, so sets of two datasets cannot collide in the one
        # registry.
        key = f"{self.name}/{name}"
        taken = self._registry.rows().filter(name=key).height
        if taken and not exist_ok:
            raise AlreadyExistsError(
                f"There is an inference set {name!r} of dataset {self.name!r} already. "
                "Choose another name, or pass exist_ok=True to use it.",
                kind="inference_set.exists",
            )
        # The pin comes first: garbage collection keeps the files of a pinned version,
        # and a set must not be listed before that holds.
        if not taken:
            waits_for = self._pin(name, at)
            # To a collection, the inferences of a set are its labels.
            create_collection(
                self._set_collection(name),
                frame_metadata=metadata_columns(frame_metadata),
                label_metadata=metadata_columns(inference_metadata),
                frame_embedding_model=frame_embedding_model,
                label_embedding_model=inference_embedding_model,
                author=self._settings.author,
            )
            register(
                self._registry,
                key,
                "inference_set",
                dataset=self.name,
                mode=mode,
                metadata=metadata,
                awaits=waits_for,
            )
        return self.inference_set(name)

    def inference_set(self, name: str) -> InferenceSet:
        """The inference set of that name.

        Raises:
            NotFoundError: If there is none; the nearest name is suggested.
        """
        pick(self._registry.rows(), "inference_set", f"{self.name}/{name}")
        return InferenceSet(
            name,
            self._set_collection(name),
            self._collection,
            self._registry,
            self._settings,
            task_spec=self._task_spec,
        )

    def inference_sets(self, *, archived: bool = False) -> list[InferenceSet]:
        """All inference sets by name; archived ones only when asked for."""
        rows = self._registry.rows().filter(kind="inference_set", dataset=self.name)
        # False <= False, and anything <= True: archived ones only where asked for.
        keys = rows.filter(pl.col("archived") <= archived).get_column("name").sort()
        return [self.inference_set(key.partition("/")[2]) for key in keys]

    def _pin(self, name: str, at: VersionLike | None) -> list[str]:
        """Pin a new set; returns the uploads that the pin waits for, if any."""
        if at is None:
            # Inline: this connection merges in its calls, rather than leave it to a job.
            if self._settings.inline:
                self.merge_pending()
            # "Latest" means with everything acknowledged; until that is merged there
            # is no version to pin to, and the set waits for those uploads.
            if waits_for := awaited(self._collection):
                return waits_for
        # A number from here on: `latest` may move before the pin is written.
        version = resolve(self._collection, "latest" if at is None else at)
        take_pin(self._collection, name, version, self._settings.author)
        return []

    def _set_collection(self, name: str) -> Collection:
        path = f"{self._collection.path}/inference_sets/{name}"
        collection = self._collection
        return Collection(
            collection.store,
            path,
            collection.classes,
            INFERENCE_SET,
            media=collection.media,
        )

    # ------------------------------ THE DATASET ----------------------------- #

    def __repr__(self) -> str:
        # A repr must not raise, and an unfinished clone has no counts to show.
        if not self.is_ready:
            return f"<Dataset {self.project_name}/{self.name}: being cloned>"
        latest = self._collection.latest()
        return (
            f"<Dataset {self.project_name}/{self.name} version {latest.version}: "
            f"{latest.rows['frames']} frames, {latest.rows['labels']} labels>"
        )
