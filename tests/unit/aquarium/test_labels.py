"""Every type of label lands, is read back, and changes field by field."""

from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from lakehouse.model.labels import LABEL_TYPES

BOX: dict[str, Any] = {"top": 1, "left": 2, "width": 3.5, "height": 4}
SHAPE: dict[str, Any] = {"vertices": [(0, 0), (4, 0), (4, 4)]}
POINT: dict[str, Any] = {"x": 1, "y": 2.5, "name": "nose"}
SOLID: dict[str, Any] = {
    "position": [0.0, 1.0, 2.0],
    "dimensions": [1.0, 1.0, 1.0],
    "rotation": [0.0, 0.0, 0.0, 1.0],
}

# suffix of the verb, what it takes, what is read back, a change, what is read then
CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        "2d_bbox",
        {**BOX, "area": 7.0, "iscrowd": True, "links": {"track": "t1"}},
        {**BOX, "area": 7.0, "iscrowd": True, "links": '{"track": "t1"}'},
        {"top": 99},
    ),
    (
        "2d_line_segment",
        {"x1": 0, "y1": 1, "x2": 2, "y2": 3},
        {"x1": 0, "y1": 1, "x2": 2, "y2": 3},
        {"x2": 9},
    ),
    (
        "2d_keypoints",
        {"keypoints": [POINT], "center": [1, 2], **BOX},
        {"keypoints": [POINT], "center": [1, 2], **BOX},
        {"left": 9},
    ),
    (
        "2d_polygon_list",
        {"polygons": [SHAPE]},
        {"polygons": [[[0, 0], [4, 0], [4, 4]]]},
        {"center": [2, 2]},
    ),
    ("3d_cuboid", SOLID, {**SOLID, "coordinate_frame": "world"}, {"iscrowd": True}),
    (
        "2d_classification",
        {"secondary_labels": {"weather": "rain"}},
        {"secondary_labels": '{"weather": "rain"}'},
        {"sensor_id": "right"},
    ),
    ("3d_classification", {}, {"coordinate_frame": "world"}, {}),
    (
        "text_token",
        {"index": 3, "token": "word", "visible": False},
        {"index": 3, "token": "word", "visible": False},
        {"token": "other"},
    ),
]
KINDS = [case[0] for case in CASES]


@pytest.mark.parametrize(("kind", "sent", "read", "_"), CASES, ids=KINDS)
@pytest.mark.parametrize("prefix", ["add_label_", "add_"])
def test_a_label_is_read_back_as_sent(
    *,
    bench: Any,
    frame: Callable[..., al.LabeledFrame],
    kind: str,
    sent: dict[str, Any],
    read: dict[str, Any],
    _: dict[str, Any],
    prefix: str,
) -> None:
    new = frame()
    attributes = {"occluded": True, "user__quality": "good"}
    getattr(new, prefix + kind)(
        label_id="l", classification="cat", user_attrs=attributes, **sent
    )

    upload = bench.send(new)

    assert upload.status == "DONE"
    row = bench.label("l")
    assert {name: row[name] for name in read} == read
    assert (row["user__occluded"], row["user__quality"]) == (True, "good")
    assert (row["class_name"], row["class_id"]) == ("cat", 0)


@pytest.mark.parametrize(("kind", "sent", "read", "change"), CASES, ids=KINDS)
def test_an_update_changes_the_fields_given_and_no_other(
    *,
    bench: Any,
    frame: Callable[..., al.LabeledFrame],
    kind: str,
    sent: dict[str, Any],
    read: dict[str, Any],
    change: dict[str, Any],
) -> None:
    new = frame()
    getattr(new, f"add_label_{kind}")(label_id="l", classification="cat", **sent)
    bench.send(new)
    label_set = al.UpdateGTLabelSet(frame_id="f")
    getattr(label_set, f"update_label_{kind}")(
        label_id="l", classification="dog", **change
    )

    bench.client.update_dataset_labels("p", "d", [label_set])

    row = bench.label("l")
    renamed = {
        "coordinate_frame" if name == "sensor_id" else name: value
        for name, value in change.items()
    }
    wanted = read | renamed | {"class_name": "dog", "class_id": 1}
    assert {name: row[name] for name in wanted} == wanted


