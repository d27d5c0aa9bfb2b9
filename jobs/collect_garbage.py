"""Collect the garbage of every dataset and inference set of a lake, as a scheduled job would."""

from datetime import timedelta

import lakehouse
from lakehouse.engines.collector import GRACE, RETENTION

__all__ = ["collect_garbage"]


def collect_garbage(
    root: str,
    *,
    retention: timedelta = RETENTION,
    grace: timedelta = GRACE,
    dry_run: bool = True,
) -> dict[str, lakehouse.Garbage]:
    """Remove what only old versions need; what went, by address.

    Raises:
        StorageError: If the store failed; datasets done before stay collected.
    """
    lake = lakehouse.connect(root, merge="deferred", compaction="manual")
    return {
        name: found.collect_garbage(retention=retention, grace=grace, dry_run=dry_run)
        for name, found in lake.collections()
    }


if __name__ == "__main__":
    import sys

    for target, found in collect_garbage(
        sys.argv[1], dry_run="--remove" not in sys.argv
    ).items():
        print(target, found)
