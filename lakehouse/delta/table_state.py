"""The state of a table at a version: its schema and its files.

Read from the newest checkpoint at or below the version, and the commits after
it. The names of both are computed, so nothing is listed. A state is immutable;
`apply` gives the next one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from lakehouse.delta.deletion_vectors import Positions, decode_vector
from lakehouse.delta.log import Action, read_commit
from lakehouse.delta.schema import parse_schema
from lakehouse.errors import NotFoundError
from lakehouse.storage import Store, collect

CHECKPOINT_INTERVAL: Final = 20
"""A checkpoint is due at every version that this divides."""

_KEYS_COMPARED_ONE_BY_ONE: Final = 16  # more are sorted, which costs a query
_NO_POSITIONS: Final = np.array([], dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table."""

    path: str
    """Relative to the table's folder."""
    size: int
    """Bytes."""
    rows: int
    """Rows in the file, dead ones included."""
    min_key: Any
    """The least value of the first key column; None if unknown."""
    max_key: Any
    """A value no less than every value of the first key column; None if unknown."""
    dead_rows: int
    """How many rows its deletion vector takes out."""
    action: Action
    """The action that added it."""

    @property
    def live_rows(self) -> int:
        """Rows that readers see."""
        return self.rows - self.dead_rows

    @property
    def dead(self) -> Positions:
        """The places of its dead rows, ascending."""
        vector = self.action["add"].get("deletionVector")
        return decode_vector(vector) if vector else _NO_POSITIONS

    @property
    def identity(self) -> tuple[str, str]:
        """What identifies a file in the Delta protocol: the path and the vector."""
        vector = self.action["add"].get("deletionVector") or {}
        return self.path, vector.get("pathOrInlineDv", "")

    @classmethod
    def from_action(cls, action: Action, key: str) -> "DataFile":
        """The file that an add action names."""
        add = action["add"]
        stats: dict[str, Any] = json.loads(add.get("stats") or "{}")
        return cls(
            path=add["path"],
            size=add["size"],
            rows=stats.get("numRecords", 0),
            min_key=stats.get("minValues", {}).get(key),
            max_key=stats.get("maxValues", {}).get(key),
            dead_rows=(add.get("deletionVector") or {}).get("cardinality", 0),
            action=action,
        )


@dataclass(frozen=True)
class TableState:
    """A table at one version."""

    version: int
    metadata: Mapping[str, Any]
    """The fields of the metaData action in force."""
    files: Mapping[str, DataFile]
    """Path to file."""

    @classmethod
    def empty(cls) -> "TableState":
        """A table before its first commit."""
        return cls(-1, {}, {})

    @cached_property
    def _parsed(self) -> tuple[pl.Schema, dict[str, dict[str, object]]]:
        return parse_schema(self.metadata["schemaString"])

    @property
    def schema(self) -> pl.Schema:
        """Column to type."""
        return self._parsed[0]

    @property
    def column_metadata(self) -> dict[str, dict[str, object]]:
        """Column to the facts stored with it."""
        return self._parsed[1]

    @property
    def key(self) -> str:
        """The first key column: the one that files are pruned by."""
        return first_key(self.metadata)

    def apply(self, actions: Iterable[Action], version: int) -> "TableState":
        """The state after a commit."""
        metadata, files = self.metadata, self.files
        # Copied at the first change alone: every entry commits to every table, and most
        # tables have no change in it.
        changed: dict[str, DataFile] | None = None
        for action in actions:
            if "metaData" in action:
                metadata = action["metaData"]
            elif "add" in action:
                changed = dict(files) if changed is None else changed
                file = DataFile.from_action(action, first_key(metadata))
                changed[file.path] = file
            elif "remove" in action:
                changed = dict(files) if changed is None else changed
                changed.pop(action["remove"]["path"], None)
        after = TableState(version, metadata, files if changed is None else changed)
        # The schema was parsed for this state, and holds for the next one.
        if metadata is self.metadata and "_parsed" in self.__dict__:
            after.__dict__["_parsed"] = self.__dict__["_parsed"]
        return after

    def prune(self, keys: pl.Series) -> tuple[DataFile, ...]:
        """The files that may hold one of these values of the first key column."""
        if not self.files or not len(keys):
            return ()
        if len(keys) <= _KEYS_COMPARED_ONE_BY_ONE:
            return self._holding(keys.drop_nulls().to_list())
        wanted = keys.unique().sort()
        files = tuple(self.files.values())
        least = pl.Series([file.min_key for file in files], dtype=wanted.dtype)
        most = pl.Series([file.max_key for file in files], dtype=wanted.dtype)
        # A file holds a wanted key only if the first one at or above its least key is
        # not above its greatest: one search for all files, not one for each key.
        place = wanted.search_sorted(least, side="left")
        next_key = wanted.gather(place.clip(0, len(wanted) - 1))
        may_hold = (
            ((place < len(wanted)) & (next_key <= most))
            | least.is_null()
            | most.is_null()
        )
        return tuple(file for file, does in zip(files, may_hold, strict=True) if does)

    def _holding(self, keys: list[Any]) -> tuple[DataFile, ...]:
        """The same for a few keys, one comparison a file and key."""
        return tuple(
            file
            for file in self.files.values()
            if file.min_key is None
            or file.max_key is None
            or any(file.min_key <= key <= file.max_key for key in keys)
        )


