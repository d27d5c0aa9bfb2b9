"""A project: a name, a task, a class map, and the datasets that share them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.evaluation import TaskSpec
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.catalog.registry import Mode, check_mode
from lakehouse.catalog.settings import Settings
from lakehouse.errors import AlreadyExistsError, ArchivedError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable, changed_row, pick, register
from lakehouse.model.class_map import ClassMap
from lakehouse.model.ids import check_name
from lakehouse.model.metadata import metadata_columns
from lakehouse.segments import ElementType, Segment, Segments, SegmentState, SegmentType
from lakehouse.storage import Store
from lakehouse.transactions.create import create_collection
from lakehouse.uploads.listing import Status, uploads_table
from lakehouse.uploads.upload import Upload
from lakehouse.versions.snapshot import collection_of

_NEGATIVE = "binary_classification_negative_class"
"""The metadata field of a project: the class of frames without an inference."""


class Project:
    """Datasets under one class map. Made by `lake.project()`."""

    def __init__(
        self,
        store: Store,
        projects: SingleTable,
        name: str,
        settings: Settings,
        row: dict[str, Any],
    ) -> None:
        self._store = store
        self._projects = projects
        self._settings = settings
        self._registry = SingleTable(store, f"{name}/registry", "registry")
        self._row = row
        self.name = name
        self._segments = Segments(
            store, name, settings.author, self.require_active, self._opened
        )

    # ------------------------------ THE PROJECT ----------------------------- #

    @property
    def task(self) -> str | None:
        """The task the project was created with."""
        task: str | None = self._row["task"]
        return task

    @property
    def class_map(self) -> ClassMap:
        """The class map as it is now."""
        row = pick(self._projects.rows(), "project", self.name)
        return ClassMap.from_json(row["class_map"])

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of their ids."""
        return list(self.class_map.ids)

    @property
    def metadata(self) -> dict[str, Any]:
        """The project's metadata."""
        row = pick(self._projects.rows(), "project", self.name)
        metadata: dict[str, Any] = json.loads(row["metadata"] or "{}")
        return metadata

    @property
    def is_archived(self) -> bool:
        """Whether the project is archived: readable, and not written."""
        row = pick(self._projects.rows(), "project", self.name)
        return bool(row["archived"])

    def add_classes(self, names: Sequence[str]) -> ClassMap:
        """Append classes; the ids of existing ones stay.

        Raises:
            InvalidInputError: If a name exists already, or was the earlier name of a
                renamed class.
        """
        return self.update_classes(lambda classes: classes.append(names))

    def rename_class(self, old: str, new: str) -> ClassMap:
        """Rename a class for rows to come; what is stored keeps the old name.

        Its id stays. Old versions keep their map, `snapshot.class_map`; metrics and
        exports count all rows of the class under the name it has now, and report how
        many had another.

        Raises:
            NotFoundError: If there is no class `old`.
            InvalidInputError: If `new` is taken, or was that of another class.
        """
        return self.update_classes(lambda classes: classes.rename(old, new))

    def update_classes(self, change: Callable[[ClassMap], ClassMap]) -> ClassMap:
        """Change the class map; a change that another writer made meanwhile is kept.

        Args:
            change: From a map to the next. It is called again if another writer was
                first.
        """

        def replaced(row: dict[str, Any]) -> dict[str, Any]:
            classes = change(ClassMap.from_json(row["class_map"]))
            return {
                "class_map": classes.to_json(),
                "class_map_version": classes.version,
            }

        self._update(replaced)
        return self.class_map

    def _ensure_classes(self, names: Sequence[str]) -> list[str]:
        """Append the classes that the project does not have; returns their names."""
        # Set by the attempt that wins: earlier ones saw another map.
        missing: list[str] = []

        def appended(row: dict[str, Any]) -> dict[str, Any]:
            classes = ClassMap.from_json(row["class_map"])
            missing[:] = [
                name for name in dict.fromkeys(names) if name not in classes.ids
            ]
            after = classes.append(missing) if missing else classes
            return {"class_map": after.to_json(), "class_map_version": after.version}

        self._update(appended)
        return missing

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the project's metadata by anything JSON can hold."""
        self._update(lambda _: {"metadata": json.dumps(dict(metadata))})

    def archive(self, *, archived: bool = True) -> None:
        """Hide the project from lists and refuse writes to it, or undo both."""
        self._update(lambda _: {"archived": archived})

    def _update(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._projects.update(
            lambda rows: changed_row(rows, "project", self.name, change)
        )

    # ------------------------------- DATASETS ------------------------------- #

    def create_dataset(
        self,
        name: str,
        *,
        mode: Mode = "STREAMING",
        frame_metadata: Mapping[str, str] | None = None,
        label_metadata: Mapping[str, str] | None = None,
        frame_embedding_model: str | None = None,
        label_embedding_model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        exist_ok: bool = False,
    ) -> Dataset:
        """Create an empty dataset: its version 0.

        Args:
            name: Letters, digits and underscores; unique in the project.
            mode: STREAMING, or BATCH: one upload, all or nothing, then fixed.
            frame_metadata: Field to type (`str`, `int`, `float`, `bool`, or
                `list[…]` of them); fields not named here take their type from
                the first value that lands.
            label_metadata: The same for labels.
            frame_embedding_model: The model that makes the frames' vectors.
            label_embedding_model: The model that makes the labels' vectors.
            metadata: Anything JSON can hold.
            exist_ok: Return the existing dataset instead of raising.

        Raises:
            InvalidInputError: If a name or a type is unusable.
            AlreadyExistsError: If the name is taken and `exist_ok` is not set.
            ArchivedError: If the project is archived.
        """
        check_name("dataset", name)
        self.require_active()
        check_mode(mode)
        taken = self._registry.rows().filter(name=name).height
        if taken and not exist_ok:
            raise AlreadyExistsError(
                f"There is a dataset {name!r} in project {self.name!r} already. Choose "
                "another name, or pass exist_ok=True to use it.",
                kind="dataset.exists",
            )
        if not taken:
            # The ledger before the row: what is listed can be read. A process that
            # dies between the two leaves a name that the next call registers.
            create_collection(
                self._collection(name),
                frame_metadata=metadata_columns(frame_metadata),
                label_metadata=metadata_columns(label_metadata),
                frame_embedding_model=frame_embedding_model,
                label_embedding_model=label_embedding_model,
                author=self._settings.author,
            )
            register(self._registry, name, "dataset", mode=mode, metadata=metadata)
        return self.dataset(name)

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name.

        Raises:
            NotFoundError: If there is none; the nearest name is suggested.
        """
        pick(self._registry.rows(), "dataset", name)
        return Dataset(
            self.name,
            name,
            self._collection(name),
            self._registry,
            self._settings,
            task_spec=TaskSpec(self.task, self.metadata.get(_NEGATIVE)),
            add_classes=self._ensure_classes,
        )

    def datasets(
        self, *, mode: Mode | None = None, archived: bool = False
    ) -> list[Dataset]:
        """All datasets by name; archived ones only when asked for.

        Args:
            mode: Only STREAMING ones, or only BATCH ones, which were loaded once.
            archived: Include archived ones.
        """
        rows = self._registry.rows().filter(kind="dataset").sort("name")
        if mode is not None:
            rows = rows.filter(mode=mode)
        names = rows.filter(pl.col("archived") <= archived).get_column("name")
        return [self.dataset(name) for name in names]

    def finish_clones(self) -> list[Dataset]:
        """Complete clones that were only listed, or interrupted; returns those.

        Raises:
            StorageError: If the store failed; the same call continues.
        """
        return [
            dataset
            for dataset in self.datasets(archived=True)
            if dataset.finish_clone()
        ]

    def _collection(self, name: str) -> Collection:
        path = f"{self.name}/datasets/{name}"
        return Collection(
            # Asked for anew at each merge, since other processes append classes.
            self._store,
            path,
            lambda: self.class_map,
            media=self._settings.media,
        )

    def require_active(self) -> None:
        """Check that it may be written.

        Raises:
            ArchivedError: If it is archived.
        """
        if self.is_archived:
            raise ArchivedError(
                f"Project {self.name!r} is archived. Undo it with "
                f"lake.project({self.name!r}).archive(archived=False).",
                kind="project.archived",
            )

    def _opened(self, dataset: str, inference_set: str) -> Collection:
        """The collection of a dataset, or of one of its inference sets."""
        opened = self.dataset(dataset)
        if inference_set:
            return collection_of(opened.inference_set(inference_set))
        return collection_of(opened)

    # ------------------------------- SEGMENTS ------------------------------- #

    def create_segment(
        self,
        name: str,
        *,
        type: SegmentType = "bucket",  # noqa: A002 - users call it so
        element_type: ElementType,
        assignee: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        thresholds: Mapping[str, float] | None = None,
        exist_ok: bool = False,
    ) -> Segment:
        """Create an empty segment: a group of elements that stay as they were.

        Args:
            name: Any text on one line; unique in the project.
            type: `bucket`, `collection_campaign`, `frame_issue`, `label_quality`,
                `regression`, `scenario`, `split` or `work_queue`.
            element_type: What it holds: `frame`, `label` or `inference`.
            assignee: The person who works on it.
            metadata: Anything JSON can hold.
            thresholds: Metric to the least value that a model must reach on it; for
                splits, regressions and scenarios.
            exist_ok: Return the segment of that name and those types that is there
                instead of raising.

        Raises:
            InvalidInputError: If anything is unusable; all of it is listed.
            AlreadyExistsError: If the name is taken.
            ArchivedError: If the project is archived.

        >>> import tempfile, lakehouse
        >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
        >>> project = lake.create_project("cells", classes=["cell"])
        >>> project.create_segment("loose boxes", element_type="label")
        <Segment 'loose boxes' (bucket, triage): 0 labels>
        """
        return self._segments.create(
            name,
            segment_type=type,
            element_type=element_type,
            assignee=assignee,
            metadata=metadata,
            thresholds=thresholds,
            exist_ok=exist_ok,
        )

    def segment(self, name: str) -> Segment:
        """The segment of that name, or of that id; archived ones too.

        Raises:
            NotFoundError: If there is none; the nearest name is suggested.
        """
        return self._segments.get(name)

    def segments(
        self,
        *,
        state: SegmentState | None = None,
        type: SegmentType | None = None,  # noqa: A002 - users call it so
        dataset: str | None = None,
        archived: bool = False,
    ) -> list[Segment]:
        """The segments by name.

        Args:
            state: Only those in this state.
            type: Only those of this type.
            dataset: Only those with elements of the dataset of this name, or of its
                inference sets.
            archived: Include archived ones.

        Raises:
            InvalidInputError: If there is no such state or type.
            NotFoundError: If there is no such dataset.
        """
        if dataset is not None:
            pick(self._registry.rows().filter(kind="dataset"), "dataset", dataset)
        return self._segments.listed(
            state=state, segment_type=type, dataset=dataset, archived=archived
        )

    # -------------------------------- UPLOADS ------------------------------- #

    def uploads(
        self, *, mode: Mode | None = None, status: Status | None = None
    ) -> pl.DataFrame:
        """Every upload to the project's datasets and inference sets, newest first.

        Args:
            mode: Only those to STREAMING, or to BATCH datasets and sets.
            status: Only those of this status: PENDING, DONE, PARTIAL or FAILED.

        Returns:
            A row an upload, as `dataset.uploads` returns them; `target` is
            `project/dataset[/inference_set]`.

        Raises:
            InvalidInputError: If there is no such mode or status.
        """
        if mode is not None:
            check_mode(mode)
        collections = [(collection_of(one), one.mode) for one in self._collections()]
        return uploads_table(collections, status=status, mode=mode)

    def upload(self, upload_id: str) -> Upload:
        """The upload of that id, whichever dataset or inference set it went to.

        Raises:
            NotFoundError: If none of the project knows it.
        """
        for one in self._collections():
            try:
                return one.upload(upload_id)
            except NotFoundError:
                continue
        raise NotFoundError(
            f"There is no upload {upload_id!r} in project {self.name!r}. "
            "project.uploads() lists them.",
            kind="upload.unknown",
        )

    def _collections(self) -> Iterator[Dataset | InferenceSet]:
        """All datasets, each before its inference sets; archived ones too.

        Clones that are not made yet have nothing to read.
        """
        for dataset in self.datasets(archived=True):
            if not dataset.is_ready:
                continue
            yield dataset
            yield from dataset.inference_sets(archived=True)

    def __repr__(self) -> str:
        return f"<Project {self.name}: {len(self.classes)} classes>"
