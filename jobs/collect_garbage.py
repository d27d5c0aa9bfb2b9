"""Collect the garbage of a lake, its datasets and inference sets, as a scheduled job would."""

from datetime import timedelta

import lakehouse
from lakehouse.transactions.garbage import GRACE, RETENTION

__all__ = ["collect_garbage"]


def collect_garbage(
    root: str,
    *,
    retention: timedelta = RETENTION,
    grace: timedelta = GRACE,
    dry_run: bool = True,
) -> dict[str, lakehouse.Garbage]:
    """Remove what only old versions need; what went, by address, of the lake by "".

    Raises:
        StorageError: If the store failed; datasets done before stay collected.
    """
    lake = lakehouse.connect(root, merge="deferred", compaction="manual")
    places = {"": lake, **dict(lake.collections())}
    return {
        name: found.collect_garbage(retention=retention, grace=grace, dry_run=dry_run)
        for name, found in places.items()
    }


if __name__ == "__main__":
    import sys

    for target, found in collect_garbage(
        sys.argv[1], dry_run="--remove" not in sys.argv
    ).items():
        print(target, found)
