"""Verify a lake: `python -m lakehouse.jobs.verify ROOT [--quick]`."""

import sys

import lakehouse
from lakehouse.types import Progress, silent


def verify(
    lake: lakehouse.Lake,
    target: str | None = None,
    *,
    full: bool = True,
    media: bool = False,
    progress: Progress = silent,
) -> dict[str, lakehouse.Verification]:
    """Find what is wrong in every dataset and inference set, archived ones too.

    Args:
        lake: The lake.
        target: Only this one: `project/dataset[/inference_set]`.
        full: Read every byte and every row; otherwise check the main things only.
        media: Check the images, masks and other media too.
        progress: Called with a stage, how much of it is done, and how much there is.

    Returns:
        What was found, by address.

    Raises:
        StorageError: If the store failed.
    """
    return {
        address: collection.verify(full=full, media=media, progress=progress)
        for address, collection in lake.collections(target, archived=True)
    }


if __name__ == "__main__":
    is_sound = True
    verified = verify(lakehouse.connect(sys.argv[1]), full="--quick" not in sys.argv)
    for name, verification in verified.items():
        print(name, verification)
        for problem in verification.problems.iter_rows(named=True):
            print(problem)
        is_sound &= verification.is_sound
    sys.exit(not is_sound)
