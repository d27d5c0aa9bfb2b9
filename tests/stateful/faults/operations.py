"""The operations that faults are tried on, on a small dataset that exists."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import lakehouse
from lakehouse.storage import Store
from lakehouse.testing import ModelDataset, Sent, State
from lakehouse.testing.operations import operations_of

__all__ = [
    "MODELS",
    "OPERATIONS",
    "OTHERS",
    "SEGMENTS",
    "before",
    "cloned",
    "expected",
    "expected_elements",
    "run",
]

Upload = tuple[list[Sent], list[Sent]]


def _frame(frame_id: str, **fields: Any) -> dict[str, Any]:
    return {"frame_id": frame_id, "image_url": "a.png"} | fields


def _box(frame_id: str, label_id: str, **fields: Any) -> dict[str, Any]:
    sides = {"top": 1.0, "left": 2.0, "width": 3.0, "height": 4.0}
    return (
        {"frame_id": frame_id, "label_id": label_id, "class_name": "cell"}
        | sides
        | fields
    )


def _key(frame_id: str, label_id: str) -> dict[str, str]:
    return {"frame_id": frame_id, "label_id": label_id}


def _guess(frame_id: str, label_id: str) -> dict[str, Any]:
    return _box(frame_id, label_id, confidence=0.9)


FIRST: Upload = (
    [Sent("ADD", _frame("f1", embedding=[1.0, 2.0])), Sent("ADD", _frame("f2"))],
    [
        Sent("ADD", _box("f1", "a")),
        Sent("ADD", _box("f1", "b")),
        Sent("ADD", _box("f2", "a")),
    ],
)

SECOND: Upload = ([], [Sent("ADD", _box("f1", "b", width=5.0))])

OPERATIONS: dict[str, Upload] = {
    "add": (
        [Sent("ADD", _frame("f3", user__n=1))],
        [Sent("ADD", _box("f3", "a", embedding=[1.0, 2.0]))],
    ),
    "replace": ([Sent("ADD", _frame("f1"))], [Sent("ADD", _box("f1", "c"))]),
    "modify": (
        [Sent("MODIFY", {"frame_id": "f1", "user__split": "train"})],
        [Sent("MODIFY", {"frame_id": "f1", "label_id": "a", "width": 9.0})],
    ),
    "upsert_labels": (
        [],
        [Sent("ADD", _box("f2", "a", width=7.0)), Sent("ADD", _box("f2", "z"))],
    ),
    "delete": (
        [Sent("DELETE", {"frame_id": "f1"})],
        [Sent("DELETE", {"frame_id": "f2", "label_id": "a"})],
    ),
    "partly_rejected": (
        [Sent("ADD", _frame("f4")), Sent("ADD", _frame("f5"))],
        [Sent("ADD", _box("f5", "a", class_name="cel"))],
    ),
}
"""Name to what is sent, on top of `FIRST` and `SECOND`."""

OTHERS = ("compact", "checkpoint", "restore", "revert", "collect_garbage", "clone")
"""Operations that send nothing."""

MODELS = ("create_inference_set", "add_inferences", "repin")
"""Operations on inference sets of the dataset."""

SEGMENTS = (
    "create_segment",
    "add_elements",
    "assign_elements",
    "refresh_elements",
    "remove_elements",
)
"""Operations on segments of the project."""

NOW = timedelta(0)


def before(root: str) -> None:
    """A dataset to try things on."""
    lake = lakehouse.connect(root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.submit(operations_of(*FIRST))
    dataset.submit(operations_of(*SECOND))
    dataset.compact()
    dataset.create_inference_set("model_a").add([_guess("f1", "x")])
    segment = lake.project("cells").create_segment("loose", element_type="label")
    # One of them was changed since.
    segment.add(dataset.at(1), labels=[_key("f1", "a"), _key("f1", "b")])
    # What dead writers left, so that there is garbage of every kind.
    store, path = dataset._collection.store, dataset._collection.path
    store.put(f"{path}/labels/part-orphan.parquet", b"nobody names this file")
    store.put(f"{path}/staging/dead/frames-0.parquet", b"it has no manifest")


def expected(name: str) -> State:
    """What an operation must come to."""
    model = ModelDataset(["cell"])
    model.submit(*FIRST)
    model.submit(*SECOND)
    if name in OPERATIONS:
        model.submit(*OPERATIONS[name])
    elif name == "restore":
        model.restore(1)
    elif name == "revert":
        model.revert([0])
    return model.latest


def cloned() -> State:
    """What a clone of version 1 begins with."""
    model = ModelDataset(["cell"])
    model.submit(*FIRST)
    return model.latest


def expected_elements(name: str) -> dict[str, tuple[int, list[int], str | None]]:
    """Label to version, earlier versions and batch, as an operation leaves them."""
    elements: dict[str, tuple[int, list[int], str | None]] = {
        "f1/a": (1, [], None),
        "f1/b": (1, [], None),
    }
    if name == "add_elements":
        elements["f2/a"] = (2, [], None)
    elif name == "assign_elements":
        elements = {key: (*rest[:2], "first") for key, rest in elements.items()}
    elif name == "refresh_elements":
        elements["f1/b"] = (2, [1], None)
    elif name == "remove_elements":
        del elements["f1/a"]
    return elements


def run(store: Store, name: str, upload_id: str) -> lakehouse.Upload | None:
    """Run an operation under an id of its own, so that it can be repeated."""
    project = lakehouse.connect(store=store).project("cells")
    if name in SEGMENTS:
        _run_on_segment(project, name)
        return None
    dataset = project.dataset("hela")
    if name in OPERATIONS:
        return dataset.submit(operations_of(*OPERATIONS[name]), upload_id=upload_id)
    if name == "restore":
        return dataset.restore(1, upload_id=upload_id)
    if name == "revert":
        return dataset.revert(1, upload_id=upload_id)
    if name == "add_inferences":
        model = dataset.inference_set("model_a")
        return model.add([_guess("f2", "y")], upload_id=upload_id)
    _SILENT[name](dataset)
    return None


_SILENT: dict[str, Callable[[lakehouse.Dataset], object]] = {
    "compact": lambda dataset: dataset.compact(),
    "checkpoint": lambda dataset: dataset.checkpoint("base", 1, message="as it came"),
    "collect_garbage": lambda dataset: dataset.collect_garbage(
        retention=NOW, grace=NOW, dry_run=False
    ),
    "clone": lambda dataset: dataset.clone("copy", 1, exist_ok=True).wait(),
    "create_inference_set": lambda dataset: dataset.create_inference_set(
        "model_b", exist_ok=True
    ),
    "repin": lambda dataset: dataset.inference_set("model_a").repin(1),
}
"""Operations that make no upload."""


def _run_on_segment(project: lakehouse.Project, name: str) -> None:
    """Run an operation on segments; made again, it changes nothing more."""
    if name == "create_segment":
        project.create_segment("blurred", element_type="frame", exist_ok=True)
        return
    segment = project.segment("loose")
    if name == "add_elements":
        segment.add(project.dataset("hela"), labels=[_key("f2", "a"), _key("f1", "b")])
    elif name == "assign_elements":
        segment.assign(batch="first")
    elif name == "refresh_elements":
        segment.refresh()
    else:
        element = segment.tracking().filter(frame_id="f1", label_id="a")
        segment.remove(element)
