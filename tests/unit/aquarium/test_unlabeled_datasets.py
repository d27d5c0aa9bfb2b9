"""Frames without ground truth, and what a model proposes for them."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import BOX, SURE


def unlabeled(frame_id: str, *proposals: str, **options: Any) -> al.UnlabeledFrame:
    frame = al.UnlabeledFrame(frame_id=frame_id, **options)
    frame.add_image(image_url=f"{frame_id}.png")
    for label_id in proposals:
        frame.add_label_2d_bbox(label_id=label_id, **BOX, **SURE)
    return frame


def content_of(*frames: al.UnlabeledFrame, deleted: str = "") -> al.UnlabeledDataset:
    content = al.UnlabeledDataset()
    for frame in frames:
        content.add_frame(frame)
    for frame_id in deleted.split():
        content.delete_frame(frame_id)
    return content


def proposals(bench: Any) -> list[tuple[Any, ...]]:
    rows = bench.dataset.inference_set("proposals").latest().inferences()
    columns = ["frame_id", "label_id", "class_name", "confidence", "width"]
    tuples: list[tuple[Any, ...]] = rows.select(columns).collect().sort(columns).rows()
    return tuples


def test_frames_become_a_dataset_and_proposals_an_inference_set(bench: Any) -> None:
    content = content_of(unlabeled("f", "a", "b"), unlabeled("g"))

    sent = bench.client.create_dataset(
        "p", "d", dataset=content, existing_embedding_version_uuid="of the service"
    )

    assert sent.counts["created"] == 2
    assert bench.dataset.latest().counts == {"frames": 2, "labels": 0}
    assert proposals(bench) == [
        ("f", "a", "cat", 0.9, 3.5),
        ("f", "b", "cat", 0.9, 3.5),
    ]
    assert bench.dataset.inference_set("proposals").latest().rows["frames"] == 2


def test_proposals_follow_their_frames(bench: Any) -> None:
    bench.client.create_dataset(
        "p", "d", dataset=content_of(unlabeled("f", "a"), unlabeled("g", "b"))
    )
    change = al.UnlabeledFrame(frame_id="g", update_type="MODIFY")
    change.add_user_metadata("split", "test")

    bench.client.create_or_update_dataset(
        "p", "d", dataset=content_of(unlabeled("h", "c"), change, deleted="f")
    )

    assert [row[:2] for row in proposals(bench)] == [("g", "b"), ("h", "c")]
    assert bench.frames()["frame_id"].to_list() == ["g", "h"]
    assert bench.frames()["user__split"].to_list() == ["test", None]


def test_vectors_of_frames_and_of_proposals_go_where_they_belong(bench: Any) -> None:
    frame = unlabeled("f", "a")
    frame.add_frame_embedding(embedding=[1.0, 2.0], model_id="net")
    frame.add_crop_embedding(label_id="a", embedding=[3.0, 4.0], model_id="head")

    bench.client.create_dataset("p", "d", dataset=content_of(frame))

    (of_frame,) = bench.dataset.latest().frame_embeddings().collect().to_dicts()
    model = bench.dataset.inference_set("proposals")
    (of_label,) = model.latest().label_embeddings().collect().to_dicts()
    assert (of_frame["embedding"], of_label["embedding"]) == ([1, 2], [3, 4])
    version = model._collection.head().version
    assert model._collection.embedding_spec("label_embeddings", version).model == "head"


def test_a_proposal_says_how_sure_it_is(bench: Any) -> None:
    frame = al.UnlabeledFrame(frame_id="f")

    with pytest.raises(lakehouse.InvalidInputError, match="confidence"):
        frame.add_label_2d_bbox(label_id="a", classification="cat", **BOX)
    frame.add_label_2d_semseg(label_id="m", mask_url="m.png")
    assert set(frame.labels) == {"m"}


def test_labelled_and_unlabelled_frames_are_not_mixed(bench: Any) -> None:
    labelled = al.LabeledDataset()
    labelled.add_frame(unlabeled("f", "a"))

    with pytest.raises(lakehouse.InvalidInputError, match="UnlabeledDataset"):
        bench.client.create_dataset("p", "d", dataset=labelled)
    with pytest.raises(lakehouse.InvalidInputError, match="UnlabeledFrame"):
        al.UnlabeledDataset().add_frame(al.LabeledFrame(frame_id="f"))  # type: ignore[arg-type]
    with pytest.raises(lakehouse.InvalidInputError, match="UnlabeledDataset"):
        bench.client.create_dataset(
            "p", "d", dataset=content_of(), is_unlabeled_indexed_dataset=True
        )
    assert bench.client.get_datasets("p", include_archived=True) == []


def test_captured_unlabelled_frames_land_the_same(bench: Any, tmp_path: Path) -> None:
    content = content_of(unlabeled("f", "a"), unlabeled("g"))
    frames, crops = io.StringIO(), io.StringIO()
    content.write_frames_to_file_streaming(frames)
    content.write_labels_to_file_streaming(crops)
    (tmp_path / "frames.jsonl").write_text(frames.getvalue())
    (tmp_path / "crops.jsonl").write_text(crops.getvalue())
    body = {
        "dataset_id": "d",
        "data_url": {"frame": ["frames.jsonl"], "crop": ["crops.jsonl"]},
        "is_unlabeled_indexed_dataset": True,
        "external_metadata": {"k": 1},
    }
    requests = [{"path": "/api/v1/projects/p/datasets", "json": body}]
    (tmp_path / "requests.json").write_text(json.dumps(requests))

    sent = al.ingest(bench.client.lake, "p", tmp_path)

    assert [one.status for one in sent] == ["DONE", "DONE"]
    assert proposals(bench) == [("f", "a", "cat", 0.9, 3.5)]
    assert bench.dataset.latest().counts == {"frames": 2, "labels": 0}
    assert bench.dataset.metadata == {"k": 1}
    again = al.ingest(bench.client.lake, "p", tmp_path)
    assert [one.id for one in again] == [one.id for one in sent]
