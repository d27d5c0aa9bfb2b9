"""A dataset: frames and labels under one ledger.

Every write is one upload: `add`, `modify`, `upsert_labels` and `delete` each
make one, `open_upload` combines several into one. All of them end in `submit`,
the one way in. Every read starts at a version: `latest()` or `at(ref)`.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Unpack

import polars as pl

from lakehouse.catalogue import SingleTable, register
from lakehouse.checkpoints import (
    Checkpoint,
    checkpoints_table,
    create_checkpoint,
    find_checkpoint,
)
from lakehouse.collection import Collection
from lakehouse.contracts import INFERENCE_SET
from lakehouse.draft import Draft
from lakehouse.errors import AlreadyExistsError
from lakehouse.inference_set import InferenceSet
from lakehouse.loading import Load, LoadOptions, run_load
from lakehouse.measuring import Goal
from lakehouse.model.ids import check_name
from lakehouse.model.metadata import metadata_columns
from lakehouse.model.operations import Operations
from lakehouse.pinning import awaited, take_pin
from lakehouse.registered import Mode, Registered, check_mode
from lakehouse.settings import Settings, pick
from lakehouse.similarity.splits import splits_of
from lakehouse.typing import (
    FrameLike,
    LabelLike,
    SourceLike,
    TableLike,
    VersionLike,
)
from lakehouse.upload import Upload
from lakehouse.versioned import SubmitOptions
from lakehouse.versions import resolve

__all__ = ["Dataset"]

IfExists = Literal["replace", "reject", "skip"]
Nulls = Literal["keep", "clear"]


class Dataset(Registered):
    """Frames and labels with a history. Made by `project.dataset()`."""

    def __init__(
        self,
        project: str,
        name: str,
        collection: Collection,
        registry: SingleTable,
        settings: Settings,
        *,
        goal: Goal | None = None,
    ) -> None:
        super().__init__(name, collection, registry, settings)
        self.project_name = project
        self._goal = goal

    # -------------------------------- WRITING ------------------------------- #

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
        """Add frames with their labels, or labels alone, from sources of any size.

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

        Example:
            >>> load = dataset.load(
            ...     "frames.parquet", "labels/*.parquet"
            ... )  # doctest: +SKIP
            >>> load.status, load.counts["created"]  # doctest: +SKIP
            ('DONE', 2000000)
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

    # ------------------------------ CHECKPOINTS ----------------------------- #

    def checkpoint(
        self,
        name: str,
        at: VersionLike = "latest",
        *,
        message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """Name a version, for ever.

        The very same call made again changes nothing.

        Args:
            name: A letter, then letters, digits, `_`, `.` and `-`; unique in the
                dataset.
            at: The version, as `at` takes it.
            message: Why.
            metadata: Anything JSON can hold.

        Raises:
            InvalidInputError: If the name cannot be one.
            AlreadyExistsError: If the name is taken.
            NotFoundError: If there is no such version.
        """
        return create_checkpoint(
            self.collection,
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
        return find_checkpoint(self.collection, name, self._settings.author)

    def checkpoints(self, *, archived: bool = False) -> pl.DataFrame:
        """The checkpoints by the time of their versions.

        Args:
            archived: List archived ones too.

        Returns:
            A row each: name, version, its time, author, message, metadata; the
            frames and labels there are; and what uploads did since the one before.
        """
        return checkpoints_table(self.collection, archived=archived)

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
            at: The version to pin it to, as `at` takes it; the latest when left
                out, once everything acknowledged before is merged.
            mode: STREAMING, or BATCH: one upload, all or nothing, then fixed.
            frame_metadata: Field to type, as for `create_dataset`.
            inference_metadata: The same for inferences.
            frame_embedding_model: What the frames' vectors are made with.
            inference_embedding_model: What the inferences' vectors are made with.
            metadata: Anything JSON can hold.
            exist_ok: Return the set that is there instead of raising.

        Raises:
            InvalidInputError: If a name or a type is unusable.
            AlreadyExistsError: If the name is taken and `exist_ok` is not set.
            NotFoundError: If there is no such version.
            ArchivedError: If the dataset is archived.
        """
        check_name("inference set", name)
        check_mode(mode)
        self._require_active()
        key = f"{self.name}/{name}"
        taken = self._registry.rows().filter(name=key).height
        if taken and not exist_ok:
            raise AlreadyExistsError(
                f"There is an inference set {name!r} of dataset {self.name!r} already. "
                "Choose another name, or pass exist_ok=True to use it.",
                kind="inference_set.exists",
            )
        if not taken:
            waits_for = self._pin(name, at)
            self._set_collection(name).create(
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
            self.collection,
            self._registry,
            self._settings,
            goal=self._goal,
        )

    def inference_sets(self, *, archived: bool = False) -> list[InferenceSet]:
        """All inference sets by name; archived ones only when asked for."""
        rows = self._registry.rows().filter(kind="inference_set", dataset=self.name)
        keys = rows.filter(pl.col("archived") <= archived).get_column("name").sort()
        return [self.inference_set(key.partition("/")[2]) for key in keys]

    def _pin(self, name: str, at: VersionLike | None) -> list[str]:
        """Take the pin of a new set; the uploads it waits for instead, if any."""
        if at is None:
            if self._settings.inline:
                self.merge_pending()
            if waits_for := awaited(self.collection):
                return waits_for
        version = resolve(self.collection, "latest" if at is None else at)
        take_pin(self.collection, name, version, self._settings.author)
        return []

    def _set_collection(self, name: str) -> Collection:
        path = f"{self.collection.path}/inference_sets/{name}"
        collection = self.collection
        return Collection(collection.store, path, collection.classes, INFERENCE_SET)

    # ------------------------------ THE DATASET ----------------------------- #

    @property
    def _kind(self) -> str:
        return "dataset"

    @property
    def _key(self) -> str:
        return self.name

    def __repr__(self) -> str:
        latest = self.collection.latest()
        return (
            f"<Dataset {self.project_name}/{self.name} version {latest.version}: "
            f"{latest.rows['frames']} frames, {latest.rows['labels']} labels>"
        )
