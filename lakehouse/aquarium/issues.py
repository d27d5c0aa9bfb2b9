"""Issues and work queues in the client's classes; on a lake they are segments.

An element's data are those of the version at which it was added, whatever came later.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

from lakehouse.aquarium.values import checked_text, refused
from lakehouse.catalog.project import Project
from lakehouse.segments import ElementType, Segment, SegmentType
from lakehouse.segments.context import Place
from lakehouse.segments.refs import keys_in
from lakehouse.segments.rules import BATCH_SIZE
from lakehouse.versions.snapshot import Snapshot

ELEMENT_TYPES: Final = ("frame", "crop")
"""Types of elements; a crop is a label, or an inference of an inference set."""

# Type of a segment to the client's names of it: in requests, and on the wire.
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
        """Refuse ids that are no text, and unknown types."""
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


# ------------------- WORDS OF THE CLIENT AND OF SEGMENTS -------------------- #


def segment_type_of(given: object) -> str:
    """The segment type of an issue type, in either of the client's names.

    Raises:
        InvalidInputError: If it is unknown.

    >>> segment_type_of("Label Quality"), segment_type_of("testScenarioSplit")
    ('label_quality', 'split')
    """
    for own, names in _TEMPLATES.items():
        if given in {own, *names}:
            return own
    known = ", ".join(names[0] for names in _TEMPLATES.values())
    raise refused(f"{given!r} is no issue type: {known}.")


def client_type(segment_type: str) -> str:
    """A segment's type in the client's words."""
    return _TEMPLATES[segment_type][1]


def segment_state_of(given: object) -> str:
    """The segment state of an issue state; an unknown one is passed on and refused there.

    >>> segment_state_of("inProgress"), segment_state_of("resolved")
    ('in_progress', 'resolved')
    """
    states = {word: state for state, word in _STATES.items()}
    return states.get(str(given), str(given))


def client_state(state: str) -> str:
    """A segment's state in the client's words."""
    return _STATES.get(state, state)


def element_type_of(element_type: object, inference_set: str | None) -> str:
    """The element type of a segment for such elements.

    Raises:
        InvalidInputError: If the type is neither `frame` nor `crop`.
    """
    if element_type not in ELEMENT_TYPES:
        raise refused(f"element_type is 'frame' or 'crop', not {element_type!r}.")
    if element_type == "frame":
        return "frame"
    return "inference" if inference_set else "label"


# --------------------------- ISSUES OF A PROJECT ---------------------------- #


class IssueManager:
    """Issues of one project. Made by `client.get_issue_manager(project_id)`.

    Args:
        client: A client, whose lake holds the project.
        project_id: The project.
    """

    def __init__(self, client: Any, project_id: str) -> None:
        self.project_id = project_id
        # Any object with a lake will do, so that this module need not import the client.
        self._project: Project = client.lake.project(project_id)

    def create_issue(
        self,
        name: str,
        dataset: str,
        elements: list[IssueElement],
        element_type: str,
        inference_set: str | None = None,
        issue_type: str | None = "Bucket",
        work_queue_batch_size: int | None = None,
    ) -> str:
        """Create an issue, with elements as they are now, and return its id.

        Raises:
            InvalidInputError: If an argument cannot be, or elements are not there; all
                that are missing are listed, and nothing is written.
            NotFoundError: If there is no such dataset or inference set.
            AlreadyExistsError: If the name is taken.
        """
        kind = element_type_of(element_type, inference_set)
        segment_type = segment_type_of(issue_type or "Bucket")
        if work_queue_batch_size is not None and segment_type != "work_queue":
            raise refused("work_queue_batch_size belongs to issues of type Work Queue.")
        # Raises for a dataset that does not exist, before a segment is created.
        self._snapshot(dataset, inference_set)
        given = self._checked(elements, kind)
        segment = self._project.create_segment(
            checked_text(name, "name"),
            type=cast("SegmentType", segment_type),
            element_type=cast("ElementType", kind),
        )
        _add(segment, given, work_queue_batch_size)
        return segment.id

    def create_work_queue(
        self,
        name: str,
        dataset: str,
        elements: list[IssueElement],
        element_type: str,
        inference_set: str | None = None,
        work_queue_batch_size: int = BATCH_SIZE,
    ) -> str:
        """Create a work queue, whose elements are in batches; as `create_issue`."""
        return self.create_issue(
            name,
            dataset,
            elements,
            element_type,
            inference_set,
            "Work Queue",
            work_queue_batch_size,
        )

    def add_elements_to_issue(
        self, issue_id: str, elements: list[IssueElement]
    ) -> None:
        """Add elements as they are now; those in the issue already stay as they were.

        Raises:
            InvalidInputError: If elements are of another type, or not there.
            NotFoundError: If there is no such issue.
        """
        # The id of an issue is that of its segment.
        segment = self._project.segment(issue_id)
        _add(segment, self._checked(elements, segment.element_type), None)

    def remove_elements_from_issue(
        self, issue_id: str, elements: list[IssueElement]
    ) -> None:
        """Take elements out of the issue.

        Raises:
            InvalidInputError: If some are not in it.
            NotFoundError: If there is no such issue.
        """
        segment = self._project.segment(issue_id)
        _require(elements, segment.element_type)
        segment.remove(
            [
                _ids(one)
                | place_of(self.project_id, one.dataset, one.inference_set)._asdict()
                for one in elements
            ]
        )

    def list_issues(self) -> list[Issue]:
        """All issues except deleted ones, without the data of their elements."""
        return [self._issue(one, with_data=False) for one in self._project.segments()]

    def get_issue(
        self,
        issue_id: str,
        exclude_frame_data: bool = False,
        include_comment_data: bool = False,
    ) -> Issue:
        """An issue with its elements as they were when they were added.

        Raises:
            NotFoundError: If there is no such issue.
        """
        segment = self._project.segment(issue_id)
        issue = self._issue(segment, with_data=not exclude_frame_data)
        if not include_comment_data:
            issue.comments = None
            for element in issue.elements:
                element.comments = None
        return issue

    def delete_issue(self, issue_id: str) -> None:
        """Archive an issue: it is in no list, and `get_issue` still opens it.

        Raises:
            NotFoundError: If there is no such issue.
        """
        self._project.segment(issue_id).archive()

    def update_issue_state(self, issue_id: str, issue_state: str) -> None:
        """Set the state of an issue: triage, inProgress, inReview, resolved, and so on.

        Raises:
            InvalidInputError: If there is no such state.
            NotFoundError: If there is no such issue.
        """
        self._project.segment(issue_id).set_state(segment_state_of(issue_state))

    def update_issue_name(self, issue_id: str, issue_name: str) -> None:
        """Give an issue another name.

        Raises:
            InvalidInputError: If the name cannot be one.
            AlreadyExistsError: If it is taken.
        """
        self._project.segment(issue_id).rename(checked_text(issue_name, "issue_name"))

    def update_elements_status(
        self, issue_id: str, element_ids: list[str], new_status: str
    ) -> None:
        """Set the status of elements: `unstarted` or `done`.

        Raises:
            InvalidInputError: If there is no such status, or some are not in the issue.
        """
        self._project.segment(issue_id).set_status(element_ids, new_status)

    # -------------------------------- INSIDE -------------------------------- #

    def _snapshot(self, dataset: str, inference_set: str | None) -> Snapshot:
        place = place_of(self.project_id, dataset, inference_set)
        target = self._project.dataset(place.dataset)
        if place.inference_set:
            return target.inference_set(place.inference_set).latest()
        return target.latest()

    def _checked(self, elements: object, kind: str) -> list[tuple[Snapshot, Any]]:
        """The elements by their snapshot; raises if one does not exist.

        All are checked before any is added, so that nothing is written in part.
        """
        _require(elements, kind)
        given: dict[tuple[str, str | None], list[dict[str, str]]] = defaultdict(list)
        for one in cast("list[IssueElement]", elements):
            given[one.dataset, one.inference_set].append(_ids(one))
        # One lookup for each dataset or set, however many elements it has.
        by_snapshot = [(self._snapshot(*place), rows) for place, rows in given.items()]
        for snapshot, rows in by_snapshot:
            keys_in(snapshot, kind, rows, where=f"version {snapshot.version}")
        return by_snapshot

    def _issue(self, segment: Segment, *, with_data: bool) -> Issue:
        fields = segment.to_dict()
        # The client's issue is of one dataset: that of its first element.
        elements = self._elements(segment, with_data=with_data)
        return Issue(
            name=fields["name"],
            dataset=elements[0].dataset if elements else None,
            elements=elements,
            element_type=_client_element_type(segment.element_type),
            created_at=fields["created_at"],
            updated_at=fields["updated_at"],
            reporter=fields["created_by"],
            assignee=fields["assignee"],
            state=client_state(fields["state"]),
            issue_id=fields["id"],
            inference_set=elements[0].inference_set if elements else None,
            comments=fields["comments"],
            template_type=client_type(fields["type"]),
            custom_template_fields=fields["metadata"],
        )

    def _elements(self, segment: Segment, *, with_data: bool) -> list[IssueElement]:
        rows = segment.tracking().to_dicts()
        # Both tables are sorted by the same ids, so rows stand opposite each other.
        stored = segment.elements().to_dicts() if with_data else [{}] * len(rows)
        labels = _by_frame(segment) if with_data else {}
        return [
            self._element(segment.element_type, row, data, labels)
            for row, data in zip(rows, stored, strict=True)
        ]

    def _element(
        self,
        kind: str,
        row: Mapping[str, Any],
        data: Mapping[str, Any],
        labels: Mapping[tuple[Any, ...], list[dict[str, Any]]],
    ) -> IssueElement:
        content = {
            name: value
            for name, value in data.items()
            if value is not None and name not in {"status", "batch", "assignee"}
        }
        place = tuple(row[name] for name in _PLACE)
        # Without data, as in lists of issues, there is no dict of a frame either.
        of_frame = content and {**content, "labels": labels.get(place, [])}
        return IssueElement(
            element_id=row["frame_id" if kind == "frame" else "label_id"],
            frame_id=row["frame_id"],
            element_type=_client_element_type(kind),
            dataset=f"{self.project_id}.{row['dataset']}",
            status=row["status"],
            inference_set=row["inference_set"],
            frame_data=of_frame if kind == "frame" and content else None,
            crop_data=content if kind != "frame" and content else None,
            label_metadata={"confidence": data["confidence"]}
            if "confidence" in content
            else None,
            comments=row["comments"],
            updated_at=row["updated_at"].isoformat(),
        )


_PLACE: Final = ("dataset", "inference_set", "frame_id")


# ------------------------ ELEMENTS AND THEIR PLACES ------------------------- #


def place_of(project: str, dataset: str, inference_set: str | None) -> Place:
    """The place of an element; the client may name its dataset `project.dataset`."""
    name = checked_text(dataset, "dataset").removeprefix(f"{project}.")
    return Place(name, inference_set or "")


def _require(elements: object, kind: str) -> None:
    """Refuse elements that are not of the segment's element type."""
    if not isinstance(elements, list) or not elements:
        raise refused("elements is a list of IssueElement, and not empty.")
    unfit = [
        one
        for one in elements
        if not isinstance(one, IssueElement)
        or element_type_of(one.element_type, one.inference_set) not in {kind, "frame"}
        or (one.element_type == "frame") != (kind == "frame")
    ]
    if unfit:
        raise refused(
            f"{len(unfit)} of the elements are no {kind}s, such as {unfit[0]!r}: an issue "
            "holds elements of one type."
        )


