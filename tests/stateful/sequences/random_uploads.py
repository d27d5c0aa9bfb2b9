"""Draws uploads: every operation in every pattern of keys, sizes log-uniformly."""

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final, Literal

from tests.stateful.sequences.latest_rows import CLASSES, Key, LatestRows, Row, Sending

__all__ = ["LARGEST", "PAIRS", "Operation", "Pattern", "draw_size", "draw_upload"]

Operation = Literal[
    "add",
    "replace",
    "modify_frames",
    "modify_labels",
    "upsert_labels",
    "delete_frames",
    "delete_labels",
]
Pattern = Literal["random", "range", "new", "few", "all", "no_op"]

OPERATIONS: Final[tuple[Operation, ...]] = (
    "add",
    "replace",
    "modify_frames",
    "modify_labels",
    "upsert_labels",
    "delete_frames",
    "delete_labels",
)
PATTERNS: Final[tuple[Pattern, ...]] = ("random", "range", "new", "few", "all", "no_op")
PAIRS: Final = tuple(product(OPERATIONS, PATTERNS))

LARGEST: Final = 20_000
"""Rows of one upload, frames and labels each."""
_SPACE: Final = 10**7
_EPOCH: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


def draw_size(draw: random.Random, largest: int) -> int:
    """Log-uniform from 1; 0 in one of twelve."""
    if not draw.randrange(12):
        return 0
    return round(math.pow(largest + 0.49, draw.random()))


