"""Bisection: the version that turned good into bad, by the fewest evaluations.

The two ends are evaluated first: what holds at neither or at both has no culprit. Then
every evaluation halves the versions left, so `n` versions from good to bad take
2 + log2(n) evaluations, rounded up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.ledger.collection import Collection
from lakehouse.model.problems import Problems
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
        is_good: Evaluates versions: both ends first, then some between them.
        good: A version that is known to be good.
        bad: A later one that is known to be bad.

    Raises:
        NotFoundError: If there never was such a version.
        InvalidInputError: If the bad version is not later than the good one, the good
            one is not good, or the bad one is.
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
    evaluated = _evaluate_ends(collection, is_good, versions[0], versions[-1])
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


def _evaluate_ends(
    collection: Collection, is_good: Callable[[Snapshot], bool], good: int, bad: int
) -> list[tuple[int, bool]]:
    """Refuse ends that are not what they are said to be: no version would be to blame.

    Raises:
        InvalidInputError: If the good version is bad, or the bad one is good.
    """
    ends = [(one, bool(is_good(snapshot_at(collection, one)))) for one in (good, bad)]
    problems = Problems()
    if not ends[0][1]:
        message = f"is_good says that version {good}, the good one, is bad."
        hint = "Give an older version that is good."
        problems.add("good", rule="bisect.ends", message=message, hint=hint)
    if ends[1][1]:
        message = f"is_good says that version {bad}, the bad one, is good."
        hint = "Give a version that is bad: if there is none, nothing turned bad."
        problems.add("bad", rule="bisect.ends", message=message, hint=hint)
    problems.raise_if_any("Nothing was bisected.")
    return ends
