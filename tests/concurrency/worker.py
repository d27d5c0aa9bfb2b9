"""A process that writes, or merges, until it is killed or done."""

import sys
from pathlib import Path

import lakehouse
from lakehouse.errors import LakehouseError


def write(root: str, name: str, count: int, log: Path) -> None:
    """Stage one frame after the other; each acknowledged id is written down."""
    lake = lakehouse.connect(root, merge="deferred", author=name)
    dataset = lake.project("cells").dataset("hela")
    done = set(log.read_text().split()) if log.exists() else set[str]()
    for number in range(count):
        frame_id = f"{name}_{number:03}"
        if frame_id in done:
            continue
        box = {"frame_id": frame_id, "label_id": "a", "class_name": "cell"}
        box_sides = {"top": 1.0, "left": 2.0, "width": 3.0, "height": 4.0}
        dataset.add([{"frame_id": frame_id, "image_url": "x.png"}], [box | box_sides])
        with log.open("a") as file:
            file.write(f"{frame_id}\n")


def merge(root: str, stop: Path) -> None:
    """Merge until told to stop."""
    while not stop.exists():
        try:
            lakehouse.connect(root).project("cells").dataset("hela").merge_pending()
        except LakehouseError as error:
            if not error.retryable:
                raise


if __name__ == "__main__":
    kind, root, name, extra = sys.argv[1:]
    if kind == "write":
        write(root, name, int(extra), Path(root) / f"{name}.log")
    else:
        merge(root, Path(root) / "stop")
