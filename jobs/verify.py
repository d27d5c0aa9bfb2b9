"""Verify every dataset and inference set of a lake, as a scheduled job would."""

import lakehouse

__all__ = ["verify"]


def verify(root: str, *, full: bool = True) -> dict[str, lakehouse.Verification]:
    """Look for everything that is wrong in a lake, archived parts too; by address.

    Args:
        root: Where the lake lies.
        full: Read every byte and row; otherwise take a quick look.

    Raises:
        StorageError: If the store failed.
    """
    lake = lakehouse.connect(root, merge="deferred", compaction="manual")
    return {
        name: found.verify(full=full) for name, found in lake.collections(archived=True)
    }


if __name__ == "__main__":
    import sys

    is_sound = True
    for target, found in verify(sys.argv[1], full="--quick" not in sys.argv).items():
        print(target, found)
        for problem in found.problems.iter_rows(named=True):
            print(problem)
        is_sound &= found.is_sound
    sys.exit(not is_sound)
