"""Issues and their elements, as the client's classes; on a lake they are segments.

An element's data are what it was when it was added, whatever came later.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lakehouse.aquarium.values import checked_text, refused

__all__ = [
    "ELEMENT_TYPES",
    "Issue",
    "IssueElement",
    "issue_type_of",
    "kind_of",
    "state_of",
    "told_state",
    "told_type",
]

ELEMENT_TYPES: Final = ("frame", "crop")
"""What an issue holds; a crop is a label, or an inference of an inference set."""

_TEMPLATES: Final = {
    "split": ("Split", "testScenarioSplit"),
    "regression": ("Regression Test", "testScenarioRegression"),
    "scenario": ("Scenario", "testScenarioGeneric"),
    "collection_campaign": ("Collection Campaign", "collectionCampaign"),
    "label_quality": ("Label Quality", "labelQuality"),
    "frame_issue": ("Frame Issue", "frameIssue"),
    "work_queue": ("Work Queue", "workQueue"),
    "bucket": ("Bucket", "bucket"),
}
_STATES: Final = {"in_progress": "inProgress", "in_review": "inReview"}


@dataclass
class IssueElement:
    """A frame, or a label or inference of one, in an issue.

    Only the first four arguments, and `inference_set`, are given by callers; the
    others are what was stored.
    """

    element_id: str
    frame_id: str
    element_type: str
    dataset: str
    status: str | None = None
    inference_set: str | None = None
    frame_data: dict[str, Any] | None = None
    crop_data: dict[str, Any] | None = None
    label_metadata: dict[str, Any] | None = None
    comments: Any = None
    updated_at: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no text, or of no type that there is."""
        for name in ("element_id", "frame_id", "dataset"):
            checked_text(getattr(self, name), name)
        if self.element_type not in ELEMENT_TYPES:
            raise refused(
                f"element_type is 'frame' or 'crop', not {self.element_type!r}."
            )
        if self.element_type == "frame" and self.element_id != self.frame_id:
            raise refused(
                f"A frame's element_id is its frame_id: {self.element_id!r} is not "
                f"{self.frame_id!r}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The element in the client's keys."""
        return asdict(self)


@dataclass
class Issue:
    """An issue as it is in the lake."""

    name: str
    dataset: str | None
    elements: list[IssueElement]
    element_type: str
    created_at: str | None = None
    updated_at: str | None = None
    reporter: str | None = None
    assignee: str | None = None
    state: str | None = None
    issue_id: str | None = None
    inference_set: str | None = None
    comments: Any = None
    template_type: str | None = None
    custom_template_fields: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The issue in the client's keys."""
        return asdict(self)


def issue_type_of(given: object) -> str:
    """The segment's type that an issue's type is.

    Raises:
        InvalidInputError: If it is none.

    >>> issue_type_of("Label Quality"), issue_type_of("testScenarioSplit")
    ('label_quality', 'split')
    """
    for own, names in _TEMPLATES.items():
        if given in {own, *names}:
            return own
    known = ", ".join(names[0] for names in _TEMPLATES.values())
    raise refused(f"{given!r} is no issue type: {known}.")


def told_type(segment_type: str) -> str:
    """A segment's type in the client's words."""
    return _TEMPLATES[segment_type][1]


def state_of(given: object) -> str:
    """The segment's state that an issue's state is; what is none is passed on.

    >>> state_of("inProgress"), state_of("resolved")
    ('in_progress', 'resolved')
    """
    own: Mapping[str, str] = {told: own for own, told in _STATES.items()}
    return own.get(str(given), str(given))


def told_state(state: str) -> str:
    """A segment's state in the client's words."""
    return _STATES.get(state, state)


def kind_of(element_type: object, inference_set: str | None) -> str:
    """What a segment holds that is to hold such elements.

    Raises:
        InvalidInputError: If the type is neither `frame` nor `crop`.
    """
    if element_type not in ELEMENT_TYPES:
        raise refused(f"element_type is 'frame' or 'crop', not {element_type!r}.")
    if element_type == "frame":
        return "frame"
    return "inference" if inference_set else "label"
