"""The parts of the model: rows sent, states, changes, and results of uploads.

Changes are found by comparing two states, counts by looking at the changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lakehouse.testing.rows import Row, exact

Op = Literal["ADD", "MODIFY", "DELETE"]
Key = tuple[str, ...]
"""A frame id; or a frame id and a label id."""

TABLES: Final = ("frames", "labels", "frame_embeddings", "label_embeddings")
"""The live tables."""

_OUTCOMES: Final[tuple[str, ...]] = (
    "created",
    "replaced",
    "modified",
    "deleted",
    "unchanged",
    "rejected",
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One row of an upload, and what to do with it."""

    op: Op
    """ADD, MODIFY or DELETE."""
    row: Row
    """`frame_id`, for labels `label_id`, and fields; None means that it is not given."""
    if_exists: Literal["replace", "reject", "skip"] = "replace"
    clear: bool = False
    """Whether a MODIFY sets fields given as None to null."""

    @property
    def frame_id(self) -> str:
        """The frame that the row is of."""
        frame_id: str = self.row["frame_id"]
        return frame_id

    @property
    def key(self) -> Key:
        """The row's key in its table."""
        if "label_id" not in self.row:
            return (self.frame_id,)
        return self.frame_id, str(self.row["label_id"])


@dataclass(slots=True)
class State:
    """The rows of one version; keys are tuples, of one id for frames."""

    frames: dict[Key, Row] = field(default_factory=dict[Key, Row])
    labels: dict[Key, Row] = field(default_factory=dict[Key, Row])
    frame_embeddings: dict[Key, list[float]] = field(
        default_factory=dict[Key, list[float]]
    )
    label_embeddings: dict[Key, list[float]] = field(
        default_factory=dict[Key, list[float]]
    )

    def table(self, name: str) -> dict[Key, Any]:
        """A table by its name."""
        rows: dict[Key, Any] = getattr(self, name)
        return rows


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a change log."""

    table: str
    key: Key
    op: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an upload."""

    rejected: frozenset[str]
    """Frames that did not land."""
    changes: frozenset[Change]
    """The rows that differ from the state before."""
    counts: Mapping[str, int]
    """The number of frames for each outcome."""
    label_counts: Mapping[str, int]
    """The number of labels for each outcome; a frame's deletion deletes its labels."""

    @property
    def status(self) -> str:
        """DONE, PARTIAL or FAILED."""
        if not self.rejected:
            return "DONE"
        landed = sum(self.counts.values()) > len(self.rejected)
        return "PARTIAL" if landed else "FAILED"


def no_outcomes() -> dict[str, int]:
    """Every outcome of a frame or label, with a count of zero."""
    return dict.fromkeys(_OUTCOMES, 0)


def result_of(
    before: State,
    after: State,
    frames: Sequence[Sent],
    labels: Sequence[Sent],
    rejected: set[str],
) -> Result:
    """The result of an upload that led from one state to another."""
    changes = frozenset(_changes(before, after, frames, labels))
    return Result(
        rejected=frozenset(rejected),
        changes=changes,
        counts=_frame_counts(before, frames, labels, rejected, changes),
        label_counts=_label_counts(before, labels, rejected, changes),
    )


def _changes(
    before: State, after: State, frames: Sequence[Sent], labels: Sequence[Sent]
) -> Iterator[Change]:
    ops: dict[Key, str] = {one.key: one.op for one in frames}
    ops |= {one.key: one.op for one in labels}
    for table in TABLES:
        old, new = before.table(table), after.table(table)
        for key in {*old, *new}:
            if key not in new:
                yield Change(table, key, "DELETE")
            # In Python 1 == 1.0 == True; in a column they are different values.
            elif key not in old or exact(old[key]) != exact(new[key]):
                yield Change(table, key, ops[key])


def _frame_counts(
    before: State,
    frames: Sequence[Sent],
    labels: Sequence[Sent],
    rejected: set[str],
    changes: frozenset[Change],
) -> dict[str, int]:
    counts = no_outcomes()
    ops = {one.frame_id: one.op for one in frames}
    # A change of any of its labels or vectors is a change of the frame.
    changed = {change.key[0] for change in changes}
    for frame_id in {one.frame_id for one in (*frames, *labels)}:
        # A frame that is touched by its labels alone counts as modified.
        op = ops.get(frame_id, "MODIFY")
        outcome = {"DELETE": "deleted", "MODIFY": "modified", "ADD": "replaced"}[op]
        if op == "ADD" and (frame_id,) not in before.frames:
            outcome = "created"
        outcome = outcome if frame_id in changed else "unchanged"
        counts["rejected" if frame_id in rejected else outcome] += 1
    return counts


def _label_counts(
    before: State,
    labels: Sequence[Sent],
    rejected: set[str],
    changes: frozenset[Change],
) -> dict[str, int]:
    counts = no_outcomes()
    gone = {
        change.key
        for change in changes
        if (change.table, change.op) == ("labels", "DELETE")
    }
    counts["deleted"] = len(gone)
    # Keys of two ids are those of labels and of their vectors.
    changed = {change.key for change in changes if len(change.key) > 1}
    for one in labels:
        if one.frame_id in rejected:
            counts["rejected"] += 1
        elif (key := one.key) not in gone:
            outcome = "replaced" if one.op == "ADD" else "modified"
            outcome = outcome if key in before.labels else "created"
            counts[outcome if key in changed else "unchanged"] += 1
    return counts
