"""A lake: a root folder or bucket prefix that holds projects.

    lakehouse.connect("lake")  →  Lake  →  Project  →  Dataset  →  Upload, Snapshot

Connecting writes nothing, so read-only credentials are enough to read. The
first write probes that the store honours conditional writes, and leaves
`format.json` in the root.
"""

import getpass
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import polars as pl

from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.catalog.project import Project
from lakehouse.catalog.settings import Settings
from lakehouse.errors import (
    AlreadyExistsError,
    FormatError,
    InvalidInputError,
    NotFoundError,
    StorageError,
)
from lakehouse.ledger.single_table import SingleTable, SingleTableLog, pick
from lakehouse.model.class_map import ClassMap
from lakehouse.model.contracts import contract
from lakehouse.model.ids import check_name
from lakehouse.storage import (
    Store,
    open_store,
    plain_engine_note,
    probe_conditional_writes,
)
from lakehouse.storage.media import Media
from lakehouse.transactions import Garbage
from lakehouse.transactions.garbage import GRACE, RETENTION, FolderGarbage
from lakehouse.versions.lock import Lockfile, condition_of
from lakehouse.versions.snapshot import Snapshot, collection_of

FORMAT_VERSION: Final = 1
"""The lake format that this release writes, and the newest it reads."""

TASKS: Final = (
    "2D_OBJECT_DETECTION",
    "CLASSIFICATION",
    "MULTI_LABEL_CLASSIFICATION",
    "BINARY_CLASSIFICATION",
    "CLASSIFICATION_WITH_GEOMETRY",
    "2D_SEMSEG",
    "2D_INSTANCE_SEGMENTATION",
)
"""The tasks a project may have; None is treated as object detection."""

_FORMAT_FILE: Final = "format.json"


def connect(
    root: str | os.PathLike[str] | None = None,
    *,
    author: str | None = None,
    storage_options: Mapping[str, str] | None = None,
    merge: Literal["inline", "deferred"] = "inline",
    compaction: Literal["auto", "manual"] = "auto",
    media_root: str | os.PathLike[str] | None = None,
    media_http: bool | None = None,
    store: Store | None = None,
) -> "Lake":
    """Open a lake; nothing is written until you write something.

    Args:
        root: A folder, or `s3://bucket/prefix`; `$LAKEHOUSE_ROOT` when left out.
        author: The author recorded with each version; the login name when left out.
        storage_options: `AWS_…` settings of an object store.
        merge: `inline` merges inside each writing call; `deferred` only stages,
            and `dataset.merge_pending()` or `lakehouse run merge` merges later.
        compaction: `auto` compacts behind merges when it is due; `manual` only by
            `dataset.compact()` or `lakehouse run compact`.
        media_root: The folder or URL that relative paths of images and masks start
            from; `$LAKEHOUSE_MEDIA_ROOT` when left out, else the current folder.
            Local files outside of it are not read.
        media_http: Whether images and masks with http and https URLs are read;
            `$LAKEHOUSE_MEDIA_HTTP` (1 or 0) when left out, else they are not.
        store: An opened store, instead of `root` and `storage_options`.

    Raises:
        InvalidInputError: If the root is none, a setting is unknown, or `merge` or
            `compaction` is neither.
        FormatError: If a newer release wrote the lake.

    >>> import tempfile
    >>> lake = connect(tempfile.mkdtemp(), author="mira")
    >>> lake.create_project("cells", classes=["cell"]).name
    'cells'
    """
    if root is None:
        root = os.environ.get("LAKEHOUSE_ROOT")
    if store is None:
        if root is None:
            raise InvalidInputError(
                "No lake is named. Give connect() a folder or an s3:// prefix, or "
                "set LAKEHOUSE_ROOT.",
                kind="lake.no_root",
            )
        store = open_store(_as_text(root), storage_options)
    if merge not in {"inline", "deferred"}:
        raise InvalidInputError(
            f"merge is 'inline' or 'deferred', not {merge!r}.", kind="lake.merge"
        )
    if compaction not in {"auto", "manual"}:
        raise InvalidInputError(
            f"compaction is 'auto' or 'manual', not {compaction!r}.",
            kind="lake.compaction",
        )
    media_root = media_root or os.environ.get("LAKEHOUSE_MEDIA_ROOT")
    # The login name is asked for here, once: versions that one process makes have
    # one author.
    settings = Settings(
        author=author or _login(),
        inline=merge == "inline",
        compacts=compaction == "auto",
        media=Media(
            None if media_root is None else os.fspath(media_root),
            dict(store.storage_options),
            _allows_http() if media_http is None else media_http,
        ),
    )
    return Lake(store, settings)


