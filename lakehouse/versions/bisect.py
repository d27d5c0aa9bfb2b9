"""Bisection: the version that turned good into bad, by the fewest evaluations.

Every evaluation halves the versions left. The two ends are not evaluated, so `n` versions
from good to bad take log2(n) evaluations, rounded up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.ledger.collection import Collection
from lakehouse.types import VersionLike
from lakehouse.versions import Diff, diff_between
from lakehouse.versions.resolve import resolve, versions_table
from lakehouse.versions.snapshot import Snapshot, snapshot_at


@dataclass(frozen=True, slots=True)
class Bisection:
    """The version that turned good into bad. Made by `dataset.bisect()`."""

    good: int
    """The last good version."""
    bad: int
    """The first bad one."""
    uploads: list[str]
    """The ids of the uploads that made the bad version."""
    author: str | None
    """Who made it."""
    message: str | None
    """The reason that was given."""
    evaluations: pl.DataFrame = field(repr=False)
    """The evaluated versions, in order: `version`, `is_good`."""
    _collection: Collection = field(repr=False, compare=False)

    def diff(self) -> Diff:
        """The changes of the bad version."""
        ends = [snapshot_at(self._collection, one) for one in (self.good, self.bad)]
        return diff_between(*ends)


def bisect(
    collection: Collection,
    is_good: Callable[[Snapshot], bool],
    *,
    good: VersionLike,
    bad: VersionLike,
) -> Bisection:
    """The first bad version behind a good one.

    Args:
        collection: The collection of the versions.
        is_good: Evaluates versions between the two.
        good: A version that is known to be good.
        bad: A later one that is known to be bad.

    Raises:
        NotFoundError: If there never was such a version.
        InvalidInputError: If the bad version is not later than the good one.
    """
    first, last = resolve(collection, good), resolve(collection, bad)
    if first >= last:
        raise InvalidInputError(
            f"The good version, {first}, is not older than the bad one, {last}: "
            "bisection looks for what turned good into bad. To find what turned bad "
            "into good, give the older one as good and let is_good say the opposite.",
            kind="bisect.order",
        )
    # Entries between two versions (compaction, tags) have no content of their own.
    table = versions_table(collection)
    versions = table.filter(pl.col("version").is_between(first, last))["version"]
    evaluated: list[tuple[int, bool]] = []
    low, high = 0, len(versions) - 1
    # Invariant: `low` is good and `high` is bad; they end as neighbours.
    while high - low > 1:
        middle = (low + high) // 2
        is_middle_good = bool(is_good(snapshot_at(collection, versions[middle])))
        evaluated.append((versions[middle], is_middle_good))
        low, high = (middle, high) if is_middle_good else (low, middle)
    culprit = table.filter(version=versions[high]).row(0, named=True)
    return Bisection(
        good=versions[low],
        bad=versions[high],
        uploads=list(culprit["uploads"] or []),
        author=culprit["author"],
        message=culprit["message"],
        evaluations=pl.DataFrame(
            evaluated, schema={"version": pl.Int64, "is_good": pl.Boolean}, orient="row"
        ),
        _collection=collection,
    )
