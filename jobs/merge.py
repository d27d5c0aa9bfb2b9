"""Merge what is staged in every dataset and inference set of a lake, as a scheduled job would."""

import lakehouse
from lakehouse.uploads.upload import Upload

__all__ = ["merge"]


def merge(root: str) -> list[Upload]:
    """Merge everything pending in the lake at `root`; the uploads settled.

    Raises:
        StorageError: If the store failed; what is staged stays staged.
    """
    lake = lakehouse.connect(root, merge="deferred")
    return [
        upload for _, found in lake.collections() for upload in found.merge_pending()
    ]


if __name__ == "__main__":
    import sys

    for settled in merge(sys.argv[1]):
        print(settled)
