"""Scripts move from a dataset that is fixed to one that takes changes."""

from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from lakehouse.errors import InvalidInputError

OLD, NEW = "legacy", "MUTABLE_legacy"


def content(frame_id: str, mode: Any = "STREAMING") -> al.LabeledDataset:
    frame = al.LabeledFrame(frame_id=frame_id)
    frame.add_image(image_url=f"{frame_id}.png")
    frame.add_label_2d_bbox(
        label_id=f"{frame_id}_l",
        classification="cell",
        top=1,
        left=2,
        width=3,
        height=4,
    )
    made = al.LabeledDataset(pipeline_mode=mode)
    made.add_frame(frame)
    return made


def metadata(value: str) -> al.LabeledFrame:
    change = al.LabeledFrame(frame_id="f1", update_type="MODIFY")
    change.add_user_metadata("split", value)
    return change


def moved(left: float) -> al.UpdateGTLabelSet:
    change = al.UpdateGTLabelSet(frame_id="f1")
    change.update_label_2d_bbox(label_id="f1_l", left=left)
    return change


@pytest.fixture
def client(lake_root: str, project: lakehouse.Project) -> al.Client:
    """A BATCH dataset, and one that streams."""
    client = al.Client(api_endpoint=lake_root)
    batch = content("f1", "BATCH")
    client.create_dataset(project.name, OLD, dataset=batch, pipeline_mode="BATCH")
    client.create_dataset(project.name, "hela", dataset=content("f1"))
    return client


@pytest.fixture
def legacy(client: al.Client) -> lakehouse.Dataset:
    return client.lake.project("cells").dataset(OLD)


# --------------------------------- THE TWO MODES ------------------------------- #

CALLS: dict[str, Callable[[al.Client, str], lakehouse.Upload]] = {
    "create_dataset": lambda client, name: client.create_dataset(
        "cells", name, dataset=content("f2")
    ),
    "create_or_update_dataset": lambda client, name: client.create_or_update_dataset(
        "cells", name, dataset=content("f2")
    ),
    "update_dataset_frames": lambda client, name: client.update_dataset_frames(
        "cells", name, [metadata("test")]
    ),
    "update_dataset_labels": lambda client, name: client.update_dataset_labels(
        "cells", name, [moved(9)]
    ),
    "update_frames_metadata": lambda client, name: client.update_frames_metadata(
        "cells", name, {"f1": {"split": "test"}}
    ),
}
calls = pytest.mark.parametrize("call", list(CALLS))


@calls
def test_without_a_mode_a_dataset_takes_every_change(
    client: al.Client, call: str
) -> None:
    assert CALLS[call](client, "hela").status == "DONE"

    dataset = client.lake.project("cells").dataset("hela")
    assert (dataset.mode, dataset.version) == ("STREAMING", 2)
    assert dataset.latest().fingerprint != dataset.at(1).fingerprint


@calls
def test_a_batch_dataset_takes_none(
    client: al.Client, legacy: lakehouse.Dataset, call: str
) -> None:
    before = legacy.latest().fingerprint

    with pytest.raises(InvalidInputError, match="BATCH dataset") as caught:
        CALLS[call](client, OLD)

    assert caught.value.kind == "dataset.immutable"
    assert (legacy.version, legacy.latest().fingerprint) == (1, before)


@pytest.mark.parametrize("verb", ["create_dataset", "create_or_update_dataset"])
def test_a_batch_dataset_is_created_once(client: al.Client, verb: str) -> None:
    with pytest.raises(InvalidInputError, match="only creates"):
        getattr(client, verb)(
            "cells", OLD, dataset=content("f2", "BATCH"), pipeline_mode="BATCH"
        )

    assert client.get_frame_ids("cells", OLD) == ["f1"]


# ------------------------------------ CLONES ----------------------------------- #


def listed(client: al.Client, *keys: str) -> dict[str, list[Any]]:
    """Of every dataset in the list, what it tells under these keys."""
    datasets = client.get_datasets("cells", include_archived=False)
    return {one["id"]: [one[key] for key in keys] for one in datasets}


def test_a_list_tells_which_datasets_are_fixed_and_what_their_clones_are(
    client: al.Client, legacy: lakehouse.Dataset
) -> None:
    before = listed(client, "is_mutable", "clone", "clone_of")
    legacy.clone_as_mutable().wait()

    assert before == {OLD: [False, None, None], "hela": [True, None, None]}
    assert listed(client, "is_mutable", "clone", "clone_of") == {
        OLD: [False, NEW, None],
        NEW: [True, None, OLD],
        "hela": [True, None, None],
    }
    assert client.get_dataset("cells", OLD)["clone"] == NEW


@calls
def test_the_clone_takes_every_change(
    client: al.Client, legacy: lakehouse.Dataset, call: str
) -> None:
    clone = legacy.clone_as_mutable().wait()

    assert CALLS[call](client, NEW).status == "DONE"

    assert clone.at(0).fingerprint == legacy.latest().fingerprint
    assert clone.latest().fingerprint != legacy.latest().fingerprint


def test_a_clone_in_the_making_is_listed_as_pending(
    client: al.Client, legacy: lakehouse.Dataset
) -> None:
    later = al.Client(api_endpoint=client.lake.root, merge="deferred")
    later.lake.project("cells").dataset(OLD).clone_as_mutable()

    def processing() -> list[Any]:
        return [
            *listed(client, "version", "frames", "labels", "processing")[NEW],
            client.is_dataset_processed("cells", NEW),
            client.current_dataset_process_state("cells", NEW),
        ]

    before = processing()
    client.lake.project("cells").finish_clones()

    assert before == [None, None, None, True, False, ("PENDING", 0.0)]
    assert processing() == [0, 1, 1, False, True, ("DONE", 100.0)]
