"""The semantics of a dataset in plain dicts: slow, obvious, and complete.

An upload is a list of frame rows and a list of label rows, each with an operation.
`submit` determines which frames are rejected, applies the others, and keeps every
version. Changes are found by comparing two states, so counts and histories need
no rules of their own. Rows hold only the fields that are set.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from lakehouse.model.labels import MASK_CLASS
from lakehouse.testing.rows import (
    Row,
    changes_image,
    frame_of,
    is_bad_frame,
    is_bad_label,
    kind_of,
    label_of,
    with_image,
    with_sensor_image,
)
from lakehouse.testing.state import Key, Result, Sent, State, result_of
from lakehouse.testing.undo import reverted, undo_result

Types = Mapping[str, Mapping[str, str]]
Lengths = Mapping[str, int | None]


class ModelDataset:
    """A dataset with every version it ever had.

    >>> from lakehouse.testing import Sent
    >>> model = ModelDataset(["cell"])
    >>> model.submit([Sent("ADD", {"frame_id": "f1", "image_url": "a.png"})], []).status
    'DONE'
    >>> list(model.versions[1].frames)
    [('f1',)]
    """

    def __init__(self, classes: Iterable[str]) -> None:
        self.classes = {name: place for place, name in enumerate(classes)}
        self.versions = [State()]
        self.results: list[Result] = []
        self.types: dict[str, dict[str, str]] = {"frames": {}, "labels": {}}
        self.lengths: dict[str, int] = {}

    @property
    def latest(self) -> State:
        """The newest version."""
        return self.versions[-1]

    def submit(
        self,
        frames: Sequence[Sent],
        labels: Sequence[Sent],
        *,
        on_error: str = "reject",
        based_on: int | None = None,
    ) -> Result:
        """Apply one upload as a new version.

        Args:
            frames: What is sent of frames.
            labels: What is sent of labels.
            on_error: `reject` frames with problems, or `abort` the whole upload.
            based_on: Reject frames changed after this place in `versions`.
        """
        sent = {"frames": frames, "labels": labels}
        touched = {one.frame_id for one in (*frames, *labels)}
        # Frames that no dataset would accept are known first: their values must not
        # give a new field its type.
        invalid = set(_invalid_frames(frames, labels))
        types = {table: self._types(table, sent[table], invalid) for table in sent}
        lengths = {table: self._length(table, sent[table], invalid) for table in sent}
        rejected = invalid | self._changed_since(touched, based_on)
        for table, rows in sent.items():
            rejected |= {
                one.frame_id
                for one in rows
                if one.op != "DELETE"
                and _misfits(one.row, types[table], lengths[table])
            }
        rejected |= set(self._broken_rules(frames, labels))
        # An aborted upload rejects the frames without a problem as well.
        if rejected and on_error == "abort":
            rejected = touched
        state = self._apply(frames, labels, rejected, types)
        return self._record(frames, labels, rejected, state, types, lengths)

    def restore(self, place: int) -> Result:
        """Make an earlier state the newest.

        Args:
            place: Its place in `versions`.
        """
        return self._record_undo(copy.deepcopy(self.versions[place]), set())

    def revert(
        self, places: Sequence[int], *, conflicts: Literal["keep", "overwrite"] = "keep"
    ) -> Result:
        """Undo uploads, neighbours that touched no common frame, and keep later ones.

        Args:
            places: Their places in `results`.
            conflicts: Whether to keep or overwrite rows that were changed since.
        """
        state, not_undone = reverted(
            self.latest,
            self.versions[min(places)],
            self.versions[max(places) + 1],
            [change for place in places for change in self.results[place].changes],
            conflicts=conflicts,
        )
        return self._record_undo(state, not_undone)

    def _record_undo(self, state: State, not_undone: set[tuple[str, Key]]) -> Result:
        result = undo_result(self.latest, state, not_undone)
        self.versions.append(state)
        self.results.append(result)
        return result

    # -------------------------------- PROBLEMS ------------------------------ #

    def _changed_since(self, touched: set[str], based_on: int | None) -> set[str]:
        if based_on is None:
            return set()
        # Result n led from version n to n + 1, so those from `based_on` on came after
        # it.
        since = self.results[based_on:]
        changed = {change.key[0] for result in since for change in result.changes}
        return touched & changed

    def _broken_rules(
        self, frames: Sequence[Sent], labels: Sequence[Sent]
    ) -> Iterator[str]:
        """Frames with problems that depend on the latest version."""
        existing = self.latest.frames
        ops = {one.frame_id: one.op for one in frames}
        for one in frames:
            exists = (one.frame_id,) in existing
            if (one.op == "MODIFY" and not exists) or (
                one.op == "ADD" and exists and one.if_exists == "reject"
            ):
                yield one.frame_id
        for one in labels:
            op = ops.get(one.frame_id)
            if (
                (op is None and (one.frame_id,) not in existing)
                or op == "DELETE"
                or (op == "ADD" and one.op != "ADD")
                or self._is_unknown_class(one)
                or self._changes_type(one, op)
            ):
                yield one.frame_id

    def _is_unknown_class(self, sent: Sent) -> bool:
        name = sent.row.get("class_name")
        if sent.op == "DELETE" or name in {None, MASK_CLASS}:
            return False
        return name not in self.classes

    def _changes_type(self, sent: Sent, frame_op: str | None) -> bool:
        old = self.latest.labels.get(sent.key)
        kind = sent.row.get("label_type")
        if sent.op != "MODIFY" or frame_op in {"ADD", "DELETE"}:
            return False
        return old is not None and kind is not None and kind != old["label_type"]

    def _types(
        self, table: str, rows: Sequence[Sent], invalid: set[str]
    ) -> dict[str, str]:
        """The types of metadata fields; a new field has that of its first value."""
        types = dict(self.types[table])
        for one in rows:
            if one.op == "DELETE" or one.frame_id in invalid:
                continue
            for name, value in one.row.items():
                kind = None if value is None else kind_of(value)
                # An empty list, and one of several kinds, say nothing of a field's
                # type.
                if name.startswith("user__") and kind not in {None, "list[]"}:
                    types.setdefault(name, str(kind))
        return types

    def _length(
        self, table: str, rows: Sequence[Sent], invalid: set[str]
    ) -> int | None:
        """The length of vectors: the known one, or that of the first one sent."""
        lengths = [
            len(one.row["embedding"])
            for one in rows
            if one.op != "DELETE"
            and one.row.get("embedding") is not None
            and one.frame_id not in invalid
        ]
        return self.lengths.get(table, next(iter(lengths), None))

    # -------------------------------- APPLYING ------------------------------ #

    def _apply(
        self,
        frames: Sequence[Sent],
        labels: Sequence[Sent],
        rejected: set[str],
        types: Types,
    ) -> State:
        # Slow, and certain: no later upload can reach into a version that stands.
        state = copy.deepcopy(self.latest)
        left_out = rejected | {
            one.frame_id
            for one in frames
            if one.op == "ADD"
            and one.if_exists == "skip"
            and (one.frame_id,) in state.frames
        }
        for one in frames:
            if one.frame_id not in left_out:
                _apply_frame(state, one, types["frames"])
        for one in labels:
            if one.frame_id not in left_out:
                self._apply_label(state, one, types["labels"])
        return state

    def _apply_label(self, state: State, sent: Sent, types: Mapping[str, str]) -> None:
        key = sent.key
        if sent.op == "DELETE":
            state.labels.pop(key, None)
            state.label_embeddings.pop(key, None)
            return
        # A label that is not there to be modified is a warning, and does not reject its
        # frame.
        if sent.op == "MODIFY" and key not in state.labels:
            return
        # An ADD in a frame added anew still keeps the id of its class's old name.
        old = self.latest.labels.get(key, {})
        row = label_of(sent.row, types, sent.op)
        row = row if sent.op == "ADD" else _merged(state.labels[key], row, sent)
        class_id = self.classes.get(row.get("class_name", ""))
        if class_id is None and row.get("class_name") == old.get("class_name"):
            class_id = old.get("class_id")
        row.pop("class_id", None)
        state.labels[key] = row if class_id is None else row | {"class_id": class_id}
        _set_vector(state.label_embeddings, key, sent)

    def _record(  # noqa: PLR0917 - all that a result is made of
        self,
        frames: Sequence[Sent],
        labels: Sequence[Sent],
        rejected: set[str],
        state: State,
        types: Types,
        lengths: Lengths,
    ) -> Result:
        """Keep the new state, and the types and lengths of values that landed."""
        for table, rows, vectors in (
            ("frames", state.frames, state.frame_embeddings),
            ("labels", state.labels, state.label_embeddings),
        ):
            # A type holds from the first value that landed: a rejected frame fixes
            # nothing.
            landed = {name for row in rows.values() for name in row}
            for name in landed & set(types[table]):
                self.types[table].setdefault(name, types[table][name])
            length = lengths[table]
            # Likewise: a length holds once any vector of it is stored.
            if vectors and length is not None:
                self.lengths.setdefault(table, length)
        result = result_of(self.latest, state, frames, labels, rejected)
        self.versions.append(state)
        self.results.append(result)
        return result


def _invalid_frames(frames: Sequence[Sent], labels: Sequence[Sent]) -> Iterator[str]:
    """Frames with a row that no dataset would accept."""
    for one in frames:
        if one.op != "DELETE" and is_bad_frame(one.row):
            yield one.frame_id
    for one in labels:
        if is_bad_label(one.row, one.op):
            yield one.frame_id


def _misfits(row: Row, types: Mapping[str, str], length: int | None) -> bool:
    """Whether a metadata value or the vector is of another type than the field."""
    vector = row.get("embedding")
    if vector is not None and length is not None and len(vector) != length:
        return True
    return any(
        not _fits(kind_of(value), types[name])
        for name, value in row.items()
        if name in types and value is not None
    )


def _fits(kind: str | None, wanted: str) -> bool:
    # Whole numbers fit fields of floats; a float never fits a field of whole numbers.
    widened = {"float": "int", "list[float]": "list[int]"}.get(wanted)
    is_empty = kind == "list[]" and wanted.startswith("list[")
    return kind in {wanted, widened} or is_empty


def _apply_frame(state: State, sent: Sent, types: Mapping[str, str]) -> None:
    key = sent.key
    if sent.op in {"ADD", "DELETE"}:
        state.frames.pop(key, None)
        state.frame_embeddings.pop(key, None)
        # Listed first, as a dict must not change under the loop.
        for label in [label for label in state.labels if label[0] == sent.frame_id]:
            del state.labels[label]
            state.label_embeddings.pop(label, None)
    if sent.op == "DELETE":
        return
    old = state.frames.get(key, {})
    row = frame_of(sent.row, types)
    # The image columns and the list of sensors say the same (decision 0007).
    if sent.op == "MODIFY" and changes_image(row) and "sensors" in old:
        row["sensors"] = with_image(old["sensors"], row)
    merged = _merged(old, row, sent)
    if "sensors" in row and "sensors" in merged:
        merged = with_sensor_image(merged)
    state.frames[key] = merged
    _set_vector(state.frame_embeddings, key, sent)


def _merged(old: Row, new: Row, sent: Sent) -> Row:
    """The old row with the new fields; those given as None go if it clears."""
    nulls = {name for name, value in sent.row.items() if value is None}
    cleared = nulls if sent.clear else set[str]()
    return {name: value for name, value in (old | new).items() if name not in cleared}


def _set_vector(vectors: dict[Key, list[float]], key: Key, sent: Sent) -> None:
    vector = sent.row.get("embedding")
    if vector is not None:
        vectors[key] = [float(number) for number in vector]
    elif sent.clear and "embedding" in sent.row:
        vectors.pop(key, None)