def _allows_http() -> bool:
    value = os.environ.get("LAKEHOUSE_MEDIA_HTTP", "0").strip().lower()
    if value not in {"", "0", "false", "1", "true"}:
        raise InvalidInputError(
            f"LAKEHOUSE_MEDIA_HTTP is 1 or 0, not {value!r}.", kind="media.http"
        )
    return value in {"1", "true"}


class Lake:
    """The projects of one root. Made by `connect()`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._projects = SingleTable(store, "projects", "projects")
        self._is_ready = self._check_format()

    @property
    def root(self) -> str:
        """The folder or URL of the lake, as engines take it."""
        return self._store.root

    @property
    def store(self) -> Store:
        """The store that everything is read from and written to."""
        return self._store

    def create_project(
        self,
        name: str,
        *,
        classes: Iterable[str] | ClassMap,
        task: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        exist_ok: bool = False,
    ) -> Project:
        """Create a project with its class map.

        Args:
            name: Letters, digits and underscores; unique in the lake.
            classes: Names, or a `ClassMap` with ids and colours.
            task: One of `TASKS`, or None.
            metadata: Anything JSON can hold.
            exist_ok: Return the project that is there, if its classes and task
                agree, instead of raising.

        Raises:
            InvalidInputError: If the name, the classes or the task are unusable,
                or differ from those of the project that is there.
            AlreadyExistsError: If the name is taken and `exist_ok` is not set.
        """
        check_name("project", name)
        class_map = (
            classes if isinstance(classes, ClassMap) else ClassMap.from_names(classes)
        )
        _check_task(task)
        row = {
            "name": name,
            "task": task,
            "class_map": class_map.to_json(),
            "class_map_version": class_map.version,
            "metadata": json.dumps(dict(metadata or {})),
            "archived": False,
            "created_at": datetime.now(UTC),
        }

        # Called again with the rows of the winner if another writer was first, so the
        # name is looked for inside.
        def add(rows: pl.DataFrame) -> pl.DataFrame:
            old = rows.filter(name=name)
            if not old.height:
                new = pl.DataFrame([row], schema=rows.schema)
                return pl.concat([rows, new])
            if not exist_ok:
                raise AlreadyExistsError(
                    f"There is a project {name!r} already. Choose another name, or "
                    "pass exist_ok=True to use it.",
                    kind="project.exists",
                )
            _check_same(name, old.row(0, named=True), class_map, task)
            return rows

        self._prepare()
        self._projects.update(add)
        return self.project(name)

    def project(self, name: str) -> Project:
        """The project of that name.

        Raises:
            NotFoundError: If there is none; the nearest name is suggested. Or if there
                is no lake.
        """
        self._require_lake()
        row = pick(self._projects.rows(), "project", name)
        return Project(self._store, self._projects, name, self._settings, row)

    def projects(self, *, archived: bool = False) -> list[Project]:
        """All projects by name; archived ones only when asked for.

        Raises:
            NotFoundError: If there is no lake.
        """
        self._require_lake()
        rows = self._projects.rows().sort("name")
        names = rows.filter(pl.col("archived") <= archived).get_column("name")
        return [self.project(name) for name in names]

    def collections(
        self, target: str | None = None, *, archived: bool = False
    ) -> Iterator[tuple[str, Dataset | InferenceSet]]:
        """Every dataset and inference set, with its address.

        Addresses are `project/dataset` and `project/dataset/inference_set`.

        Clones that cannot be read yet are left out.

        Args:
            target: The address of the only one to give, whether archived or not.
            archived: Include archived ones.

        Raises:
            NotFoundError: If there is nothing at the target.
        """
        if target is not None:
            project_name, _, name = target.partition("/")
            name, _, set_name = name.partition("/")
            dataset = self.project(project_name).dataset(name)
            yield target, dataset.inference_set(set_name) if set_name else dataset
            return
        for project in self.projects(archived=archived):
            for dataset in project.datasets(archived=archived):
                # A clone without files has nothing to read, and fails at its head.
                if not dataset.is_ready:
                    continue
                name = f"{project.name}/{dataset.name}"
                yield name, dataset
                for inference_set in dataset.inference_sets(archived=archived):
                    yield f"{name}/{inference_set.name}", inference_set

    def collect_garbage(
        self,
        *,
        retention: timedelta = RETENTION,
        grace: timedelta = GRACE,
        dry_run: bool = True,
    ) -> Garbage:
        """Remove old data files of the tables that stand alone.

        These are the list of projects, and each project's registry, segments, their
        elements, and cached metrics: every change of them leaves a file that the newest
        state does not name. Datasets and inference sets have a `collect_garbage` of
        their own; no element of a segment needs these files. Safe beside writers.

        Args:
            retention: How long a file is kept that is named no more, so that plain
                engines can read states of that time.
            grace: Younger files are kept: a running writer may need them.
            dry_run: Only report what would be removed.

        Returns:
            The files removed, or to be removed; `to_frame()` lists them as rows.

        Raises:
            StorageError: If the store failed; the next call removes the rest.
        """
        # One moment for all tables: a long run does not shorten the grace of the last.
        self._require_lake()
        now, folders = datetime.now(UTC), list[FolderGarbage]()
        for path, name in self._tables():
            log = SingleTableLog(self._store, path, contract(name))
            files = log.garbage(retention=retention, grace=grace, now=now)
            for file in files if not dry_run else ():
                self._store.delete(file.path)
            if files:
                size = sum(file.size for file in files)
                folders.append(FolderGarbage(path, len(files), size))
        return Garbage(dry_run, folders=tuple(folders))

    def _tables(self) -> Iterator[tuple[str, str]]:
        """The tables that stand alone, and the contracts that they are made by."""
        yield "projects", "projects"
        for project in self.projects(archived=True):
            for name in ("registry", "segments", "segment_elements"):
                yield f"{project.name}/{name}", name
        for _, collection in self.collections(archived=True):
            if isinstance(collection, InferenceSet):
                yield f"{collection_of(collection).path}/metrics", "metrics"

    def _prepare(self) -> None:
        """Check once that the store can hold a lake, before the first write.

        Raises:
            StorageError: If the store ignores conditional writes.
        """
        if self._is_ready:
            return
        try:
            probe_conditional_writes(self._store)
            # Put if absent: of two first writers one wins, and both read the same file.
            data = json.dumps({"format_version": FORMAT_VERSION}).encode()
            self._store.put_new(_FORMAT_FILE, data, durable=True)
        except (NotFoundError, StorageError) as error:
            if error.kind == "store.no_conditional_put":
                raise
            # The path of the probe says nothing to whoever named the root.
            raise StorageError(
                f"A lake cannot be made at {self.root}: {error} Check that its bucket or "
                "folder exists and may be written.",
                kind="lake.not_made",
                retryable=error.retryable,
            ) from error
        self._is_ready = self._check_format()
        if note := plain_engine_note(self.root):
            warnings.warn(note, stacklevel=3)

    def _require_lake(self) -> None:
        """Check that there is a lake: a mistyped root must not read as an empty one.

        Raises:
            NotFoundError: If there is none.
        """
        # Looked at again while there is none: another process may have made it.
        if self._is_ready:
            return
        self._is_ready = self._check_format()
        # Rows without `format.json` are a lake that lost a file.
        if not self._is_ready and not self._projects.rows().height:
            raise NotFoundError(
                f"There is no lake at {self.root}. Check the root; the first write, "
                "such as create_project() or `lakehouse project create`, makes a lake.",
                kind="lake.missing",
            )

    def _check_format(self) -> bool:
        if not self._store.exists(_FORMAT_FILE):
            return False
        data = self._store.read(_FORMAT_FILE)
        try:
            written = int(json.loads(data)["format_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"{_FORMAT_FILE} of the lake at {self.root} is damaged: {data[:80]!r}. A "
                f'lake of this release has {{"format_version": {FORMAT_VERSION}}} there: '
                "restore the file from a backup, or write just that.",
                kind="format.damaged",
            ) from error
        if written > FORMAT_VERSION:
            raise FormatError(
                f"The lake at {self.root} has format {written}; this release reads up "
                f"to {FORMAT_VERSION}. Upgrade the package: pip install -U lakehouse.",
                kind="format.newer",
            )
        return True

    def __repr__(self) -> str:
        return f"<Lake {self.root}>"


def _as_text(root: object) -> str:
    text = os.fspath(root) if isinstance(root, (str, os.PathLike)) else root
    if not isinstance(text, str):
        raise InvalidInputError(
            f"{root!r} is no root of a lake, which is a folder or s3://bucket/prefix.",
            kind="lake.root",
        )
    return text


def _login() -> str | None:
    name = os.environ.get("LAKEHOUSE_AUTHOR")
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _check_task(task: str | None) -> None:
    if task is not None and task not in TASKS:
        raise InvalidInputError(
            f"task={task!r} is not known. It is one of {', '.join(TASKS)}, or None.",
            kind="project.task",
        )


def _check_same(
    name: str, row: dict[str, Any], class_map: ClassMap, task: str | None
) -> None:
    known = ClassMap.from_json(row["class_map"])
    # A project may have more classes than a script names: others have appended them.
    missing = [label for label in class_map.ids if label not in known.ids]
    if missing:
        raise InvalidInputError(
            f"Project {name!r} exists and lacks the classes {missing}. Append them: "
            f"lake.project({name!r}).add_classes({missing}).",
            kind="project.classes_differ",
        )
    if task is not None and row["task"] != task:
        raise InvalidInputError(
            f"Project {name!r} exists with task {row['task']!r}, not {task!r}.",
            kind="project.task_differs",
        )


def open_lock(
    lock: str | os.PathLike[str] | Mapping[str, Any],
    root: str | os.PathLike[str] | None = None,
    *,
    storage_options: Mapping[str, str] | None = None,
) -> Snapshot:
    """The snapshot that a lock names, with exactly the content that was locked.

    Args:
        lock: What `snapshot.lock()` returned, or the path of the file that it wrote.
        root: The root of the lake now; the locked one when left out.
        storage_options: `AWS_…` settings of an object store.

    Raises:
        NotFoundError: If the version is not there, or does not have the rows that
            were locked: the message names the tables that differ, and the version
            that has the content now, if one has it.
        FormatError: If it is no lock, or a newer release wrote it.

    >>> import tempfile, lakehouse
    >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
    >>> project = lake.create_project("cells", classes=["cell"])
    >>> dataset = project.create_dataset("hela")
    >>> upload = dataset.add([{"frame_id": "f1", "image_url": "f1.png"}])
    >>> lock = dataset.at(1).lock()
    >>> upload = dataset.delete(["f1"])
    >>> open_lock(lock).counts
    {'frames': 1, 'labels': 0}
    """
    lockfile = Lockfile.read(lock)
    try:
        target = _locked_target(
            lockfile, os.fspath(root or lockfile.root), storage_options
        )
        snapshot = target.at(lockfile.version)
    except NotFoundError as error:
        raise NotFoundError(
            f"What was locked, {lockfile.address}, is not there: {error} If the lake was "
            "moved, give open_lock() its root.",
            kind="lock.missing",
        ) from error
    _check_version(lockfile, target)
    snapshot = snapshot.filter(
        **{
            table: condition_of(text, lockfile.polars)
            for table, text in lockfile.filters.items()
        }
    )
    # Equal rows and another count: this Polars evaluates the conditions differently.
    if snapshot.is_filtered and snapshot.counts != dict(lockfile.selected):
        raise NotFoundError(
            f"The conditions of the lock select {snapshot.counts} of {lockfile.address}; "
            f"locked were {dict(lockfile.selected)}. The rows are the same, so the "
            f"conditions mean something else: open it with Polars {lockfile.polars}.",
            kind="lock.differs",
        )
    return snapshot


def _locked_target(
    lock: Lockfile, root: str, storage_options: Mapping[str, str] | None
) -> Dataset | InferenceSet:
    lake = connect(root, storage_options=storage_options)
    dataset = lake.project(lock.project).dataset(lock.dataset)
    if lock.inference_set is None:
        return dataset
    return dataset.inference_set(lock.inference_set)


def _check_version(lock: Lockfile, target: Dataset | InferenceSet) -> None:
    """Refuse a version whose rows are not those that were locked."""
    collection = collection_of(target)
    entry = collection.ledger.read(lock.version)
    differences = lock.differences(entry, collection.layout)
    if not differences:
        return
    # Newest first: content that was restored is that of a late version.
    elsewhere = next(
        (
            version
            for version in reversed(target.versions()["version"].to_list())
            if not lock.differences(collection.ledger.read(version), collection.layout)
        ),
        None,
    )
    hint = (
        "No version here has what was locked: open the lake that it was made in."
        if elsewhere is None
        else f"Version {elsewhere} has exactly what was locked."
    )
    raise NotFoundError(
        f"{lock.address} is not what was locked: {'; '.join(differences)}. {hint}",
        kind="lock.differs",
    )