def _add(
    segment: Segment, given: Sequence[tuple[Snapshot, Any]], batch_size: int | None
) -> None:
    for snapshot, rows in given:
        # The argument of `Segment.add` is named after the element type.
        chosen: dict[str, Any] = {f"{segment.element_type}s": rows}
        segment.add(snapshot, batch_size=batch_size, **chosen)


def _ids(element: IssueElement) -> dict[str, str]:
    ids = {"frame_id": element.frame_id}
    if element.element_type == "crop":
        ids["label_id"] = element.element_id
    return ids


def _client_element_type(kind: str) -> str:
    return "frame" if kind == "frame" else "crop"


def _by_frame(segment: Segment) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The labels of an issue's frames as they were, by the place of the frame."""
    if segment.element_type != "frame":
        return {}
    labels: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in segment.labels().iter_rows(named=True):
        label = {name: value for name, value in row.items() if value is not None}
        labels[tuple(row[name] for name in _PLACE)].append(label)
    return labels


# ------------------------------- WORK QUEUES -------------------------------- #


@dataclass
class WorkQueueElement:
    """An element of a work queue, in its batch: queued, assigned or done."""

    element_id: str
    frame_id: str
    element_type: str
    dataset: str
    batch_name: str
    status: str
    assignee: str | None = None
    inference_set: str | None = None
    label_metadata: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The element in the client's keys."""
        return asdict(self)


