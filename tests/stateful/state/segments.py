"""Segments of the machine's dataset: elements that stay whatever the machine does."""

from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import lakehouse
from tests.unit.segments.expected import ExpectedSegment, rows_of

__all__ = ["SegmentRules"]

KINDS: tuple[Literal["frame", "label"], ...] = ("frame", "label")


class SegmentRules(RuleBasedStateMachine):
    """Rules on segments; mixed into the dataset's machine."""

    dataset: lakehouse.Dataset
    root: str
    expected: dict[int, int]
    expected_segments: dict[str, ExpectedSegment]

    def segments(self) -> lakehouse.Project:
        """The project, in a lake opened afresh."""
        return lakehouse.connect(self.root, author="noor").project("cells")

    @rule(kind=st.sampled_from(KINDS), data=st.data())
    def add_elements(
        self, kind: Literal["frame", "label"], data: st.DataObject
    ) -> None:
        """Elements of any version; those the segment has stay at their version."""
        if kind not in self.expected_segments:
            created = self.segments().create_segment(kind, element_type=kind)
            self.expected_segments[kind] = ExpectedSegment(created)
        version = data.draw(st.sampled_from(sorted(self.expected)), "version")
        snapshot = self.dataset.at(version)
        rows = rows_of(self.expected_segments[kind], snapshot)
        if rows:
            some = st.lists(st.sampled_from(range(len(rows))), max_size=3, unique=True)
            chosen = [rows[place] for place in data.draw(some, "elements")]
            self.expected_segments[kind].add(snapshot, chosen)

    @precondition(
        lambda self: any(expected.rows for expected in self.expected_segments.values())
    )
    @rule(data=st.data())
    def remove_an_element(self, data: st.DataObject) -> None:
        """It leaves the segment, and the others stay."""
        expected = data.draw(
            st.sampled_from(
                [one for one in self.expected_segments.values() if one.rows]
            ),
            "segment",
        )
        expected.remove(data.draw(st.sampled_from(sorted(expected.rows)), "element"))
        expected.check()

    @precondition(lambda self: self.expected_segments)
    @rule(kind=st.sampled_from(KINDS))
    def refresh_elements(self, kind: str) -> None:
        """What differs is reported, and moved."""
        if kind in self.expected_segments:
            self.expected_segments[kind].refresh(self.dataset.latest())
            self.expected_segments[kind].check()

    def hold_segments(self) -> None:
        """All elements are as they were, to whoever opens the lake."""
        for kind, expected in self.expected_segments.items():
            expected.check()
            expected.segment = self.segments().segment(kind)
            expected.check()
            expected.refresh(self.dataset.latest())
            expected.check()
