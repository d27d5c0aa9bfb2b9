"""When rows lived: from which open version, and up to which.

Versions share most of their files, so looking at each version on its own would
look at most rows a thousand times. Instead each file is looked at once: it lives
in a run of open versions, and its deletion vectors show at which of them rows of
it died. A place is the index of a version among the open ones, and every span is
half open: from a first place up to, without, an end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from lakehouse.delta.deletion_vectors import Positions
from lakehouse.delta.table_state import DataFile, TableState

FOR_EVER: Final = 2**31 - 1
"""The end of what lives in the newest version."""

Spans = npt.NDArray[np.int32]


@dataclass(slots=True)
class FileLife:
    """A data file of a live table, and the open versions that name it."""

    file: DataFile
    first: int
    """The first of them."""
    end: int = FOR_EVER
    """The first open version after it that does not name it."""
    deaths: list[tuple[int, Positions]] = field(
        default_factory=list[tuple[int, Positions]]
    )
    """From which open version on which rows are dead."""

    def ends(self, start: int, rows: int) -> Spans:
        """For each of some rows, the first open version that it is not in.

        Args:
            start: The place of the first of them in the file.
            rows: How many they are.
        """
        ends = np.full(rows, self.end, dtype=np.int32)
        for at, places in self.deaths:
            low, high = np.searchsorted(places, [start, start + rows])
            dead = places[low:high].astype(np.int64) - start
            ends[dead] = np.minimum(ends[dead], at)
        return ends


class Lives:
    """Follows the files of one live table over the open versions."""

    def __init__(self) -> None:
        self.ended: list[FileLife] = []
        self._now: dict[str, tuple[FileLife, Positions]] = {}

    def observe(self, place: int, state: TableState) -> None:
        """Take in the table at the next open version."""
        # Ends first: a path that went and came again later is a life of its own.
        for path in self._now.keys() - state.files.keys():
            self._end(path, place)
        for path, file in state.files.items():
            known = self._now.get(path)
            if known is None:
                life, dead = FileLife(file, place), file.dead[:0]
            elif known[0].file.identity == file.identity:
                continue  # path and vector as before: nearly every file, each time
            else:
                life, dead = known
            # Only rows that died here: each death is then stored once, and a file of a
            # million rows costs nothing at the versions that do not touch it.
            newly = np.setdiff1d(file.dead, dead, assume_unique=True)
            if len(newly):
                life.deaths.append((place, newly))
            life.file = file
            self._now[path] = (life, file.dead)

    def all(self) -> Iterable[FileLife]:
        """Every file that any open version names."""
        yield from self.ended
        yield from (life for life, _ in self._now.values())

    def _end(self, path: str, place: int) -> None:
        life, _ = self._now.pop(path)
        life.end = place
        self.ended.append(life)
