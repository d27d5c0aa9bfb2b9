"""Batches fail alone, names must be right, classes and types of fields stay."""

from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import (
    BOX,
    PLACE,
    SURE,
    guess,
    inferences,
    native,
    send,
)

Made = Callable[..., al.LabeledFrame]
Call = Callable[[al.Client, str], object]


def boxed(made: al.LabeledFrame, **fields: Any) -> al.LabeledFrame:
    usual: dict[str, Any] = BOX | {"classification": "cat"} | fields
    made.add_label_2d_bbox(label_id=f"{made.frame_id}_l", **usual)
    return made


def of_one(frame: al.LabeledFrame) -> al.LabeledDataset:
    content = al.LabeledDataset()
    content.add_frame(frame)
    return content


# ----------------------------------- STREAMING --------------------------------- #


def test_a_frame_sent_alone_is_there_after_one_upload(bench: Any, frame: Made) -> None:
    names = ["a", "b", "c", "d"]
    seen: list[tuple[list[str], int]] = []

    sent = []
    for name in names:
        sent.append(bench.send(frame(name)))
        seen.append((bench.client.get_frame_ids("p", "d"), bench.dataset.version))

    assert seen == [(names[: n + 1], n + 1) for n in range(len(names))]
    assert bench.dataset.uploads()["upload_id"].to_list() == [
        one.id for one in reversed(sent)
    ]


@pytest.mark.parametrize("merge", ["inline", "deferred"])
def test_a_failed_batch_takes_no_other_with_it(
    bench: Any, frame: Made, merge: Any
) -> None:
    bench.send(frame("first"))
    client = al.Client(api_endpoint=bench.client.lake.root, merge=merge)
    batches = [
        of_one(boxed(frame("before"))),
        of_one(boxed(frame("bad"), width=0)),
        of_one(boxed(frame("after"))),
    ]

    sent = [client.create_or_update_dataset("p", "d", dataset=one) for one in batches]
    bench.dataset.merge_pending()

    assert [one.status for one in sent] == ["DONE", "FAILED", "DONE"]
    assert [one.errors()["frame_id"].to_list() for one in sent] == [[], ["bad"], []]
    assert bench.frames()["frame_id"].to_list() == ["after", "before", "first"]
    assert bench.labels()["label_id"].to_list() == ["after_l", "before_l"]


# ------------------------------------- IDS ------------------------------------- #


@pytest.mark.parametrize("first", ["add", "delete"])
@pytest.mark.parametrize("second", ["add", "delete"])
@pytest.mark.parametrize("kind", ["dataset", "inferences"])
def test_one_object_says_one_thing_of_a_frame(
    frame: Made, kind: str, first: str, second: str
) -> None:
    content: Any = al.LabeledDataset() if kind == "dataset" else al.Inferences()
    verbs: dict[str, Callable[[], object]] = {
        "add": lambda: content.add_frame(
            frame("f") if kind == "dataset" else guess("f")
        ),
        "delete": lambda: content.delete_frame("f"),
    }
    verbs[first]()

    with pytest.raises(lakehouse.InvalidInputError, match="'f'"):
        verbs[second]()
    assert [*content.frames, *content.deleted] == ["f"]


# ------------------------------------ NAMES ------------------------------------ #


def change() -> al.LabeledFrame:
    made = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    made.add_user_metadata("split", "test")
    return made


def new_label(kind: Any = al.UpdateGTLabelSet, **fields: Any) -> Any:
    made = kind(frame_id="f")
    made.add_2d_bbox(label_id="new", **BOX, **fields)
    return made


def new_inference(name: str = "cat") -> Any:
    return new_label(al.UpdateInferenceLabelSet, **SURE | {"classification": name})


