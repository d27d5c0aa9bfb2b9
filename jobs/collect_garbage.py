"""Remove old files: `python -m lakehouse.jobs.collect_garbage ROOT [--remove]`."""

import sys
from datetime import timedelta

import lakehouse
from lakehouse.catalog import GRACE, RETENTION


def collect_garbage(
    lake: lakehouse.Lake,
    target: str | None = None,
    *,
    retention: timedelta = RETENTION,
    grace: timedelta = GRACE,
    dry_run: bool = True,
) -> dict[str, lakehouse.Garbage]:
    """Remove the files that only old versions need.

    Args:
        lake: The lake.
        target: Only this dataset or inference set: `project/dataset[/inference_set]`;
            by default all of them, and the lake's own tables.
        retention: How long a version keeps its files.
        grace: Files younger than this are kept.
        dry_run: Remove nothing, only report.

    Returns:
        What was removed, or would be, by address; `lake` is the lake itself.

    Raises:
        StorageError: If the store failed; datasets before stay collected.
    """
    removed = {
        address: collection.collect_garbage(
            retention=retention, grace=grace, dry_run=dry_run
        )
        for address, collection in lake.collections(target)
    }
    if target is None:
        removed["lake"] = lake.collect_garbage(
            retention=retention, grace=grace, dry_run=dry_run
        )
    return removed


if __name__ == "__main__":
    for name, garbage in collect_garbage(
        lakehouse.connect(sys.argv[1]), dry_run="--remove" not in sys.argv
    ).items():
        print(name, garbage)