def test_masks_are_rows_and_each_instance_is_one(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame()
    new.add_label_2d_semseg(label_id="sem", mask_url="s.png")
    new.add_label_2d_instance_seg(
        label_id="ins",
        mask_url="i.png",
        instance_mapping=[
            {"id": 7, "classification": "cat", "attributes": {"alive": True}}
        ],
        resize_mode="fill",
    )

    bench.send(new)

    labels = bench.labels().select(
        "label_id", "label_type", "class_name", "mask_url", "instance_id"
    )
    assert labels.rows() == [
        ("ins", "INSTANCE_LABEL_URL_2D", "__mask", "i.png", None),
        ("ins_7", "INSTANCE_LABEL_2D", "cat", None, 7),
        ("sem", "SEMANTIC_LABEL_URL_2D", "__mask", "s.png", None),
    ]
    assert bench.label("ins_7")["user__alive"] is True


def test_masks_change_by_instance(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame()
    new.add_label_2d_instance_seg(
        label_id="m",
        mask_url="i.png",
        instance_mapping=[{"id": n, "classification": "cat"} for n in (1, 2)],
    )
    bench.send(new)
    label_set = al.UpdateGTLabelSet(frame_id="f")
    label_set.update_label_2d_instance_seg(
        label_id="m", instance_mapping=[{"id": 2, "classification": "dog"}]
    )

    bench.client.update_dataset_labels("p", "d", [label_set])

    assert bench.label("m")["mask_url"] == "i.png"
    assert [bench.label(f"m_{n}")["class_name"] for n in (1, 2)] == ["cat", "dog"]


def test_every_type_of_label_has_methods() -> None:
    kinds = [*KINDS, "2d_semseg", "2d_instance_seg"]
    verbs = ["add_", "add_label_", "update_label_"]

    missing = [
        verb + kind
        for kind in kinds
        for verb in verbs
        if not callable(getattr(al.UpdateGTLabelSet, verb + kind, None))
    ]

    assert missing == []
    # an instance is a type of its own, sent with its mask
    assert len(kinds) + 1 == len(LABEL_TYPES)


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("2d_bbox", {**BOX, "top": "1"}),
        ("2d_bbox", {**BOX, "left": float("nan")}),
        ("2d_bbox", {**BOX, "width": True}),
        ("2d_bbox", {**BOX, "area": -1.0}),
        ("2d_bbox", {**BOX, "area": 1}),
        ("2d_bbox", {**BOX, "confidence": 0.5}),
        ("2d_bbox", {**BOX, "user_attrs": {"no spaces": 1}}),
        ("3d_cuboid", {**SOLID, "position": [0, 0, 0]}),
        ("3d_cuboid", {**SOLID, "rotation": [0.0, 0.0, 0.0]}),
        ("3d_cuboid", {**SOLID, "coord_frame_id": "nowhere"}),
        ("2d_semseg", {"mask_data": [[1]]}),
    ],
)
def test_an_invalid_argument_is_refused_at_the_call(
    frame: Callable[..., al.LabeledFrame], kind: str, sent: dict[str, Any]
) -> None:
    named = {} if kind == "2d_semseg" else {"classification": "cat"}

    with pytest.raises(lakehouse.InvalidInputError):
        getattr(frame(), f"add_label_{kind}")(label_id="l", **named, **sent)


@pytest.mark.parametrize("label_id", ["", "a/b", "a#", "€", 7, None])
def test_a_label_id_is_text_without_certain_characters(
    frame: Callable[..., al.LabeledFrame], label_id: Any
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="label_id"):
        frame().add_label_2d_bbox(label_id=label_id, classification="cat", **BOX)


def test_a_label_id_is_given_once_in_a_frame_and_in_a_dataset(
    frame: Callable[..., al.LabeledFrame],
) -> None:
    first, second = frame("a"), frame("b")
    first.add_label_2d_bbox(label_id="l", classification="cat", **BOX)
    second.add_label_2d_bbox(label_id="l", classification="cat", **BOX)
    content = al.LabeledDataset()
    content.add_frame(first)

    with pytest.raises(lakehouse.InvalidInputError, match="given twice"):
        first.add_label_2d_bbox(label_id="l", classification="cat", **BOX)
    with pytest.raises(lakehouse.InvalidInputError, match="'a' already"):
        content.add_frame(second)
    content.add_frame(frame("b"))


def test_a_box_without_area_rejects_one_frame_alone(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    bad = frame("bad")
    flat: dict[str, Any] = {**BOX, "width": 0}
    bad.add_label_2d_bbox(label_id="l", classification="cat", **flat)

    upload = bench.send(frame("good"), bad)

    assert upload.errors()["rule"].to_list() == ["box.degenerate"]
    assert bench.frames()["frame_id"].to_list() == ["good"]


def test_a_change_of_an_unknown_label_is_left_out_with_a_warning(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    bench.send(frame())
    label_set = al.UpdateGTLabelSet(frame_id="f")
    label_set.update_label_2d_bbox(label_id="none", top=1)

    upload = bench.client.update_dataset_labels("p", "d", [label_set])

    assert upload.errors().select("rule", "severity").rows() == [
        ("label.unknown", "warning")
    ]
    assert bench.labels().height == 0


def test_the_type_of_a_label_does_not_change(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame()
    new.add_label_2d_bbox(label_id="l", classification="cat", **BOX)
    bench.send(new)
    label_set = al.UpdateGTLabelSet(frame_id="f")
    label_set.update_label_2d_line_segment(label_id="l", x1=1)

    upload = bench.client.update_dataset_labels("p", "d", [label_set])

    assert upload.errors()["rule"].to_list() == ["label_type.changed"]