@dataclass
class WorkQueue:
    """A work queue as it is in the lake."""

    name: str
    dataset: str | None
    element_count: int | None
    element_type: str
    work_queue_id: str
    batch_statuses: dict[str, str]
    batch_assignees: dict[str, str]
    elements: list[WorkQueueElement] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    inference_set: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The work queue in the client's keys."""
        return asdict(self)


class WorkQueueManager:
    """Work queues of one project. Made by `client.get_work_queue_manager(project_id)`.

    Args:
        client: A client, whose lake holds the project.
        project_id: The project.
    """

    def __init__(self, client: Any, project_id: str) -> None:
        self.project_id = project_id
        self._project: Project = client.lake.project(project_id)

    def list_work_queues(self) -> list[WorkQueue]:
        """All work queues, without their elements."""
        segments = self._project.segments(type="work_queue")
        queues = [self._queue(one) for one in segments]
        # The client lists queues without their elements; they are read for the counts.
        for queue in queues:
            queue.elements = None
        return queues

    def get_work_queue(self, work_queue_id: str) -> WorkQueue:
        """A work queue with its elements.

        Raises:
            NotFoundError: If there is no such segment.
            InvalidInputError: If it is no work queue.
        """
        segment = self._project.segment(work_queue_id)
        if segment.type != "work_queue":
            raise refused(
                f"Issue {segment.name!r} is no work queue: get_issue() reads it."
            )
        return self._queue(segment)

    def _queue(self, segment: Segment) -> WorkQueue:
        batches = segment.batches().to_dicts()
        elements = [
            self._element(segment.element_type, row)
            for row in segment.tracking().iter_rows(named=True)
        ]
        fields = segment.to_dict()
        return WorkQueue(
            name=fields["name"],
            dataset=elements[0].dataset if elements else None,
            element_count=len(elements),
            element_type=_client_element_type(segment.element_type),
            work_queue_id=fields["id"],
            batch_statuses={row["batch"]: row["status"] for row in batches},
            batch_assignees={
                row["batch"]: ", ".join(row["assignees"])
                for row in batches
                if row["assignees"]
            },
            elements=elements,
            created_at=fields["created_at"],
            updated_at=fields["updated_at"],
            inference_set=elements[0].inference_set if elements else None,
        )

    def _element(self, kind: str, row: dict[str, Any]) -> WorkQueueElement:
        # The status of its batch is worked out from those of its elements.
        waiting = "assigned" if row["assignee"] else "queued"
        return WorkQueueElement(
            element_id=row["frame_id" if kind == "frame" else "label_id"],
            frame_id=row["frame_id"],
            element_type=_client_element_type(kind),
            dataset=f"{self.project_id}.{row['dataset']}",
            batch_name=row["batch"] or "",
            status="done" if row["status"] == "done" else waiting,
            assignee=row["assignee"],
            inference_set=row["inference_set"],
        )
