"""The semantics of a dataset in plain dicts: slow, obvious, and complete.

An upload is a list of frame rows and a list of label rows, each with what is to
be done with it. `submit` says which frames are rejected, applies the others,
and keeps every version. Rows hold only the fields that are set.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["ModelDataset", "Sent", "State"]

Row = dict[str, Any]
Key = tuple[str, str]

_BOX: Final = ("top", "left", "width", "height")


@dataclass(frozen=True, slots=True)
class Sent:
    """One row and what is to be done with it."""

    op: str
    """ADD, MODIFY or DELETE."""
    row: Row
    """`frame_id`, maybe `label_id`, and fields; None is not given."""
    if_exists: str = "replace"
    clear: bool = False
    """Whether a MODIFY sets fields given as None to null."""


@dataclass(slots=True)
class State:
    """The rows of one version."""

    frames: dict[str, Row] = field(default_factory=dict[str, Row])
    labels: dict[Key, Row] = field(default_factory=dict[Key, Row])
    frame_vectors: dict[str, list[float]] = field(
        default_factory=dict[str, list[float]]
    )
    label_vectors: dict[Key, list[float]] = field(
        default_factory=dict[Key, list[float]]
    )


class ModelDataset:
    """A dataset with every version it ever had.

    >>> model = ModelDataset(["cell"])
    >>> model.submit([Sent("ADD", {"frame_id": "f1", "image_url": "a.png"})], [])
    frozenset()
    >>> sorted(model.versions[1].frames)
    ['f1']
    """

    def __init__(self, classes: Iterable[str]) -> None:
        self.classes = {name: place for place, name in enumerate(classes)}
        self.versions = [State()]
        self.types: dict[str, dict[str, str]] = {"frames": {}, "labels": {}}
        self.lengths: dict[str, int] = {}

    @property
    def latest(self) -> State:
        """The newest version."""
        return self.versions[-1]

    def submit(
        self, frames: list[Sent], labels: list[Sent], *, on_error: str = "reject"
    ) -> frozenset[str]:
        """Apply one upload as a new version; the frames that were rejected."""
        touched = {sent.row["frame_id"] for sent in (*frames, *labels)}
        at_fault = self._intake_faults(frames, labels)
        types = {
            name: self._types(name, rows, at_fault)
            for name, rows in (("frames", frames), ("labels", labels))
        }
        lengths = {
            name: self._length(name, rows, at_fault)
            for name, rows in (("frames", frames), ("labels", labels))
        }
        rejected = set(at_fault)
        for name, rows in (("frames", frames), ("labels", labels)):
            rejected |= {
                sent.row["frame_id"]
                for sent in rows
                if _misfits(sent.row, types[name], lengths[name])
            }
        rejected |= self._rule_faults(frames, labels)
        if rejected and on_error == "abort":
            rejected = touched
        self._apply(frames, labels, rejected, types, lengths)
        return frozenset(rejected)

    # --------------------------------- FAULTS ------------------------------- #

    def _intake_faults(self, frames: list[Sent], labels: list[Sent]) -> set[str]:
        """Frames with a row that no dataset could take."""
        bad = {sent.row["frame_id"] for sent in frames if _is_bad_frame(sent)}
        return bad | {sent.row["frame_id"] for sent in labels if _is_bad_label(sent)}

    def _rule_faults(self, frames: list[Sent], labels: list[Sent]) -> set[str]:
        """Frames at fault given what is there."""
        there = self.latest
        ops = {sent.row["frame_id"]: sent for sent in frames}
        bad: set[str] = set()
        for frame_id, sent in ops.items():
            exists = frame_id in there.frames
            if sent.op == "MODIFY" and not exists:
                bad.add(frame_id)
            if sent.op == "ADD" and exists and sent.if_exists == "reject":
                bad.add(frame_id)
        for sent in labels:
            frame_id, key = sent.row["frame_id"], _key(sent.row)
            op = ops[frame_id].op if frame_id in ops else None
            if op is None and frame_id not in there.frames:
                bad.add(frame_id)
            if op == "DELETE" or (op == "ADD" and sent.op != "ADD"):
                bad.add(frame_id)
            name = sent.row.get("class_name")
            if name is not None and name not in self.classes:
                bad.add(frame_id)
            if sent.op == "MODIFY" and key in there.labels and op in {None, "MODIFY"}:
                kind = sent.row.get("label_type")
                if kind is not None and kind != there.labels[key]["label_type"]:
                    bad.add(frame_id)
        return bad

    def _types(
        self, table: str, rows: list[Sent], at_fault: set[str]
    ) -> dict[str, str]:
        """The metadata types after the first values of new fields."""
        types = dict(self.types[table])
        for sent in rows:
            if sent.row["frame_id"] in at_fault or sent.op == "DELETE":
                continue
            for name, value in sent.row.items():
                if name.startswith("user__") and value is not None:
                    types.setdefault(name, _kind(value))
        return types

    def _length(self, table: str, rows: list[Sent], at_fault: set[str]) -> int | None:
        known = self.lengths.get(table)
        for sent in rows:
            vector = sent.row.get("embedding")
            if (
                known is None
                and vector is not None
                and sent.row["frame_id"] not in at_fault
            ):
                known = len(vector)
        return known

    # -------------------------------- APPLYING ------------------------------ #

    def _apply(
        self,
        frames: list[Sent],
        labels: list[Sent],
        rejected: set[str],
        types: dict[str, dict[str, str]],
        lengths: dict[str, int | None],
    ) -> None:
        before = self.latest
        state = copy.deepcopy(before)
        left_out = rejected | {
            sent.row["frame_id"]
            for sent in frames
            if sent.op == "ADD"
            and sent.if_exists == "skip"
            and sent.row["frame_id"] in before.frames
        }
        for sent in frames:
            if sent.row["frame_id"] not in left_out:
                self._frame(state, sent, types["frames"])
        anew = {sent.row["frame_id"] for sent in frames if sent.op == "ADD"}
        for sent in labels:
            if sent.row["frame_id"] not in left_out:
                self._label(state, sent, types["labels"], anew)
        self.versions.append(state)
        self._remember(state, before, types, lengths)

    def _remember(
        self,
        state: State,
        before: State,
        types: dict[str, dict[str, str]],
        lengths: dict[str, int | None],
    ) -> None:
        """Types and lengths count once a value landed."""
        for table in ("frames", "labels"):
            rows: Mapping[Any, Row] = getattr(state, table)
            landed = {name for row in rows.values() for name in row}
            for name, kind in types[table].items():
                if name in landed:
                    self.types[table].setdefault(name, kind)
        for table, vectors in (
            ("frames", state.frame_vectors),
            ("labels", state.label_vectors),
        ):
            length = lengths[table]
            if vectors and length is not None:
                self.lengths.setdefault(table, length)
        del before

    def _frame(self, state: State, sent: Sent, types: dict[str, str]) -> None:
        frame_id = sent.row["frame_id"]
        if sent.op in {"ADD", "DELETE"}:
            state.frames.pop(frame_id, None)
            state.frame_vectors.pop(frame_id, None)
            for key in [key for key in state.labels if key[0] == frame_id]:
                del state.labels[key]
                state.label_vectors.pop(key, None)
        if sent.op == "DELETE":
            return
        row = _typed(sent.row, types)
        old = state.frames.get(frame_id, {})
        state.frames[frame_id] = _over(old, row, sent)
        vector = sent.row.get("embedding")
        if vector is not None:
            state.frame_vectors[frame_id] = list(vector)
        elif sent.op == "MODIFY" and sent.clear and "embedding" in sent.row:
            state.frame_vectors.pop(frame_id, None)

    def _label(
        self, state: State, sent: Sent, types: dict[str, str], anew: set[str]
    ) -> None:
        key = _key(sent.row)
        if sent.op == "DELETE":
            state.labels.pop(key, None)
            state.label_vectors.pop(key, None)
            return
        if sent.op == "MODIFY" and key not in state.labels:
            return
        row = _typed(sent.row, types)
        if sent.op == "ADD":
            row.setdefault("label_type", "BBOX_2D")
            state.labels[key] = row
        else:
            state.labels[key] = _over(state.labels[key], row, sent)
        vector = sent.row.get("embedding")
        if vector is not None:
            state.label_vectors[key] = list(vector)
        del anew


def _key(row: Row) -> Key:
    return row["frame_id"], row["label_id"]


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"list[{_kind(value[0])}]" if value else "list[]"
    return type(value).__name__


def _misfits(row: Row, types: Mapping[str, str], length: int | None) -> bool:
    """Whether metadata or the vector are not of the fixed type."""
    for name, value in row.items():
        if name.startswith("user__") and value is not None and name in types:
            kind = _kind(value)
            if kind != types[name] and (kind, types[name]) != ("int", "float"):
                return True
    vector = row.get("embedding")
    return vector is not None and length is not None and len(vector) != length


def _is_bad_frame(sent: Sent) -> bool:
    if sent.op == "DELETE":
        return False
    row = sent.row
    latitude, longitude = row.get("latitude"), row.get("longitude")
    if (latitude is None) != (longitude is None):
        return True
    out = (latitude is not None and abs(latitude) > 90) or (  # noqa: PLR2004 - degrees
        longitude is not None and abs(longitude) > 180  # noqa: PLR2004 - degrees
    )
    return out or any(_not_finite(value) for value in row.values())


def _is_bad_label(sent: Sent) -> bool:
    if sent.op == "DELETE":
        return False
    row = sent.row
    if any(_not_finite(value) for value in row.values()):
        return True
    if any(
        row.get(side) is not None and row[side] <= 0 for side in ("width", "height")
    ):
        return True
    if sent.op != "ADD":
        return False
    return row.get("class_name") is None or any(row.get(side) is None for side in _BOX)


def _not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _typed(row: Row, types: Mapping[str, str]) -> Row:
    """The fields that are set, whole numbers of float fields as floats."""
    return {
        name: float(value) if types.get(name) == "float" else value
        for name, value in row.items()
        if value is not None and name != "embedding"
    }


def _over(old: Row, new: Row, sent: Sent) -> Row:
    if sent.op == "ADD":
        return new
    cleared = (
        {name for name, value in sent.row.items() if value is None}
        if sent.clear
        else set[str]()
    )
    return {name: value for name, value in (old | new).items() if name not in cleared}
