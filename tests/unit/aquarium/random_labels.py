"""Labels and inferences of every type, built from plain facts."""

from typing import Any, Final

from hypothesis import strategies as st

__all__ = ["KINDS", "LABELS", "Facts", "add_label", "change_label", "one_of_each"]

Facts = dict[str, Any]

KINDS: Final = (
    "2d_bbox", "2d_line_segment", "2d_keypoints", "2d_polygon_list", "3d_cuboid",
    "2d_semseg", "2d_instance_seg", "2d_classification", "3d_classification",
    "text_token",
)  # fmt: skip
"""What the names of the client's verbs end with."""
_MASKS: Final = {"2d_semseg", "2d_instance_seg"}
_SIZE: Final = st.integers(1, 90) | st.floats(0.5, 90)
LABELS: Final = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "class": st.sampled_from(["cat", "dog"]),
        "confidence": st.floats(0, 1),
        "numbers": st.lists(_SIZE, min_size=10, max_size=10),
        "attributes": st.fixed_dictionaries(
            {}, optional={"q": st.booleans(), "r": st.sampled_from(["a", "ü"])}
        ),
        "crowd": st.none() | st.booleans(),
        "links": st.just({}) | st.just({"track": "t1"}),
    }
)
"""The facts of a label."""


def one_of_each(name: str) -> list[Facts]:
    """The facts of a label of each type, with everything said, of that class."""
    return [
        {
            "kind": kind,
            "class": name,
            "confidence": 0.5,
            "numbers": [n + 1.5 for n in range(10)],
            "attributes": {"q": True, "r": "ü"},
            "crowd": False,
            "links": {"track": "t1"},
        }
        for kind in KINDS
    ]


def add_label(
    owner: Any, label_id: str, facts: Facts, prefix: str = "add_label_"
) -> None:
    """Add the label to a frame or a set of labels, by the verbs of that prefix."""
    kind = facts["kind"]
    sure = prefix == "add_inference_" and kind not in _MASKS
    more = {"confidence": facts["confidence"]} if sure else {}
    getattr(owner, prefix + kind)(label_id=label_id, **_fields(facts)[kind], **more)


def change_label(owner: Any, label_id: str, stored: Facts, facts: Facts) -> None:
    """Change some fields of a label that is there, and its class."""
    kind, numbers = stored["kind"], [float(number) for number in facts["numbers"]]
    changes: dict[str, Facts] = {
        "2d_bbox": {"top": numbers[0]},
        "2d_line_segment": {"x1": numbers[0]},
        "2d_keypoints": {"keypoints": [{"x": numbers[0], "y": 1, "name": "tail"}]},
        "2d_polygon_list": {"center": numbers[:2]},
        "3d_cuboid": {"position": numbers[:3]},
        "2d_semseg": {"mask_url": "new.png"},
        "2d_instance_seg": {
            "instance_mapping": [{"id": 7, "classification": facts["class"]}]
        },
        "2d_classification": {"secondary_labels": {"weather": "rain"}},
        "3d_classification": {},
        "text_token": {"token": "other", "visible": False},
    }
    classed = {} if kind in _MASKS else {"classification": facts["class"]}
    update = getattr(owner, f"update_label_{kind}")
    update(label_id=label_id, **changes[kind], **classed)


def _fields(facts: Facts) -> dict[str, Facts]:
    numbers: list[float] = facts["numbers"]
    classed = {"classification": facts["class"], "user_attrs": facts["attributes"]}
    box = dict(zip(("top", "left", "width", "height"), numbers, strict=False))
    line = dict(zip(("x1", "y1", "x2", "y2"), numbers, strict=False))
    more = {"iscrowd": facts["crowd"], "links": facts["links"]}
    floats = [float(number) for number in numbers]
    polygons = [{"vertices": [(1, 2.5), (numbers[0], 4), (5, numbers[1])]}]
    points = [{"x": numbers[0], "y": 2, "name": "ear"}, {"x": 1, "y": 2, "name": "ü"}]
    space = {"position": floats[:3], "dimensions": floats[3:6], "rotation": floats[6:]}
    instance = {"id": 7, "classification": facts["class"], "attributes": {"q": True}}
    return {
        "2d_bbox": classed | box | more,
        "2d_line_segment": classed | line | more,
        "2d_keypoints": classed | box | {"keypoints": points, "center": [1.5, 2]},
        "2d_polygon_list": classed | {"polygons": polygons},
        "3d_cuboid": classed | more | space,
        "2d_semseg": {"mask_url": "m.png", "resize_mode": "fill"},
        "2d_instance_seg": {"mask_url": "i.png", "instance_mapping": [instance]},
        "2d_classification": classed | {"secondary_labels": {"weather": "sun"}},
        "3d_classification": classed,
        "text_token": classed | {"index": 3, "token": "tok", "visible": True},
    }