def first_key(metadata: Mapping[str, Any]) -> str:
    """The first key column, as creation noted it among the table's properties."""
    columns: str = metadata.get("configuration", {}).get(
        "delta.dataSkippingStatsColumns", ""
    )
    return columns.split(",", maxsplit=1)[0]


def load_state(store: Store, table_path: str, version: int) -> TableState:
    """The state of a table at a version, from its own log.

    Raises:
        NotFoundError: If the log does not reach that version.
    """
    state = newest_checkpoint(store, table_path, version)
    for number in range(state.version + 1, version + 1):
        commit = read_commit(store.read(f"{table_path}/_delta_log/{number:020d}.json"))
        state = state.apply(commit, number)
    return state


def checkpoint_path(table_path: str, version: int) -> str:
    """Where the checkpoint of a table at a version is."""
    return f"{table_path}/_delta_log/{version:020d}.checkpoint.parquet"


def newest_checkpoint(store: Store, table_path: str, version: int) -> TableState:
    """The state in the newest readable checkpoint up to a version; else the empty one."""
    start = version - version % CHECKPOINT_INTERVAL
    while start > 0:
        checkpoint = load_checkpoint(store, table_path, start)
        if checkpoint is not None:
            return checkpoint
        start -= CHECKPOINT_INTERVAL
    return TableState.empty()


def load_checkpoint(store: Store, table_path: str, version: int) -> TableState | None:
    """The state in a checkpoint; None if there is none, or it cannot be read."""
    path = checkpoint_path(table_path, version)
    if not store.exists(path):
        return None
    try:
        rows = collect(store.scan([path]).select("add", "metaData"))
    except (NotFoundError, pl.exceptions.PolarsError):
        return None
    # Rows of other actions are null here, or structs of nulls.
    metadata = rows.get_column("metaData").drop_nulls()
    (fields,) = [row for row in metadata if row and row.get("id")]
    metadata_fields = _plain(fields)
    adds = [row for row in rows.get_column("add").drop_nulls() if row.get("path")]
    actions = [{"add": _plain(add)} for add in adds]
    files = [
        DataFile.from_action(action, first_key(metadata_fields)) for action in actions
    ]
    return TableState(version, metadata_fields, {file.path: file for file in files})


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of a checkpoint
    """A checkpoint's structs and maps as the JSON commit would have them."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        if value and all(
            isinstance(item, dict) and set(item) == {"key", "value"} for item in value
        ):
            return {item["key"]: item["value"] for item in value}
        return [_plain(item) for item in value]
    return value
