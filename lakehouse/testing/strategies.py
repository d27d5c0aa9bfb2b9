"""Hypothesis strategies for rows and uploads, invalid ones included.

Ids come from small pools, so that uploads meet. Each field with a rule breaks it in
one of 13 draws, so that uploads are often rejected in part.
"""

from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st

from lakehouse.testing.state import Op, Sent

Row = dict[str, Any]
Upload = tuple[list[Sent], list[Sent]]

_LONG: Final = "long " * 20
FRAME_IDS: Final = ("f0", "f1", "f2", "ÿ é\x85", f"{_LONG}a", f"{_LONG}b")
"""Ordinary ids, one of odd characters, and two that differ after 100 characters."""
LABEL_IDS: Final = ("a", "b", "Ç ")

_BAD_ONE_IN: Final = 13
"""How often a value is bad: rare enough that most uploads land some frames."""


def _mostly(
    good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Good values, and a bad one now and then."""
    last = _BAD_ONE_IN - 1
    # The bad one is the largest number: Hypothesis shrinks towards good values.
    return st.integers(0, last).flatmap(lambda n: bad if n == last else good)


_TEXTS: Final = st.one_of(
    st.sampled_from(["train", "val", ""]),
    # Surrogates ("Cs") cannot be encoded as UTF-8, which Parquet requires of text.
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
# All of them exact in binary, so that no rounding stands between model and dataset.
_FRACTIONS: Final = st.sampled_from([0.5, -2.25, 3.0])
_VALUES: Final = st.one_of(
    _TEXTS,
    st.integers(-5, 5),
    _FRACTIONS,
    st.booleans(),
    st.lists(_TEXTS, max_size=2),
    st.lists(st.integers(0, 3), max_size=2),
    st.lists(_FRACTIONS, max_size=2),
    # A list of two kinds, which no metadata field can have.
    st.just([1, "one"]),
)
_NUMBERS: Final = _mostly(
    st.integers(0, 50).map(float), st.sampled_from([float("inf"), 7])
)
_SIZES: Final = _mostly(st.sampled_from([1.0, 2.0, 3.5, 4]), st.sampled_from([0.0, -1]))
_PIXELS: Final = _mostly(st.sampled_from([64, 128]), st.just(0))


def _vectors(length: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.integers(-3, 3).map(float), min_size=length, max_size=length)


# Another length is wrong beside vectors of two numbers; one number is wrong always.
_EMBEDDINGS: Final = _mostly(_vectors(2), st.one_of(_vectors(3), _vectors(1)))
_DATES: Final = _mostly(
    st.sampled_from(
        [
            "2026-01-31T12:00:00Z",
            "2026-01-31 12:00:00+02:00",
            datetime(2026, 1, 31, 12, 0, 0, 250, tzinfo=UTC),
        ]
    ),
    st.just("yesterday"),
)
_IMAGES: Final = st.sampled_from(["a.png", "b.png"])
_SENSORS: Final = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "sensor_id": st.sampled_from(["DEFAULT", "left"]),
                "sensor_type": st.just("IMAGE_V0"),
                "image_url": _IMAGES,
            },
            optional={"width": st.just(64), "height": st.just(32)},
        ),
        st.just({"sensor_id": "note", "sensor_type": "TEXT", "text": "é"}),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda sensor: sensor["sensor_id"],
)


def _fields(
    required: dict[str, st.SearchStrategy[Any]],
    optional: dict[str, st.SearchStrategy[Any]],
    *,
    partial: bool,
) -> st.SearchStrategy[Row]:
    if partial:
        return st.fixed_dictionaries({}, optional=required | optional)
    return st.fixed_dictionaries(required, optional=optional)


# ----------------------------------- FRAMES --------------------------------- #

_PLACES: Final = _mostly(
    st.sampled_from([{}, {"latitude": 1.5, "longitude": -3.5}]),
    st.sampled_from([{"latitude": 91.0, "longitude": 0.0}, {"longitude": 1}]),
)


def frame_rows(*, partial: bool) -> st.SearchStrategy[Row]:
    """Fields of frames; any of them may be missing where they are `partial`."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "device_id": st.sampled_from(["cam0", "cam1"]),
        "date_captured": _DATES,
        "width": _PIXELS,
        "height": _PIXELS,
        "user__split": _TEXTS,
        "user__n": _mostly(st.integers(0, 9), st.sampled_from(["nine", 9.0])),
        "user__any": _VALUES,
        "embedding": _EMBEDDINGS,
    }
    by_image = _fields({"image_url": _IMAGES}, optional, partial=partial)
    # Without width and height ("th"): a frame of sensors has them from its image.
    optional = {name: optional[name] for name in optional if "th" not in name}
    by_sensors = _fields({"sensors": _SENSORS}, optional, partial=partial)
    contradictory = _fields(
        {"image_url": _IMAGES, "sensors": _SENSORS}, {}, partial=False
    )
    rows = _mostly(st.one_of(by_image, by_image, by_sensors), contradictory)
    return st.builds(lambda row, place: row | place, rows, _PLACES)


# ----------------------------------- LABELS --------------------------------- #