PROJECTS: dict[str, Call] = {
    "frames": lambda client, name: client.update_dataset_frames(name, "d", [change()]),
    "labels": lambda client, name: client.update_dataset_labels(
        name, "d", [new_label(classification="cat")]
    ),
    "metadata": lambda client, name: client.update_frames_metadata(
        name, "d", {"f": {"split": "test"}}
    ),
    "dataset": lambda client, name: client.create_or_update_dataset(
        name, "d", dataset=of_one(al.LabeledFrame(frame_id="f"))
    ),
    "inferences": lambda client, name: client.create_or_update_inferences(
        name, "d", "m", inferences=inferences(guess("g"))
    ),
}
DATASETS: dict[str, Call] = {
    "frames": lambda client, name: client.update_dataset_frames("p", name, [change()]),
    "labels": lambda client, name: client.update_dataset_labels(
        "p", name, [new_label(classification="cat")]
    ),
    "metadata": lambda client, name: client.update_frames_metadata(
        "p", name, {"f": {"split": "test"}}
    ),
    "inferences": lambda client, name: client.create_or_update_inferences(
        "p", name, "m", inferences=inferences(guess("g"))
    ),
    "single inferences": lambda client, name: client.update_inference_labels(
        "p", name, [new_inference()], inferences_id="m"
    ),
}
SETS: dict[str, Call] = {
    "single inferences": lambda client, name: client.update_inference_labels(
        "p", "d", [new_inference()], inferences_id=name
    )
}
NAMED = [
    pytest.param(call, right, id=f"{kind} of {right}")
    for right, calls in (("p", PROJECTS), ("d", DATASETS), ("m", SETS))
    for kind, call in calls.items()
]


def there(client: al.Client) -> tuple[list[str], list[str], int]:
    """The names of what there is, and how often something was sent to it."""
    project = client.lake.project("p")
    datasets = [one.name for one in project.datasets(archived=True)]
    sets = [one.name for one in project.dataset("d").inference_sets(archived=True)]
    names = [one["id"] for one in client.get_projects()]
    return names, datasets + sets, project.uploads().height


@pytest.mark.parametrize(("call", "right"), NAMED)
def test_a_wrong_name_is_an_error_and_the_right_one_is_updated_in_place(
    client: al.Client, call: Call, right: str
) -> None:
    send(client, guess("f"))
    before = there(client)

    with pytest.raises(lakehouse.NotFoundError, match=f"{right}x"):
        call(client, f"{right}x")
    assert there(client) == before == (["p"], ["d", "m"], 2)

    call(client, right)
    assert there(client) == (["p"], ["d", "m"], 3)


# ----------------------------------- CLASSES ----------------------------------- #


def renamed(frame_id: str, name: str) -> al.UpdateGTLabelSet:
    made = al.UpdateGTLabelSet(frame_id=frame_id)
    made.update_label_2d_bbox(label_id=f"{frame_id}_l", classification=name)
    return made


@pytest.mark.parametrize("how", ["new", "changed"])
def test_a_label_of_an_unknown_class_is_not_stored_and_those_beside_it_are(
    client: al.Client, bench: Any, how: str
) -> None:
    bad = new_label(classification="cow") if how == "new" else renamed("f", "cow")

    sent = client.update_dataset_labels("p", "d", [bad, renamed("g", "dog")])

    assert (sent.status, sent.errors()["rule"].to_list()) == (
        "PARTIAL",
        ["class.unknown"],
    )
    stored = bench.labels().select("label_id", "class_name").rows()
    assert stored == [("f_l", "cat"), ("g_l", "dog")]


def test_an_inference_of_an_unknown_class_is_not_stored(client: al.Client) -> None:
    send(client, guess("f"))

    sent = client.update_inference_labels(
        "p", "d", [new_inference("cow")], inferences_id=PLACE["inferences_id"]
    )

    assert (sent.status, sent.errors()["rule"].to_list()) == (
        "FAILED",
        ["class.unknown"],
    )
    assert native(client).latest().counts == {"frames": 1, "labels": 1}
    assert client.get_project("p")["label_class_map"][-1]["name"] == "dog"
