"""Segments of the machine's dataset: elements that stay whatever the machine does."""

from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import lakehouse
from tests.unit.segments.told import Told, rows_of

__all__ = ["SegmentRules"]

KINDS: tuple[Literal["frame", "label"], ...] = ("frame", "label")


class SegmentRules(RuleBasedStateMachine):
    """Rules on segments; mixed into the dataset's machine."""

    dataset: lakehouse.Dataset
    root: str
    expected: dict[int, int]
    told: dict[str, Told]

    def segments(self) -> lakehouse.Project:
        """The project, in a lake opened afresh."""
        return lakehouse.connect(self.root, author="noor").project("cells")

    @rule(kind=st.sampled_from(KINDS), data=st.data())
    def add_elements(
        self, kind: Literal["frame", "label"], data: st.DataObject
    ) -> None:
        """As any version has them; what is there stays at its own."""
        if kind not in self.told:
            made = self.segments().create_segment(kind, element_type=kind)
            self.told[kind] = Told(made)
        version = data.draw(st.sampled_from(sorted(self.expected)), "version")
        snapshot = self.dataset.at(version)
        rows = rows_of(self.told[kind], snapshot)
        if rows:
            some = st.lists(st.sampled_from(range(len(rows))), max_size=3, unique=True)
            chosen = [rows[place] for place in data.draw(some, "elements")]
            self.told[kind].add(snapshot, chosen)

    @precondition(lambda self: any(told.rows for told in self.told.values()))
    @rule(data=st.data())
    def remove_an_element(self, data: st.DataObject) -> None:
        """It leaves the segment, and the others stay."""
        told = data.draw(
            st.sampled_from([one for one in self.told.values() if one.rows]), "segment"
        )
        told.remove(data.draw(st.sampled_from(sorted(told.rows)), "element"))
        told.check()

    @precondition(lambda self: self.told)
    @rule(kind=st.sampled_from(KINDS))
    def refresh_elements(self, kind: str) -> None:
        """What differs is told, and moved."""
        if kind in self.told:
            self.told[kind].refresh(self.dataset.latest())
            self.told[kind].check()

    def hold_segments(self) -> None:
        """All elements are as they were, to whoever opens the lake."""
        for kind, told in self.told.items():
            told.check()
            told.segment = self.segments().segment(kind)
            told.check()
            told.refresh(self.dataset.latest())
            told.check()
