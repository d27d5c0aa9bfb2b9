"""Files written again, which stand for the old ones while rows of those die.

Writing takes longer than a merge, and merges go on meanwhile. What one of them
takes out of an old file is looked up in the new ones and dead there too, so the
work is not lost. Only when an old file is gone, or dead rows came back, are the
new files of no use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.delta.actions import Action
from lakehouse.delta.plan import sort_rows, with_dead
from lakehouse.delta.reading import PLACE, scan_placed
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.storage import collect

__all__ = ["Rewritten", "Standing", "rewritten"]

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a rewrite comes to at a version: which files go, and what is added."""

    old: list[DataFile]
    adds: list[Action]


@dataclass(frozen=True, slots=True, eq=False)
class Rewritten:
    """Files that have the live rows of others."""

    read: Sequence[DataFile]
    """The old files, with the dead rows that they had."""
    written: Sequence[DataFile]
    """The new files."""
    origins: Places
    """Of each row of the new files, one after the other, its place in the old ones."""

    def standing(self, files: Mapping[str, DataFile]) -> Standing | None:
        """What it comes to beside the files of a version; None if it is of no use."""
        now = [files[file.path] for file in self.read if file.path in files]
        if len(now) < len(self.read):
            return None
        newly: list[Places] = []
        offset = 0
        for before, after in zip(self.read, now, strict=True):
            came = np.setdiff1d(after.dead, before.dead, assume_unique=True)
            if len(came) != after.dead_rows - before.dead_rows:
                return None
            newly.append(came.astype(np.int64) + offset)
            offset += before.rows
        dead = self._places_of(np.concatenate(newly), offset)
        return Standing(now, self._adds(dead))

    def _places_of(self, old: Places, height: int) -> Places:
        """Where rows of the old files are in the new ones, ascending."""
        if not len(old):
            return old
        place = np.zeros(height, dtype=np.int64)
        place[self.origins] = np.arange(len(self.origins))
        return np.sort(place[old])

    def _adds(self, dead: Places) -> list[Action]:
        """The new files, with these of their rows dead; without those all of whose are."""
        adds: list[Action] = []
        start = 0
        for file in self.written:
            inside = dead[np.searchsorted(dead, start) :]
            inside = inside[: np.searchsorted(inside, start + file.rows)] - start
            if not len(inside):
                adds.append(file.action)
            elif len(inside) < file.rows:
                adds.append(with_dead(file, inside.astype(np.uint32)).action)
            start += file.rows
        return adds


def rewritten(
    collection: Collection, table: str, state: TableState, files: Sequence[DataFile]
) -> Rewritten:
    """Write the live rows of some files of a table as new ones.

    Raises:
        NotFoundError: If a file is gone.
    """
    path, contract = collection.table_path(table), collection.contract(table)
    rows = collect(scan_placed(collection.store, path, files, state.schema))
    rows = sort_rows(rows, contract)
    origins = rows.get_column(PLACE).cast(int).to_numpy()
    writer, adds = collection.writer(table), list[Action]()
    if rows.height:
        adds = writer.append(rows.drop(PLACE), indexed=table in LIVE_TABLES)
    written = [_file(add["add"], contract.key[0]) for add in adds]
    return Rewritten(files, written, origins)


def _file(add: dict[str, Any], key: str) -> DataFile:
    return DataFile.from_action({"add": {**add, "dataChange": False}}, key)
