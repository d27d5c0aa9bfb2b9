"""What a model says of one frame: inferences, figures, pictures, metadata, vectors."""

from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import (
    BOX,
    SURE,
    guess,
    inferences,
    native,
    rows,
    send,
)

SHAPE: dict[str, Any] = {"vertices": [(0, 0), (4, 0), (4, 4)]}
POINT: dict[str, Any] = {"x": 1, "y": 2.5, "name": "nose"}
SOLID: dict[str, Any] = {
    "position": [0.0, 1.0, 2.0],
    "dimensions": [1.0, 1.0, 1.0],
    "rotation": [0.0, 0.0, 0.0, 1.0],
}
# suffix of the verb, what it takes, what is read back
KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("2d_bbox", {**BOX, "area": 7.0, "iscrowd": True}, {**BOX, "area": 7.0}),
    ("2d_line_segment", {"x1": 0, "y1": 1, "x2": 2, "y2": 3}, {"x2": 2}),
    ("2d_keypoints", {"keypoints": [POINT]}, {"keypoints": [POINT]}),
    (
        "2d_polygon_list",
        {"polygons": [SHAPE], "center": [2, 2]},
        {"polygons": [[[0, 0], [4, 0], [4, 4]]], "center": [2, 2]},
    ),
    ("3d_cuboid", SOLID, {**SOLID, "coordinate_frame": "world"}),
    ("2d_classification", {}, {"coordinate_frame": "DEFAULT"}),
    ("3d_classification", {}, {"coordinate_frame": "world"}),
    ("text_token", {"index": 3, "token": "a", "visible": True}, {"token": "a"}),
]
NAMES = [kind for kind, _, _ in KINDS]


# ----------------------------------- CONTENT ----------------------------------- #


@pytest.mark.parametrize(("kind", "sent", "read"), KINDS, ids=NAMES)
@pytest.mark.parametrize("prefix", ["add_inference_", "add_"])
def test_an_inference_is_read_back_as_sent(
    *,
    client: al.Client,
    kind: str,
    sent: dict[str, Any],
    read: dict[str, Any],
    prefix: str,
) -> None:
    new = al.InferencesFrame(frame_id="f")
    add = getattr(new, prefix + kind)
    add(label_id="i", user_attrs={"q": "a"}, **SURE, **sent)

    upload = send(client, new)

    assert upload.status == "DONE"
    (row,) = rows(client).to_dicts()
    wanted = {"class_name": "cat", "confidence": 0.9, "user__q": "a", **read}
    assert {name: row[name] for name in wanted} == wanted


def test_masks_and_their_instances_have_no_confidence(client: al.Client) -> None:
    new = al.InferencesFrame(frame_id="f")
    new.add_inference_2d_semseg(label_id="s", mask_url="s.png")
    new.add_inference_2d_instance_seg(
        label_id="m",
        mask_url="m.png",
        instance_mapping=[{"id": 7, "classification": "cat"}],
    )

    upload = send(client, new)

    assert upload.errors().height == 0
    confidences = rows(client).select("label_id", "class_name", "confidence").rows()
    assert confidences == [
        ("m", "__mask", None),
        ("m_7", "cat", None),
        ("s", "__mask", None),
    ]


@pytest.mark.parametrize("confidence", [None, 1, 0, True, 1.5, -0.1, "0.5", [0.5]])
def test_a_confidence_is_a_float_from_0_to_1(confidence: Any) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="confidence"):
        guess(confidence=confidence)
    with pytest.raises(lakehouse.InvalidInputError, match="confidence"):
        guess(confidence=float("nan"))


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_the_ends_are_confidences_too(client: al.Client, confidence: float) -> None:
    send(client, guess(confidence=confidence))

    assert rows(client)["confidence"].to_list() == [confidence]


def test_fields_of_an_inferences_frame_are_read_back_natively(
    client: al.Client,
) -> None:
    new = guess()
    new.add_custom_metric("loss", 0.5)
    new.add_visualization_asset("heat", "https://x.test/h.png")
    new.add_user_metadata("split", "test")
    new.add_user_metadata("epochs", 3)
    new.add_user_metadata("gone", 1)
    new.add_user_metadata("gone", None)
    other = guess("g", "j")
    other.add_custom_metric("loss", [[1, 2], [3, 4.5]])

    send(client, new, other)

    frames = native(client).latest().frames().sort("frame_id").collect()
    stored = frames.select("custom_metrics", "visualization_assets").rows()
    assert stored == [
        ('{"loss": 0.5}', '{"heat": "https://x.test/h.png"}'),
        ('{"loss": [[1, 2], [3, 4.5]]}', None),
    ]
    assert frames.select("user__split", "user__epochs").row(0) == ("test", 3)
    assert "user__gone" not in frames.columns


