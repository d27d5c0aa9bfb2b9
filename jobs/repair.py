"""Repair a lake: `python -m lakehouse.jobs.repair ROOT`."""

import sys

import lakehouse
from lakehouse.catalog import Repair


def repair(lake: lakehouse.Lake, target: str | None = None) -> dict[str, Repair]:
    """Write again what follows from the ledgers, and name what is lost.

    Args:
        lake: The lake.
        target: Only this one: `project/dataset[/inference_set]`.

    Returns:
        What was done and what is lost, by address.

    Raises:
        StorageError: If the store failed; datasets before stay repaired.
    """
    return {
        address: collection.repair()
        for address, collection in lake.collections(target, archived=True)
    }


if __name__ == "__main__":
    is_whole = True
    for name, repaired in repair(lakehouse.connect(sys.argv[1])).items():
        for text in (*repaired.done, *repaired.lost):
            print(name, text)
        is_whole &= not repaired.lost
    sys.exit(not is_whole)
