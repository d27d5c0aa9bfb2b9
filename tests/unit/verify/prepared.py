"""A lake with everything in it that a verification looks at."""

from pathlib import Path

import lakehouse
from lakehouse.transactions.background import finish
from tests.rows import box, frame

__all__ = ["opened", "prepare"]


def opened(root: Path | str) -> lakehouse.Dataset:
    """The dataset in a lake opened afresh."""
    lake = lakehouse.connect(root, author="mira", compaction="manual")
    return lake.project("cells").dataset("hela")


def prepare(root: Path) -> None:
    """Ten versions and more: changes of every kind, a compaction, a checkpoint."""
    lake = lakehouse.connect(root, author="mira", compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add(
        [frame(f"f{n:02}", embedding=[float(n), 1.0]) for n in range(30)],
        [box(f"f{n:02}", k, embedding=[0.5, n]) for n in range(30) for k in "ab"],
    )
    dataset.modify([frame("f03", user__split="train"), frame("f04", user__split="val")])
    dataset.upsert_labels([box("f05", "a", width=9.0), box("f05", "c")])
    dataset.delete(["f06"])
    dataset.delete(labels=[{"frame_id": "f07", "label_id": "a"}])
    dataset.checkpoint("baseline")
    dataset.add([frame("f08", embedding=[8.0, 8.0])], [box("f08", "z")])
    dataset.compact()
    dataset.modify(labels=[{"frame_id": "f09", "label_id": "b", "user__sure": True}])
    dataset.add([frame("g1"), {"frame_id": "g2"}], [box("g1", "a", class_name="x")])
    dataset.restore(4)
    with dataset.open_upload(message="mixed") as draft:
        draft.add([frame("g3")], [box("g3", "a")])
        draft.delete(["f10"])
    dataset.upsert_labels([box("f11", "a", width=5.0)])
    finish()
