"""Segments: typed groups of frames, labels or inferences, frozen at their versions; their staleness.

    segment     the public class: signatures and documentation
    row         its own row: name, state, thresholds, comments
    elements    reading its elements: as they were, as they are now, as a file
    changes     adding, removing, assigning, refreshing elements
    search      its elements and vectors: similar, candidates
    staleness   rows at a version, and which differ now, from the change log
    refs        the elements that a caller names: ids, or rows with ids
    rules       types, states, status; names, choices and thresholds checked
    table       the table of elements: one small file a change
    context     the project as its segments see it, and one segment in it
    registry    the segments of a project: create, get, list

An element is a place (dataset, inference set, frame, label) and a version. Its
row is not copied: the change log keeps every row that ever was.
"""

from lakehouse.segments.refs import ElementLike
from lakehouse.segments.registry import Segments
from lakehouse.segments.rules import SegmentState, SegmentType, Status
from lakehouse.segments.segment import Segment
from lakehouse.types import ElementType

__all__ = [
    "ElementLike",
    "ElementType",
    "Segment",
    "SegmentState",
    "SegmentType",
    "Segments",
    "Status",
]
