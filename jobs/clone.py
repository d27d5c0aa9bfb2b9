"""Complete the clones of a lake: `python -m lakehouse.jobs.clone ROOT`."""

import sys

import lakehouse


def clone(lake: lakehouse.Lake) -> dict[str, lakehouse.Dataset]:
    """Complete every clone that was only listed, or was interrupted.

    Returns:
        The clones that can be read now, by address.

    Raises:
        StorageError: If the store failed; the same call continues.
    """
    return {
        f"{project.name}/{dataset.name}": dataset
        for project in lake.projects(archived=True)
        for dataset in project.finish_clones()
    }


if __name__ == "__main__":
    print(*clone(lakehouse.connect(sys.argv[1], merge="deferred")), sep="\n")
