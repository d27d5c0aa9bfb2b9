"""Go on with the clones of a lake that were only listed, or cut short."""

import lakehouse

__all__ = ["clone"]


def clone(root: str) -> list[str]:
    """Complete every clone of a lake that cannot be read yet; their addresses.

    Args:
        root: Where the lake lies.

    Raises:
        StorageError: If the store failed; the same call goes on.
    """
    lake = lakehouse.connect(root, merge="deferred", compaction="manual")
    return [
        f"{project.name}/{dataset.name}"
        for project in lake.projects(archived=True)
        for dataset in project.finish_clones()
    ]


if __name__ == "__main__":
    import sys

    print(*clone(sys.argv[1]), sep="\n")
