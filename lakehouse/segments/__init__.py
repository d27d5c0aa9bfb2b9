"""Segments: typed groups of frames, labels or inferences that stay as they were.

    kinds        types, states, status; names and choices checked
    home         the project, as its segments see it
    table        where elements lie: one small file a change
    refs         which elements a caller means: ids, or rows with ids
    sources      from a snapshot to the keys of elements
    changes      what becomes of elements
    frozen       rows as they were, from the change log
    staleness    which elements differ now, and in what
    thresholds   what a model must reach
    telling      elements as users see them
    export       a segment as a file
    described    the segment's own row; `reading` and `segment` build on it
    book         the segments of a project

An element is where it is (dataset, inference set, frame, label) and a version.
Its row is not copied: the change log has it for ever.
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
