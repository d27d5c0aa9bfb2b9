"""A collection: a set of versioned tables under one ledger.

What a dataset and an inference set have in common. Reading resolves a version
in the ledger, then the files of each table at that version, and scans those
files. Nothing here writes: that is what `lakehouse.transactions` is for.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

import polars as pl

from lakehouse.delta.key_index import IndexCache
from lakehouse.delta.lookup import Lookup
from lakehouse.delta.scan import scan_files
from lakehouse.delta.table_state import TableState, newest_checkpoint
from lakehouse.delta.writer import TableWriter
from lakehouse.errors import LakehouseError, NotFoundError
from lakehouse.ledger.leases import Leases
from lakehouse.ledger.ledger import Entry, Ledger
from lakehouse.ledger.staging import Staging
from lakehouse.merging.types import EmbeddingSpec, Rules
from lakehouse.model.class_map import ClassMap
from lakehouse.model.contracts import (
    COLLECTION_TABLES,
    DATASET,
    Contract,
    Layout,
)
from lakehouse.storage import Store
from lakehouse.storage.media import Media

_log = logging.getLogger(__name__)

_RANGED_KEYS: Final = 1_000
"""Up to so many keys are also bounded by a range: more of them span the table anyway."""

_CACHED_STATES: Final = 64
"""Table states of older versions that are kept; that of the head always is."""


class Collection:
    """The tables, ledger and staging area at one path of a store."""

    def __init__(
        self,
        store: Store,
        path: str,
        classes: Callable[[], ClassMap],
        layout: Layout = DATASET,
        *,
        media: Media | None = None,
    ) -> None:
        self.store = store
        self.media = media or Media()
        self.path = path
        self.classes = classes
        self.layout = layout
        self.base: Collection | None = None
        """The dataset that an inference set belongs to."""
        folders = {table: layout.folder(table) for table in COLLECTION_TABLES}
        self.ledger = Ledger(store, path, folders)
        self.staging = Staging(store, path, layout)
        self.leases = Leases(store, path)
        self.lock = threading.RLock()
        self.indexes = IndexCache()
        self.checkpointed = 0
        """Up to here this process has seen to checkpoints of the tables' logs."""
        self.turn_seen: tuple[str, float] = ("", 0.0)
        """The commit id of the newest turn of another writer that was seen, and when
        by the monotonic clock: a turn lasts so long from there."""
        self._newest: dict[str, TableState] = {}
        self._completes_logs = True
        self._older: dict[tuple[str, int], TableState] = {}

    @property
    def target(self) -> str:
        """What commands call it: `project/dataset`, or `project/dataset/set`."""
        # The path has a folder between each name and the next.
        return "/".join(self.path.split("/")[::2])

    def twin(self) -> "Collection":
        """The same collection with caches of its own, for another thread."""
        twin = Collection(
            self.store, self.path, self.classes, self.layout, media=self.media
        )
        # The lock is shared, so that threads of one process queue; so are the indexes,
        # which are large and safe to share.
        twin.lock, twin.indexes = self.lock, self.indexes
        twin.base = self.base
        return twin

    # ------------------------------- VERSIONS ------------------------------- #

    def head(self, *, standing: bool = False) -> Entry:
        """The newest entry.

        Args:
            standing: Whether another entry is to be put on it: then what this handle
                remembers of the ledger must still be there.

        Raises:
            NotFoundError: If the collection was never created.
            StorageError: If an entry is missing.
        """
        head = self.ledger.standing_head() if standing else self.ledger.head()
        if head is None:
            raise NotFoundError(
                f"There is no ledger at {self.path}: the dataset was never created, "
                "its creation was cut short, or it is still being cloned. "
                "create_dataset(…, exist_ok=True) completes it; clones are completed by "
                "project.finish_clones().",
                kind="dataset.unknown",
            )
        return head

    def latest(self) -> Entry:
        """The newest entry that made a version."""
        head = self.head()
        return self.ledger.read(head.content_version)

    def same_content(self, version: int, head: Entry | None = None) -> int:
        """The newest entry with the content of `version`, where it is cheapest to read.

        Args:
            version: The entry's number.
            head: The newest entry, where it was just looked up.
        """
        head = head or self.head()
        content = self.ledger.read(version).content_version
        if head.content_version == content:
            return head.version
        # Entries without content of their own (compaction, tags, turns) follow the one
        # that made the version; another version comes after them, so the walk ends.
        newest = version
        while self.ledger.read(newest + 1).content_version == content:
            newest += 1
        return newest

    def is_closed(self, version: int) -> bool:
        """Whether garbage collection may have removed the files of a version."""
        collected = self.head().collected
        if collected is None:
            return False
        closed = self.ledger.read(collected).closed
        return any(first <= version <= last for first, last in closed)

    # -------------------------------- TABLES -------------------------------- #

    def table_path(self, table: str) -> str:
        """The folder of a table, relative to the root of the lake."""
        return f"{self.path}/{self.layout.folder(table)}"

    def contract(self, table: str) -> Contract:
        """The columns and keys of a table."""
        return self.layout.contract(table)

    def state(self, table: str, version: int) -> TableState:
        """The schema and files of a table at an entry.

        Raises:
            NotFoundError: If there is no such entry.
        """
        # Merges ask for the head again and again: its state is carried forward by the
        # actions of each new entry, without a look into the table's log.
        newest = self._newest.get(table)
        if newest is not None and newest.version == version:
            return newest
        if newest is not None and newest.version > version:
            return self._older_state(table, version)
        state = self._load(table, version) if newest is None else newest
        while state.version < version:
            entry = self.ledger.read(state.version + 1)
            state = state.apply(entry.actions.get(table, ()), entry.version)
        self._newest[table] = state
        return state

    def _older_state(self, table: str, version: int) -> TableState:
        key = (table, version)
        if key not in self._older:
            if len(self._older) >= _CACHED_STATES:
                self._older.pop(next(iter(self._older)))
            self._older[key] = self._load(table, version)
        return self._older[key]

    def _load(self, table: str, version: int) -> TableState:
        """The state by the newest checkpoint and the entries after it.

        Entries and not the commits in the table's log, which are copies of them.
        """
        state = newest_checkpoint(self.store, self.table_path(table), version)
        self._complete_logs(state.version + 1, version)
        for number in range(state.version + 1, version + 1):
            entry = self.ledger.read(number)
            state = state.apply(entry.actions.get(table, ()), number)
        return state

    def _complete_logs(self, first: int, last: int) -> None:
        """Publish again, once, what a power cut took from the logs; best effort.

        An object store loses nothing that it acknowledged, so nothing is read there.
        """
        if self._completes_logs and self.store.at_once == 1:
            try:
                self.ledger.complete_logs(first, last)
            except LakehouseError as error:
                # A reader may have no right to write, and needs no log either.
                _log.info("the logs of %s stay as they are: %s", self.path, error)
        self._completes_logs = False

    def scan(
        self,
        table: str,
        version: int,
        *,
        keys: pl.Series | None = None,
        columns: list[str] | None = None,
    ) -> pl.LazyFrame:
        """The rows of a table at an entry, with every column of its schema.

        Args:
            table: The table's name.
            version: The entry's number.
            keys: Values of the table's first key column; None for all rows.
                Files and row groups that cannot hold one are not read.
            columns: Only these; all of the schema when None.
        """
        state = self.state(table, version)
        first_key = self.contract(table).key[0]
        names = columns or state.schema.names()
        files = state.prune(keys) if keys is not None else tuple(state.files.values())
        if not files:
            return pl.LazyFrame(schema={name: state.schema[name] for name in names})
        rows = scan_files(self.store, self.table_path(table), files, state.schema)
        if keys is not None:
            rows = rows.filter(_is_one_of(first_key, keys))
        return rows.select(names)

    def lookup(self, table: str, version: int) -> Lookup:
        """Looks keys up in a live table at an entry."""
        return Lookup(
            self.store,
            self.table_path(table),
            self.state(table, version),
            self.contract(table),
            self.indexes,
        )

    def writer(self, table: str) -> TableWriter:
        """Writes files of a table."""
        return TableWriter(
            self.store, self.table_path(table), self.contract(table), self.indexes
        )

    # --------------------------------- RULES -------------------------------- #

    def rules(self, version: int) -> Rules:
        """The rules that a merge on top of `version` is judged by."""
        classes = self.classes()
        return Rules(
            layout=self.layout,
            class_ids=classes.ids,
            class_map_version=classes.version,
            renamed_classes=classes.renamed,
            frame_metadata=self.metadata_types("frames", version),
            label_metadata=self.metadata_types("labels", version),
            frame_embedding=self.embedding_spec("frame_embeddings", version),
            label_embedding=self.embedding_spec("label_embeddings", version),
        )

    def metadata_types(self, table: str, version: int) -> dict[str, pl.DataType]:
        """The metadata fields of a table, `user__` included, and their types."""
        prefix = self.contract(table).open_prefix or "user__"
        schema = self.state(table, version).schema
        return {
            name: dtype for name, dtype in schema.items() if name.startswith(prefix)
        }

    def embedding_spec(self, table: str, version: int) -> EmbeddingSpec:
        """The dimension and model that the vectors of a table have."""
        note = self.state(table, version).column_metadata.get("embedding", {})
        dimension, model = note.get("ml.dim"), note.get("ml.model")
        return EmbeddingSpec(
            dimension=None if dimension is None else int(str(dimension)),
            model=None if model is None else str(model),
        )


def _is_one_of(column: str, keys: pl.Series) -> pl.Expr:
    """Whether a key is one of `keys`; the range lets statistics prune row groups."""
    if len(keys) == 1:
        return pl.col(column) == pl.lit(keys[0])
    is_in = pl.col(column).is_in(keys.implode())
    if len(keys) > _RANGED_KEYS or not len(keys):
        return is_in
    # The range lets statistics leave out row groups.
    return pl.col(column).is_between(pl.lit(keys.min()), pl.lit(keys.max())) & is_in
