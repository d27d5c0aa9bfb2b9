"""What a frame or label says before it is submitted: plain fields, as tables have them.

The objects that users fill (`LabeledFrame`, `UpdateGTLabelSet`) and the captured
wire files both end in these drafts; `rows.py` makes operations of them.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lakehouse.model.label_types import MASK_TYPES

__all__ = ["FILLER", "ONE_A_FRAME", "FrameDraft", "LabelDraft", "UpdateType", "is_filler"]

UpdateType = Literal["ADD", "MODIFY", "DELETE"]
"""ADD replaces wholly, MODIFY merges the fields set, DELETE removes."""

FILLER: Final = (0.0, 0.0, 0.0)
"""The vector that Aquarium's client sends for "no embedding"."""

ONE_A_FRAME: Final = frozenset({"CLASSIFICATION_2D", "CLASSIFICATION_3D", *MASK_TYPES})
"""Labels of the whole frame, which have no crop and so no vector of their own."""


@dataclass(slots=True)
class LabelDraft:
    """One label: its operation and the columns it sets."""

    label_id: str
    op: Literal["ADD", "MODIFY"]
    fields: dict[str, Any]
    """Column of the labels table to value; a MODIFY names only what it sets."""
    confidence: float | None = None
    """Refused for labels when they are submitted; only inferences have it."""
    embedding: list[float] | None = None
    model_id: str = ""

    @property
    def label_type(self) -> str:
        """The wire name of its type."""
        return str(self.fields["label_type"])


@dataclass(slots=True)
class FrameDraft:
    """One frame: its operation, the columns it sets, and its labels."""

    frame_id: str
    op: UpdateType
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    """Column of the frames table to value; a MODIFY names only what it sets."""
    types: dict[str, str] = field(default_factory=dict[str, str])
    """Metadata column to its declared type: `int`, `list[str]`, …"""
    labels: list[LabelDraft] = field(default_factory=list[LabelDraft])
    embedding: list[float] | None = None
    model_id: str = ""


def is_filler(vector: list[float] | None) -> bool:
    """Whether a vector stands for none.

    >>> is_filler([0, 0, 0]), is_filler([0.0, 0.0])
    (True, False)
    """
    return vector is not None and tuple(vector) == FILLER
