"""Compact every dataset and inference set of a lake, as a scheduled job would."""

import lakehouse
from lakehouse.transactions import Compaction

__all__ = ["compact"]


def compact(root: str) -> dict[str, Compaction]:
    """Compact everything in the lake at `root`; what was done, by address.

    Raises:
        StorageError: If the store failed; datasets done before stay compacted.
    """
    lake = lakehouse.connect(root, merge="deferred", compaction="manual")
    return {name: found.compact() for name, found in lake.collections()}


if __name__ == "__main__":
    import sys

    for target, done in compact(sys.argv[1]).items():
        print(target, done.to_frame())