def draw_upload(
    draw: random.Random,
    model: LatestRows,
    pair: tuple[Operation, Pattern],
    largest: int,
) -> Sending:
    """An upload of that operation whose keys follow that pattern."""
    operation, pattern = pair
    # One draw an upload: rows of one upload share their fields, as tables do.
    fields = _Fields(draw)
    if operation in {"modify_labels", "upsert_labels", "delete_labels"}:
        return _of_labels(draw, model, pair, largest, fields)
    ids = [key[0] for key in _keys(draw, model, "frames", pattern, largest)]
    if operation == "delete_frames":
        # Deleting what is not there is what changes nothing.
        ids = _new_ids(draw, len(ids)) if pattern == "no_op" else ids
        return Sending("delete", [{"frame_id": frame_id} for frame_id in ids])
    if operation == "modify_frames":
        if pattern == "no_op":
            return Sending("modify", _as_they_are(model, "frames", ids))
        rows = [fields.frame(frame_id, whole=False) for frame_id in ids]
        return Sending("modify", rows, clear=fields.clear)
    if pattern == "no_op":
        labels = _labels_of(model, ids)
        if len(labels) <= LARGEST:
            frames = _as_they_are(model, "frames", ids)
            return Sending("add", frames, _as_they_are(model, "labels", labels))
    if operation == "add" and pattern in {"random", "range"}:
        # New frames in the keys' order, or all over it, beside some that are there.
        ids = ids[: len(ids) // 2] + _new_ids(draw, len(ids), pattern)
    frames = [fields.frame(frame_id, whole=True) for frame_id in ids]
    return Sending("add", frames, fields.labels_on(ids, largest))


def _of_labels(
    draw: random.Random,
    model: LatestRows,
    pair: tuple[Operation, Pattern],
    largest: int,
    fields: "_Fields",
) -> Sending:
    operation, pattern = pair
    keys = _keys(draw, model, "labels", pattern, largest)
    if operation == "upsert_labels":
        if pattern == "no_op":
            labels = _as_they_are(model, "labels", keys)
            return Sending("upsert_labels", labels=labels)
        return Sending("upsert_labels", labels=[fields.label(key) for key in keys])
    if operation == "delete_labels":
        if pattern == "no_op":
            keys = [(frame_id, "never") for frame_id in {key[0] for key in keys}]
        rows = [{"frame_id": frame_id, "label_id": label} for frame_id, label in keys]
        return Sending("delete", labels=rows)
    if pattern == "no_op":
        return Sending("modify", labels=_as_they_are(model, "labels", keys))
    rows = [fields.label(key, whole=False) for key in keys]
    return Sending("modify", labels=rows, clear=fields.clear)


# ------------------------------------ KEYS ---------------------------------- #


def _keys(
    draw: random.Random, model: LatestRows, table: str, pattern: Pattern, largest: int
) -> list[Key]:
    """Keys of frames or labels, none twice."""
    size = draw_size(draw, largest)
    if pattern == "few":
        size = draw.randint(1, 3)
    if pattern == "new":
        return _new_keys(draw, model, table, size)
    there = sorted(model.tables[table])
    if pattern == "all":
        return there[:LARGEST]
    size = min(size, len(there))
    if pattern == "range":
        start = draw.randint(0, len(there) - size)
        return there[start : start + size]
    return draw.sample(there, size)


def _new_keys(
    draw: random.Random, model: LatestRows, table: str, size: int
) -> list[Key]:
    ids = _new_ids(draw, size)
    if table == "frames":
        return [(frame_id,) for frame_id in ids]
    # New labels on frames that are there, and some on frames that are not.
    frames = [key[0] for key in model.tables["frames"]]
    frames = draw.sample(frames, min(len(frames), size)) or ids
    strangers = draw.choice([0, 0, 1, 2])
    frames = [*ids[:strangers], *frames]
    return [(frames[n % len(frames)], f"n{ids[n]}") for n in range(size)]


def _new_ids(draw: random.Random, count: int, pattern: Pattern = "random") -> list[str]:
    """Ids that lie together, or all over; the space is wide enough to rarely meet."""
    if pattern == "range":
        start = draw.randrange(_SPACE)
        return [f"g{start + place:08}" for place in range(count)]
    return [f"f{number:08}" for number in draw.sample(range(_SPACE), count)]


def _labels_of(model: LatestRows, ids: list[str]) -> list[Key]:
    wanted = set(ids)
    return [key for key in model.tables["labels"] if key[0] in wanted]


def _as_they_are(
    model: LatestRows, table: str, keys: list[str] | list[Key]
) -> list[Row]:
    """Rows as a snapshot returns them, with their vectors."""
    rows, vectors = (
        model.tables[table],
        model.tables[f"{table.removesuffix('s')}_embeddings"],
    )
    complete: list[Row] = []
    for key in keys:
        place = (key,) if isinstance(key, str) else key
        vector = vectors.get(place)
        complete.append(
            rows[place] | ({"embedding": vector["embedding"]} if vector else {})
        )
    return complete


# ----------------------------------- VALUES --------------------------------- #


class _Fields:
    """Which fields the rows of an upload have, and values for them."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._vectors = not draw.randrange(3)
        self._extra = draw.randrange(6)
        self._sparse = draw.choice([0.0, 0.0, 0.3])
        self.clear = not draw.randrange(4)

    def frame(self, frame_id: str, *, whole: bool) -> Row:
        draw = self._draw
        row: Row = {"frame_id": frame_id}
        if whole:
            row |= {"image_url": f"s3://media/{frame_id}.png", "width": 640}
        row |= {
            "device_id": f"cam{draw.randrange(4)}",
            "user__split": draw.choice(["train", "val", ""]),
        }
        row |= self._metadata()
        if self._extra == 1:
            row["date_captured"] = _EPOCH + timedelta(
                microseconds=draw.randrange(10**9)
            )
            row |= {"latitude": draw.random(), "longitude": draw.random()}
        return self._thinned(row, {"device_id", "user__split", "user__tags"})

    def label(self, key: Key, *, whole: bool = True) -> Row:
        draw = self._draw
        row: Row = dict(zip(("frame_id", "label_id"), key, strict=True))
        row |= {"class_name": draw.choice(CLASSES), "width": draw.random() + 1}
        if whole:
            row |= {"top": draw.random(), "left": 2.0, "height": 4.5}
        if self._extra in {2, 3}:
            row["iscrowd"] = draw.random() < 0.5
        row |= self._metadata()
        return self._thinned(row, {"iscrowd", "user__tags"})

    def labels_on(self, ids: list[str], largest: int) -> list[Row]:
        """0 to 3 labels a frame, or all on one frame."""
        draw = self._draw
        if not ids:
            return []
        if not draw.randrange(6):
            size = draw_size(draw, largest)
            crowded = draw.choice(ids)
            return [self.label((crowded, f"l{place}")) for place in range(size)]
        most = draw.randint(0, 3)
        keys = [(one, f"l{n}") for one in ids for n in range(draw.randint(0, most))]
        return [self.label(key) for key in keys[:LARGEST]]

    def _metadata(self) -> Row:
        draw, row = self._draw, Row()
        if self._extra in {3, 4}:
            row["user__score"] = draw.choice([0.5, -2.25, draw.random()])
        if self._extra in {4, 5}:
            row[f"user__n{self._extra}"] = draw.randrange(-5, 10**12)
        if self._extra == 5:
            row["user__tags"] = draw.choice([["a"], ["a", "é"]])
        if self._vectors:
            row["embedding"] = [draw.randrange(-8, 8) / 4 for _ in range(4)]
        return row

    def _thinned(self, row: Row, optional: set[str]) -> Row:
        """Some of the fields that may be null, are."""
        for name in optional & row.keys():
            if self._draw.random() < self._sparse:
                row[name] = None
        return row
