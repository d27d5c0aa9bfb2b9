"""A dataset: frames and labels under one ledger.

What it takes in, it takes in as uploads: see `Writable`. Every read starts at a
version: `latest()` or `at(ref)`. Checkpoints name its versions, clones copy it, and
inference sets are pinned to it.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from lakehouse.catalogue import SingleTable, register
from lakehouse.checkpoints import (
    Checkpoint,
    checkpoints_table,
    create_checkpoint,
    find_checkpoint,
)
from lakehouse.cloning import MUTABLE, Clone, register_clone
from lakehouse.collection import Collection
from lakehouse.contracts import INFERENCE_SET
from lakehouse.engines.background import later
from lakehouse.engines.cloning import clone_content
from lakehouse.errors import AlreadyExistsError, InvalidInputError
from lakehouse.inference_set import InferenceSet
from lakehouse.measuring import Goal
from lakehouse.model.ids import check_name
from lakehouse.model.metadata import metadata_columns
from lakehouse.pinning import awaited, take_pin
from lakehouse.registered import Mode, check_mode
from lakehouse.settings import Settings, pick
from lakehouse.typing import (
    VersionLike,
)
from lakehouse.versions import resolve
from lakehouse.writable import AddClasses, Writable

__all__ = ["Dataset"]


class Dataset(Writable):
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
        add_classes: AddClasses | None = None,
    ) -> None:
        super().__init__(name, collection, registry, settings, add_classes=add_classes)
        self.project_name = project
        self._goal = goal

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

    # --------------------------------- CLONES ------------------------------- #

    def clone(
        self, name: str, at: VersionLike = "latest", *, exist_ok: bool = False
    ) -> Clone:
        """Make a dataset that begins with what this one has at a version.

        It is listed at once, and can be read when its files are there: they are
        linked or copied by the store behind the caller's back, none is encoded
        again. Its version 0 has the same fingerprint. Inference sets and
        checkpoints are not cloned. When merging is deferred it is only listed, and
        `project.finish_clones()` or `lakehouse run clone` does the rest.

        Args:
            name: Letters, digits and underscores; unique in the project.
            at: The version, as `at` takes it.
            exist_ok: Go on with a clone of this dataset that is there.

        Returns:
            Its status, and `wait()`.

        Raises:
            InvalidInputError: If the name cannot be one.
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
        version = resolve(self.collection, at)
        target = self._sibling(name).collection
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
            # Of their own, since another thread reads and writes them.
            source, made = self.collection.twin(), self._sibling(name).collection
            author = self._settings.author
            work = later(lambda: _cloned(source, made, version, author))
        return Clone(name, target, lambda: self._sibling(name), work)

    def clone_as_mutable(self, *, exist_ok: bool = False) -> Clone:
        """Clone a BATCH dataset as `MUTABLE_<name>`, which takes changes.

        Args:
            exist_ok: Go on with the clone that is there.

        Raises:
            InvalidInputError: If it is no BATCH dataset.
            AlreadyExistsError: If the name is taken.
        """
        if self.mode != "BATCH":
            raise InvalidInputError(
                f"The dataset {self.name!r} takes changes already. A copy of it is made "
                "by dataset.clone(name).",
                kind="dataset.mutable",
            )
        return self.clone(f"{MUTABLE}{self.name}", exist_ok=exist_ok)

    def finish_clone(self) -> bool:
        """Go on with a clone that was cut short; False if there is nothing to do.

        Raises:
            StorageError: If the store failed; the same call goes on.
        """
        row = self._row()
        if not row["clone_of"] or self.collection.ledger.head() is not None:
            return False
        source = self._sibling(row["clone_of"]).collection
        author = self._settings.author
        clone_content(source, self.collection, int(row["clone_at"]), author=author)
        return True

    def _sibling(self, name: str) -> "Dataset":
        """Another dataset of the project."""
        mine = self.collection
        path = f"{mine.path.rpartition('/')[0]}/{name}"
        there = Collection(mine.store, path, mine.classes, media=mine.media)
        return Dataset(
            self.project_name,
            name,
            there,
            self._registry,
            self._settings,
            goal=self._goal,
            add_classes=self._add_classes,
        )

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
        return Collection(
            collection.store,
            path,
            collection.classes,
            INFERENCE_SET,
            media=collection.media,
        )

    # ------------------------------ THE DATASET ----------------------------- #

    @property
    def _kind(self) -> str:
        return "dataset"

    @property
    def _way_out(self) -> str:
        clone = self.clone_name
        if clone is not None:
            return f"Its mutable clone is {clone!r}."
        return (
            f"dataset.clone_as_mutable() makes {MUTABLE + self.name!r}, which takes "
            "changes; or load a new one."
        )

    @property
    def _key(self) -> str:
        return self.name

    def __repr__(self) -> str:
        if not self.is_ready:
            return f"<Dataset {self.project_name}/{self.name}: being cloned>"
        latest = self.collection.latest()
        return (
            f"<Dataset {self.project_name}/{self.name} version {latest.version}: "
            f"{latest.rows['frames']} frames, {latest.rows['labels']} labels>"
        )


def _cloned(
    source: Collection, target: Collection, version: int, author: str | None
) -> None:
    clone_content(source, target, version, author=author)
