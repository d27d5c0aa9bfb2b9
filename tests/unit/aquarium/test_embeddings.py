"""Vectors: all frames or none, one length, one model; fillers are none."""

from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al

BOX: dict[str, Any] = {"top": 0, "left": 0, "width": 1, "height": 1}


def boxed(frame: al.LabeledFrame, *label_ids: str) -> al.LabeledFrame:
    for label_id in label_ids:
        frame.add_label_2d_bbox(label_id=label_id, classification="cat", **BOX)
    return frame


def test_vectors_of_frames_and_labels_land(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = boxed(frame(), "l")
    new.add_embedding(
        embedding=[1, 2.5, 3], crop_embeddings=[{"uuid": "l", "embedding": [1, 2]}]
    )

    bench.send(new)

    latest = bench.dataset.latest()
    assert latest.frame_embeddings().collect().rows() == [("f", [1.0, 2.5, 3.0])]
    assert latest.label_embeddings().collect().rows() == [("f", "l", [1.0, 2.0])]


def test_zeros_in_threes_stand_for_no_vector(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = boxed(frame(), "l")
    new.add_frame_embedding(embedding=[0, 0, 0])
    new.add_crop_embedding(label_id="l", embedding=[0.0, 0.0, 0.0])

    bench.send(new)

    latest = bench.dataset.latest()
    assert latest.frame_embeddings().collect().height == 0
    assert latest.label_embeddings().collect().height == 0


@pytest.mark.parametrize("vector", [None, [1.0, 2.0]])
def test_frames_of_one_upload_have_vectors_of_one_length_or_none(
    frame: Callable[..., al.LabeledFrame], vector: list[float] | None
) -> None:
    content, first, second = al.LabeledDataset(), frame("a"), frame("b")
    first.add_frame_embedding(embedding=[1.0, 2.0, 3.0])
    if vector is not None:
        second.add_frame_embedding(embedding=vector)
    content.add_frame(first)

    with pytest.raises(lakehouse.InvalidInputError, match="earlier frames"):
        content.add_frame(second)


def test_all_boxes_of_a_frame_have_vectors_or_none(
    frame: Callable[..., al.LabeledFrame],
) -> None:
    new = boxed(frame(), "a", "b")
    new.add_crop_embedding(label_id="a", embedding=[1.0, 2.0])

    with pytest.raises(lakehouse.InvalidInputError, match="all of them"):
        al.LabeledDataset().add_frame(new)


def test_classifications_masks_deletions_and_changes_need_no_vector(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    bench.send(frame("old"), frame("gone"))
    new = boxed(frame("new"), "a")
    new.add_label_2d_classification(label_id="c", classification="cat")
    new.add_label_2d_semseg(label_id="m", mask_url="m.png")
    new.add_embedding(
        embedding=[1, 2, 4], crop_embeddings=[{"uuid": "a", "embedding": [1, 2]}]
    )
    change = al.LabeledFrame(frame_id="old", update_type="MODIFY")
    change.add_user_metadata("split", "train")
    content = al.LabeledDataset()
    for one in (new, change):
        content.add_frame(one)
    content.delete_frame("gone")

    upload = bench.client.create_or_update_dataset("p", "d", dataset=content)

    assert upload.status == "DONE"
    assert bench.frames()["frame_id"].to_list() == ["new", "old"]


def test_a_replaced_label_keeps_the_vector_unless_a_new_one_comes(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = boxed(frame(), "keeps", "changes")
    for label_id in ("keeps", "changes"):
        new.add_crop_embedding(label_id=label_id, embedding=[1.0, 2.0])
    bench.send(new)
    label_set = al.UpdateGTLabelSet(frame_id="f")
    for label_id in ("keeps", "changes"):
        label_set.add_2d_bbox(label_id=label_id, classification="dog", **BOX)
    label_set.add_crop_embedding(label_id="changes", embedding=[3.0, 4.0])

    bench.client.update_dataset_labels("p", "d", [label_set])

    vectors = bench.dataset.latest().label_embeddings().sort("label_id").collect()
    assert vectors["embedding"].to_list() == [[3.0, 4.0], [1.0, 2.0]]


def test_a_dataset_has_vectors_of_one_model(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    first, same, other = frame("a"), frame("b"), frame("c")
    first.add_frame_embedding(embedding=[1.0, 2.0], model_id="resnet")
    same.add_frame_embedding(embedding=[1.0, 2.0], model_id="resnet")
    other.add_frame_embedding(embedding=[1.0, 2.0], model_id="clip")
    bench.send(first)
    bench.send(same)

    with pytest.raises(lakehouse.InvalidInputError, match="resnet"):
        bench.send(other)
    assert bench.frames().height == 2


@pytest.mark.parametrize("vector", [[1.0], ["a", "b"], [1.0, float("nan")]])
def test_what_is_no_vector_is_refused(
    frame: Callable[..., al.LabeledFrame], vector: list[Any]
) -> None:
    with pytest.raises(lakehouse.InvalidInputError):
        frame().add_frame_embedding(embedding=vector)
    with pytest.raises(lakehouse.InvalidInputError, match="add it before"):
        frame().add_crop_embedding(label_id="none", embedding=[1.0, 2.0])
