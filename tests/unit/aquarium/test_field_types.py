"""A metadata field keeps the type and the mode of its first value."""

from collections.abc import Callable
from typing import Any

import pytest

import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import BOX

Made = Callable[..., al.LabeledFrame]
AddField = Callable[[al.LabeledFrame, Any], al.LabeledFrame]

OTHERS: list[tuple[Any, Any]] = [
    ("a", 1),
    ("a", True),
    (1, "a"),
    (1, 1.5),
    (1, True),
    (True, 1),
    (1.5, "a"),
    ("a", ["a"]),
    (["a"], "a"),
    (["a"], [1]),
    ([1], [1.5]),
]


def on_frame(frame: al.LabeledFrame, value: Any) -> al.LabeledFrame:
    if isinstance(value, list):
        frame.add_user_metadata_list("field", value)
    else:
        frame.add_user_metadata("field", value)
    return frame


def on_label(frame: al.LabeledFrame, value: Any) -> al.LabeledFrame:
    frame.add_label_2d_bbox(
        label_id=f"{frame.frame_id}_l",
        classification="cat",
        user_attrs={"field": value},
        **BOX,
    )
    return frame


@pytest.mark.parametrize(("first", "other"), OTHERS, ids=str)
@pytest.mark.parametrize("add_field", [on_frame, on_label], ids=["frames", "labels"])
def test_another_type_is_an_error_and_what_is_beside_it_lands(
    bench: Any, frame: Made, add_field: AddField, first: Any, other: Any
) -> None:
    bench.send(add_field(frame("a"), first))

    mixed = bench.send(add_field(frame("b"), first), add_field(frame("bad"), other))
    later = bench.send(add_field(frame("c"), first))

    assert (mixed.status, later.status) == ("PARTIAL", "DONE")
    (error,) = mixed.errors().to_dicts()
    assert error["rule"] in {"metadata.type", "metadata.mode"}
    assert error["frame_id"] == "bad"
    assert "user__field" in error["path"]
    table = bench.frames() if add_field is on_frame else bench.labels()
    assert table["frame_id"].to_list() == ["a", "b", "c"]
    assert table["user__field"].to_list() == [first] * 3
