"""Cutting sources into parts of whole frames, of similar size, in order of the ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from lakehouse.types import Progress, TableLike
from lakehouse.uploads.sources import Source

SAMPLED_IDS: Final = 100_000
"""Frame ids kept of a source to find where to cut: a few MB, whatever its size."""


class _Sample:
    """Every n-th id of a source, bounded in number; the same for the same source.

    It is not random, so that a load that is called again cuts at the same ids.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.rows = 0
        self._kept: list[pl.Series] = []
        self._step = 1

    def take(self, ids: pl.Series, size: int) -> None:
        """Add the ids of a chunk, which has `size` bytes."""
        self.bytes += size
        # The first row of the chunk whose number in the source is a multiple of step.
        start = -self.rows % self._step
        self.rows += len(ids)
        self._kept.append(ids.slice(start).gather_every(self._step))
        if sum(map(len, self._kept)) > SAMPLED_IDS:
            self._kept = [pl.concat(self._kept).gather_every(2)]
            self._step *= 2

    def weighted(self) -> pl.DataFrame:
        """The sampled ids, each with the bytes of the rows that it stands for."""
        ids = pl.concat([pl.Series([], dtype=pl.String), *self._kept])
        each = self.bytes / max(1, len(ids))
        return pl.DataFrame({"id": ids}).with_columns(bytes=pl.lit(each))


def cut(sources: Sequence[Source], part_bytes: int) -> tuple[pl.Series, int]:
    """The frame ids to cut at, and the number of rows.

    Args:
        sources: Frames and labels.
        part_bytes: About how many bytes a part has.

    Returns:
        The least frame id of each part but the first, ascending.
    """
    samples: list[_Sample] = []
    for source in sources:
        sample = _Sample()
        for ids, size in source.ids():
            sample.take(ids, size)
        samples.append(sample)
    total = sum(sample.bytes for sample in samples)
    rows = sum(sample.rows for sample in samples)
    parts = -(-total // part_bytes)
    if parts < 2:  # noqa: PLR2004 - one part needs no cut
        return pl.Series([], dtype=pl.String), rows
    sampled = (
        pl.concat([sample.weighted() for sample in samples]).drop_nulls().sort("id")
    )
    # A part for each id by the bytes before it; one more than the total, so that the
    # last id is in the last part.
    part = (pl.col("bytes").cum_sum() * parts / (total + 1)).floor()
    first = sampled.with_columns(part=part).group_by("part").agg(pl.col("id").min())
    bounds = first.sort("part").get_column("id").unique(maintain_order=True)
    return bounds.slice(1), rows


class Parts:
    """The rows of sources, part by part, in files below a folder."""

    def __init__(
        self, folder: Path, sources: Sequence[Source], bounds: pl.Series
    ) -> None:
        self._folder = folder
        self._sources = sources
        self._bounds = bounds

    def __len__(self) -> int:
        return len(self._bounds) + 1

    def path(self, source: Source, part: int) -> Path:
        """The file of a part of a source."""
        number = self._sources.index(source)
        return self._folder / f"{number}-{part:05}{source.ending}"

    def tables(self, part: int) -> list[TableLike]:
        """The rows of a part, source by source."""
        return [source.read(self.path(source, part)) for source in self._sources]

    def drop(self, part: int) -> None:
        """Remove the files of a part that is loaded."""
        for source in self._sources:
            self.path(source, part).unlink(missing_ok=True)

    def write(self, wanted: set[int], rows: int, progress: Progress) -> None:
        """Read the sources, and write each wanted part's rows to its file."""
        done = 0
        for source in self._sources:
            for ids, chunk in source.chunks():
                for part, places in self._places_by_part(ids).items():
                    if part in wanted:
                        # Opened each time: there may be more parts than open files.
                        with self.path(source, part).open("ab") as file:
                            source.write(chunk, places, file)
                done += len(ids)
                progress("rows", done, rows)

    def _places_by_part(self, ids: pl.Series) -> dict[int, pl.Series]:
        """Part to the places of its rows in a chunk, ascending."""
        # Rows without an id go to the first part, where intake refuses them.
        numbers = self._bounds.search_sorted(ids.fill_null(""), side="right")
        rows = pl.DataFrame({"part": numbers}).with_row_index("place")
        parts = rows.partition_by("part", as_dict=True, maintain_order=True)
        return {int(part): rows["place"] for (part,), rows in parts.items()}
