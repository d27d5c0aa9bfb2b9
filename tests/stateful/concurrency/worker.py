"""A process that writes, merges or compacts, until it is killed or done."""

import sys
import time
from pathlib import Path

import lakehouse
from lakehouse.errors import LakehouseError


def write(root: str, name: str, log: Path, enough: Path) -> None:
    """Stage one frame after the other; each acknowledged id is written down."""
    lake = lakehouse.connect(root, merge="deferred", author=name)
    dataset = lake.project("cells").dataset("hela")
    number = len(log.read_text().split()) if log.exists() else 0
    while not enough.exists():
        frame_id = f"{name}_{number:05}"
        box = {"frame_id": frame_id, "label_id": "a", "class_name": "cell"}
        box_sides = {"top": 1.0, "left": 2.0, "width": 3.0, "height": 4.0}
        dataset.add([{"frame_id": frame_id, "image_url": "x.png"}], [box | box_sides])
        with log.open("a") as file:
            file.write(f"{frame_id}\n")
        number += 1
        time.sleep(0.02)


def merge(root: str, stop: Path) -> None:
    """Merge until told to stop."""
    while not stop.exists():
        try:
            lakehouse.connect(root).project("cells").dataset("hela").merge_pending()
        except LakehouseError as error:
            if not error.retryable:
                raise


def compact(root: str, stop: Path) -> None:
    """Compact until told to stop."""
    while not stop.exists():
        lakehouse.connect(root).project("cells").dataset("hela").compact()
        time.sleep(0.2)


if __name__ == "__main__":
    kind, root, name = sys.argv[1:]
    top = Path(root)
    if kind == "write":
        write(root, name, top / f"{name}.log", top / "enough")
    elif kind == "compact":
        compact(root, top / "stop")
    else:
        merge(root, top / "stop")
