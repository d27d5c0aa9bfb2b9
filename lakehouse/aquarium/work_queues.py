"""The client's work queues, read only: segments of type `work_queue` by their batches."""

from dataclasses import asdict, dataclass
from typing import Any

from lakehouse.aquarium.values import refused
from lakehouse.project import Project
from lakehouse.segments import Segment

__all__ = ["WorkQueue", "WorkQueueElement", "WorkQueueManager"]


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
        found = self._project.segments(type="work_queue")
        queues = [self._queue(one) for one in found]
        for queue in queues:
            queue.elements = None
        return queues

    def get_work_queue(self, work_queue_id: str) -> WorkQueue:
        """A work queue with its elements.

        Raises:
            NotFoundError: If there is no such segment.
            InvalidInputError: If it is no work queue.
        """
        found = self._project.segment(work_queue_id)
        if found.type != "work_queue":
            raise refused(
                f"Issue {found.name!r} is no work queue: get_issue() reads it."
            )
        return self._queue(found)

    def _queue(self, segment: Segment) -> WorkQueue:
        batches = segment.batches().to_dicts()
        elements = [
            self._element(segment.element_type, row)
            for row in segment.tracking().iter_rows(named=True)
        ]
        told = segment.to_dict()
        return WorkQueue(
            name=told["name"],
            dataset=elements[0].dataset if elements else None,
            element_count=len(elements),
            element_type="frame" if segment.element_type == "frame" else "crop",
            work_queue_id=told["id"],
            batch_statuses={row["batch"]: row["status"] for row in batches},
            batch_assignees={
                row["batch"]: ", ".join(row["assignees"])
                for row in batches
                if row["assignees"]
            },
            elements=elements,
            created_at=told["created_at"],
            updated_at=told["updated_at"],
            inference_set=elements[0].inference_set if elements else None,
        )

    def _element(self, kind: str, row: dict[str, Any]) -> WorkQueueElement:
        waiting = "assigned" if row["assignee"] else "queued"
        return WorkQueueElement(
            element_id=row["frame_id" if kind == "frame" else "label_id"],
            frame_id=row["frame_id"],
            element_type="frame" if kind == "frame" else "crop",
            dataset=f"{self.project_id}.{row['dataset']}",
            batch_name=row["batch"] or "",
            status="done" if row["status"] == "done" else waiting,
            assignee=row["assignee"],
            inference_set=row["inference_set"],
        )
