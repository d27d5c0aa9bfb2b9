"""Hypothesis strategies for rows and uploads, faults included.

Ids come from small pools, so that uploads meet; about one row in ten is wrong
in some way, so that partial success is always in play.
"""

from typing import Any

from hypothesis import strategies as st

from lakehouse.testing.model import Sent

__all__ = ["frame_rows", "label_rows", "uploads"]

Row = dict[str, Any]

FRAME_IDS = st.sampled_from(["f0", "f1", "f2", "f3", "f4 é"])
LABEL_IDS = st.sampled_from(["a", "b", "c"])
_NUMBERS = st.integers(0, 50).map(float)
_VALUES = st.one_of(
    st.sampled_from(["train", "val", ""]),
    st.integers(-5, 5),
    st.sampled_from([0.5, -2.25]),
)
_VECTORS = st.one_of(
    st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=2),
    st.lists(st.integers(-3, 3).map(float), min_size=3, max_size=3),
)


def frame_rows(*, partial: bool) -> st.SearchStrategy[Row]:
    """Fields of frames; `partial` ones may lack any of them."""
    optional = {
        "device_id": st.sampled_from(["cam0", "cam1"]),
        "user__split": st.sampled_from(["train", "val"]),
        "user__n": st.one_of(st.integers(0, 9), st.just("nine")),
        "user__any": _VALUES,
        "latitude": st.sampled_from([1.5, 2.5, 91.0]),
        "longitude": st.just(3.5),
        "embedding": _VECTORS,
    }
    required = {"image_url": st.sampled_from(["a.png", "b.png"])}
    if partial:
        return st.fixed_dictionaries({}, optional=required | optional)
    return st.fixed_dictionaries(required, optional=optional)


def label_rows(*, partial: bool) -> st.SearchStrategy[Row]:
    """Fields of boxes; `partial` ones may lack any of them."""
    sides = {"top": _NUMBERS, "left": _NUMBERS}
    sides |= {
        name: st.sampled_from([1.0, 2.0, 3.5, 5.0, 0.0]) for name in ("width", "height")
    }
    required = sides | {
        "class_name": st.sampled_from(["cell", "cell", "debris", "cel"])
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "iscrowd": st.booleans(),
        "user__q": st.one_of(st.integers(0, 3), st.sampled_from([0.5])),
        "embedding": _VECTORS,
    }
    if partial:
        return st.fixed_dictionaries({}, optional=required | optional)
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def uploads(draw: st.DrawFn) -> tuple[list[Sent], list[Sent]]:
    """The frames and labels of one upload; no frame or label is named twice."""
    frames: list[Sent] = []
    for frame_id in draw(st.lists(FRAME_IDS, unique=True, max_size=3)):
        op = draw(st.sampled_from(["ADD", "ADD", "MODIFY", "DELETE"]))
        fields = {} if op == "DELETE" else draw(frame_rows(partial=op == "MODIFY"))
        exists = draw(st.sampled_from(["replace", "replace", "reject", "skip"]))
        clear = op == "MODIFY" and draw(st.booleans())
        if clear:
            fields |= dict.fromkeys(
                draw(st.sets(st.sampled_from(["device_id", "user__split"])))
            )
        row = {"frame_id": frame_id} | fields
        frames.append(Sent(op, row, exists if op == "ADD" else "replace", clear))
    labels: list[Sent] = []
    for key in draw(st.lists(st.tuples(FRAME_IDS, LABEL_IDS), unique=True, max_size=4)):
        op = draw(st.sampled_from(["ADD", "ADD", "ADD", "MODIFY", "DELETE"]))
        fields = {} if op == "DELETE" else draw(label_rows(partial=op == "MODIFY"))
        labels.append(Sent(op, {"frame_id": key[0], "label_id": key[1]} | fields))
    return frames, labels
