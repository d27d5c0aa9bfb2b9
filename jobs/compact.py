"""Compact the tables of a lake: `python -m lakehouse.jobs.compact ROOT`."""

import sys

import lakehouse
from lakehouse.catalog import Compaction


def compact(lake: lakehouse.Lake, target: str | None = None) -> dict[str, Compaction]:
    """Compact every dataset and inference set.

    Args:
        lake: The lake.
        target: Only this one: `project/dataset[/inference_set]`.

    Returns:
        What was done, by address.

    Raises:
        StorageError: If the store failed; datasets before stay compacted.
    """
    return {
        address: collection.compact()
        for address, collection in lake.collections(target)
    }


if __name__ == "__main__":
    for name, compaction in compact(lakehouse.connect(sys.argv[1])).items():
        print(name, compaction.to_frame())