@pytest.mark.parametrize(
    "value", ["0.5", None, True, float("nan"), [], [[]], [1.0, 2.0], [[1], [1, 2]]]
)
def test_a_custom_metric_is_a_number_or_a_matrix(value: Any) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="matrix"):
        guess().add_custom_metric("loss", value)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("add_custom_metric", ("", 0.5)),
        ("add_visualization_asset", ("heat", None)),
        ("add_visualization_asset", ("", "h.png")),
        ("add_user_metadata", ("no spaces", 1)),
        ("add_user_metadata", ("no spaces", None)),
        ("add_user_metadata", ("a", {"b": 1})),
    ],
)
def test_invalid_fields_of_a_frame_are_refused_at_their_line(
    verb: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(lakehouse.InvalidInputError):
        getattr(guess(), verb)(*arguments)


def test_a_custom_metric_of_another_project_is_refused(client: al.Client) -> None:
    new = guess()
    new.add_custom_metric("f1", 0.5)

    with pytest.raises(lakehouse.InvalidInputError, match="f1"):
        send(client, new)


def test_a_frame_id_and_a_label_id_are_given_once() -> None:
    content = inferences(guess("f", "i"))
    content.delete_frame("gone")

    with pytest.raises(
        lakehouse.InvalidInputError, match="one upload has a frame once"
    ):
        content.delete_frame("f")
    with pytest.raises(
        lakehouse.InvalidInputError, match="one upload has a frame once"
    ):
        content.add_frame(guess("gone", "j"))
    with pytest.raises(lakehouse.InvalidInputError, match="'f' already"):
        content.add_frame(guess("g", "i"))
    wrong: Any = al.LabeledFrame(frame_id="h")
    with pytest.raises(lakehouse.InvalidInputError, match="no InferencesFrame"):
        content.add_frame(wrong)


def test_a_frame_may_change_without_being_replaced(client: al.Client) -> None:
    send(client, guess("f", "i", "j"))
    change = al.InferencesFrame(frame_id="f", update_type="MODIFY")
    change.add_inference_2d_bbox(label_id="k", **BOX, **SURE)
    change.add_user_metadata("split", "test")

    send(client, change)

    assert rows(client)["label_id"].to_list() == ["i", "j", "k"]


# ----------------------------------- VECTORS ----------------------------------- #


def embedded(frame_id: str, label_id: str, vector: list[float]) -> al.InferencesFrame:
    frame = guess(frame_id, label_id)
    crops = [{"uuid": label_id, "embedding": vector[:2]}]
    frame.add_embedding(embedding=vector, crop_embeddings=crops, model_id="net")
    return frame


def vectors(client: al.Client) -> tuple[list[Any], list[Any]]:
    latest = native(client).latest()
    frames = latest.frame_embeddings().sort("frame_id").collect()
    crops = latest.label_embeddings().sort("frame_id", "label_id").collect()
    return frames["embedding"].to_list(), crops["embedding"].to_list()


def test_stored_vectors_stay_where_a_frame_says_so(client: al.Client) -> None:
    send(
        client, embedded("f", "i", [1.0, 2.0, 4.0]), embedded("g", "j", [3.0, 4.0, 5.0])
    )
    again = al.InferencesFrame(frame_id="f", reuse_latest_embedding=True)
    for label_id in ("i", "new"):
        again.add_inference_2d_bbox(label_id=label_id, **BOX, **SURE)

    upload = send(client, again, guess("g", "j"))

    assert upload.status == "DONE"
    assert vectors(client) == ([[1.0, 2.0, 4.0]], [[1.0, 2.0]])


def test_a_new_vector_counts_all_the_same(client: al.Client) -> None:
    send(client, embedded("f", "i", [1.0, 2.0, 4.0]))
    again = al.InferencesFrame(frame_id="f", reuse_latest_embedding=True)
    for label_id in ("i", "j"):
        again.add_inference_2d_bbox(label_id=label_id, **BOX, **SURE)
    again.add_crop_embedding(label_id="j", embedding=[7.0, 8.0])

    send(client, again)

    assert vectors(client) == ([[1.0, 2.0, 4.0]], [[1.0, 2.0], [7.0, 8.0]])


def test_a_mended_frame_keeps_vectors_too(client: al.Client) -> None:
    send(client, embedded("f", "i", [1.0, 2.0, 4.0]))
    again = al.InferencesFrame(frame_id="f", reuse_latest_embedding=True)
    flat: dict[str, Any] = BOX | {"width": 0}
    again.add_inference_2d_bbox(label_id="i", **flat, **SURE)

    failed = send(client, again)
    box = {"frame_id": "f", "label_id": "i", "class_name": "cat", "confidence": 0.3}
    mended = failed.retry(labels=[box | BOX])

    assert (failed.status, mended.status) == ("FAILED", "DONE")
    assert rows(client)["confidence"].to_list() == [0.3]
    assert vectors(client) == ([[1.0, 2.0, 4.0]], [[1.0, 2.0]])


def test_a_set_has_vectors_of_one_model(client: al.Client) -> None:
    send(client, embedded("f", "i", [1.0, 2.0, 4.0]))
    other = guess("g", "j")
    other.add_frame_embedding(embedding=[1.0, 2.0, 4.0], model_id="clip")

    with pytest.raises(lakehouse.InvalidInputError, match="net"):
        send(client, other)