_BOX: Final = {"top": _NUMBERS, "left": _NUMBERS, "width": _SIZES, "height": _SIZES}
_POINTS: Final = st.lists(
    _NUMBERS.filter(lambda n: n != float("inf")), min_size=2, max_size=2
)
_GEOMETRIES: Final[tuple[dict[str, st.SearchStrategy[Any]], ...]] = (
    _BOX,
    _BOX,
    _BOX | {"label_type": st.just("BBOX_2D")},
    dict.fromkeys(("x1", "y1", "x2", "y2"), _NUMBERS),
    {"polygons": st.lists(st.lists(_POINTS, min_size=3, max_size=4), max_size=2)},
    {
        "keypoints": st.lists(
            st.fixed_dictionaries(
                {"x": _SIZES, "y": _SIZES, "name": st.sampled_from(["tip", "end"])}
            ),
            min_size=1,
            max_size=2,
        )
    },
    {"label_type": st.just("CLASSIFICATION_2D")},
    {"index": st.integers(0, 3), "token": _TEXTS, "visible": st.booleans()},
    {"label_type": st.just("SEMANTIC_LABEL_URL_2D"), "mask_url": _IMAGES},
    # The first lacks its geometry, the second is no type.
    {"label_type": st.sampled_from(["CUBOID_3D", "BOX"])},
)


def label_rows(*, partial: bool) -> st.SearchStrategy[Row]:
    """Fields of labels; any of them may be missing where they are `partial`."""
    common: dict[str, st.SearchStrategy[Any]] = {
        "class_name": _mostly(
            st.sampled_from(["cell", "cell", "debris"]),
            st.sampled_from(["cel", "new0", "__mask"]),
        )
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "iscrowd": st.booleans(),
        "area": _mostly(st.sampled_from([0.0, 12, 3.5]), st.just(-1.0)),
        "user__q": _mostly(_FRACTIONS, st.one_of(st.integers(0, 3), st.just("high"))),
        "user__any": _VALUES,
        "embedding": _EMBEDDINGS,
    }
    return st.sampled_from(_GEOMETRIES).flatmap(
        lambda geometry: _fields(geometry | common, optional, partial=partial)
    )


# ----------------------------------- UPLOADS -------------------------------- #

_CLEARED: Final = {
    "frame": ("device_id", "user__split", "user__any", "date_captured", "embedding"),
    "label": ("iscrowd", "user__any", "area", "embedding"),
}


@st.composite
def _one(draw: st.DrawFn, keys: Row, what: str, op: Op) -> Sent:
    rows = frame_rows if what == "frame" else label_rows
    fields = {} if op == "DELETE" else draw(rows(partial=op == "MODIFY"))
    clear = op == "MODIFY" and draw(st.booleans())
    if clear:
        fields |= dict.fromkeys(draw(st.sets(st.sampled_from(_CLEARED[what]))))
    exists = "replace"
    if what == "frame" and op == "ADD":
        exists = draw(st.sampled_from(["replace", "replace", "reject", "skip"]))
    return Sent(op, keys | fields, exists, clear)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@st.composite
def uploads(draw: st.DrawFn) -> Upload:
    """The frames and labels of one upload; each is named once."""
    frame_ids, label_ids = st.sampled_from(FRAME_IDS), st.sampled_from(LABEL_IDS)
    frame_ops: st.SearchStrategy[Op] = st.sampled_from(
        ["ADD", "ADD", "MODIFY", "DELETE"]
    )
    # ADD more often than not: a dataset without rows has nothing to modify or delete.
    label_ops: st.SearchStrategy[Op] = st.sampled_from(
        ["ADD", "ADD", "ADD", "MODIFY", "DELETE"]
    )
    frames = [
        draw(_one({"frame_id": frame_id}, "frame", draw(frame_ops)))
        for frame_id in draw(st.lists(frame_ids, unique=True, max_size=3))
    ]
    ids = st.tuples(frame_ids, _mostly(label_ids, st.sampled_from(["", "a/b"])))
    labels = [
        draw(
            _one({"frame_id": frame_id, "label_id": label_id}, "label", draw(label_ops))
        )
        for frame_id, label_id in draw(st.lists(ids, unique=True, max_size=4))
    ]
    return frames, labels


@st.composite
def unreadable(draw: st.DrawFn) -> Upload:
    """An upload that is refused as a whole: none of it may be written."""
    frames, labels = draw(uploads())
    good = {"frame_id": "f0", "image_url": "a.png"}
    box = {"frame_id": "f0", "label_id": "a", "class_name": "cell"}
    # Each fault below names f0 itself, and must be the only one that does.
    frames = [sent for sent in frames if sent.frame_id != "f0"]
    bad: list[Sent] = draw(
        st.sampled_from(
            [
                [Sent("ADD", good), Sent("DELETE", {"frame_id": "f0"})],
                [Sent("ADD", good), Sent("MODIFY", {"frame_id": "f0"})],
                [Sent("ADD", good | {"imageurl": "a.png"})],
                [Sent("ADD", good | {"frame_id": "f/0"})],
                [Sent("ADD", good | {"frame_id": ""})],
                [Sent("ADD", {"frame_id": None})],
                [Sent("ADD", box), Sent("ADD", box)],
                [Sent("ADD", box), Sent("DELETE", box)],
                [Sent("MODIFY", box | {"top_left": 1})],
            ]
        )
    )
    if "label_id" in bad[0].row:
        return frames, [*(one for one in labels if one.key != bad[0].key), *bad]
    return [*frames, *bad], labels
