"""Merge what is staged in a lake: `python -m lakehouse.jobs.merge ROOT`."""

import sys

import lakehouse
from lakehouse.types import Progress, silent


def merge(
    lake: lakehouse.Lake, target: str | None = None, *, progress: Progress = silent
) -> list[lakehouse.Upload]:
    """Merge the staged uploads of every dataset and inference set.

    Args:
        lake: The lake.
        target: Only this one: `project/dataset[/inference_set]`.
        progress: Called with a stage, how much of it is done, and how much there is.

    Returns:
        The uploads that are settled now.

    Raises:
        StorageError: If the store failed; what is staged stays staged.
    """
    return [
        upload
        for _, collection in lake.collections(target)
        for upload in collection.merge_pending(progress=progress)
    ]


if __name__ == "__main__":
    uploads = merge(lakehouse.connect(sys.argv[1], merge="deferred"))
    for settled in uploads:
        print(settled)
    # The exit code of `lakehouse run merge`.
    statuses = {upload.status for upload in uploads}
    sys.exit(1 if "FAILED" in statuses else 3 if "PARTIAL" in statuses else 0)
