"""A segment, as users meet it: elements that stay as they were when they were added.

    segment = project.create_segment(
        "loose boxes", type="label_quality", element_type="label"
    )
    segment.add(dataset.at(3), labels=[{"frame_id": "f1", "label_id": "a"}])
    segment.elements()        the labels as they were at version 3
    segment.out_of_date()     those that are not like that any more, and why
    segment.refresh()         moves these to the latest version; the old one is noted

No change of the dataset moves an element; only `refresh` does.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.metrics import Metrics
from lakehouse.model.problems import Problems
from lakehouse.segments import changes, elements, row, search
from lakehouse.segments.context import SegmentHandle
from lakehouse.segments.refs import ElementLike, elements_argument
from lakehouse.segments.rules import (
    STATES,
    STATUSES,
    choice_problems,
    compare_thresholds,
    name_problems,
    threshold_problems,
)
from lakehouse.similarity import Corpus, Metric
from lakehouse.types import ElementType
from lakehouse.versions.snapshot import HasVersions, Snapshot


class Segment:
    """A typed group of frames, labels or inferences. Made by `project.segment()`.

    >>> import tempfile, lakehouse
    >>> lake = lakehouse.connect(tempfile.mkdtemp(), author="mira")
    >>> project = lake.create_project("cells", classes=["cell"])
    >>> dataset = project.create_dataset("hela")
    >>> upload = dataset.add([{"frame_id": "f1", "image_url": "f1.png"}])
    >>> segment = project.create_segment("blurred", element_type="frame")
    >>> segment.add(dataset, frames=["f1"])
    1
    >>> upload = dataset.modify([{"frame_id": "f1", "image_url": "sharp.png"}])
    >>> segment.elements()["image_url"].item(), segment.out_of_date()["reason"].item()
    ('f1.png', 'changed')
    """

    def __init__(self, handle: SegmentHandle) -> None:
        self._handle = handle
        self.id = handle.id

    def __repr__(self) -> str:
        fields = row.read_row(self._handle)
        archived = ", archived" if fields["archived"] else ""
        return (
            f"<Segment {fields['name']!r} ({fields['type']}, {fields['state']}{archived}): "
            f"{self.count:,} {self.element_type}s>"
        )

    # ------------------------------ THE SEGMENT ----------------------------- #

    @property
    def name(self) -> str:
        """The name; `rename` changes it."""
        return str(row.read_row(self._handle)["name"])

    @property
    def type(self) -> str:
        """The purpose, such as `label_quality`."""
        return str(row.read_row(self._handle)["type"])

    @property
    def element_type(self) -> ElementType:
        """The type of the elements: frame, label or inference."""
        return self._handle.element_type

    @property
    def state(self) -> str:
        """The state of the work on the segment: `triage` at first."""
        return str(row.read_row(self._handle)["state"])

    @property
    def assignee(self) -> str | None:
        """The person who takes care of the segment."""
        assignee: str | None = row.read_row(self._handle)["assignee"]
        return assignee

    @property
    def metadata(self) -> dict[str, Any]:
        """The segment's own metadata."""
        return row.read_json(self._handle, "metadata")

    @property
    def thresholds(self) -> dict[str, float]:
        """Metric to the least value that passes."""
        return row.read_json(self._handle, "thresholds")

    @property
    def comments(self) -> pl.DataFrame:
        """The comments on the segment itself, oldest first: `author`, `time`, `text`."""
        return row.comments(self._handle)

    @property
    def is_archived(self) -> bool:
        """Whether it is archived: readable, but not changed."""
        return bool(row.read_row(self._handle)["archived"])

    @property
    def created_at(self) -> datetime:
        """When it was created, UTC."""
        time: datetime = row.read_row(self._handle)["created_at"]
        return time

    @property
    def created_by(self) -> str | None:
        """The author who created it."""
        author: str | None = row.read_row(self._handle)["created_by"]
        return author

    @property
    def updated_at(self) -> datetime:
        """When its name, state, thresholds or the like changed last, UTC.

        Elements have times of their own, in `tracking()`.
        """
        time: datetime = row.read_row(self._handle)["updated_at"]
        return time

    def to_dict(self) -> dict[str, Any]:
        """The segment as JSON can hold it; elements are left out."""
        return row.to_dict(self._handle)

    def passes(self, metrics: Metrics | Mapping[str, float | None]) -> pl.DataFrame:
        """Compare a model's figures with the thresholds.

        Args:
            metrics: An evaluation on the frames of the segment, or figures by name.

        Returns:
            A row a threshold: `metric`, `threshold`, `value`, `passed`. What is
            undefined, such as the precision of no inferences, does not pass.

        Raises:
            InvalidInputError: If a threshold is of a figure that is not given.
        """
        return compare_thresholds(self.thresholds, metrics)

    # ------------------------- CHANGING THE SEGMENT ------------------------- #

    def rename(self, name: str) -> None:
        """Give it another name; its elements stay.

        Raises:
            InvalidInputError: If the name cannot be one.
            AlreadyExistsError: If the name is taken.
        """
        Problems(name_problems(name)).raise_if_any()
        row.rename(self._handle, name)

    def set_state(self, state: str) -> None:
        """Set the state of the work on the segment.

        Args:
            state: `triage`, `labeling_campaign_active`, `in_progress`, `in_review`,
                `resolved`, `ignored`, `backlog` or `cancelled`.

        Raises:
            InvalidInputError: If it is none of these.
        """
        Problems(choice_problems("state", state, STATES)).raise_if_any()
        row.set_fields(self._handle, state=state)

    def set_assignee(self, assignee: str | None) -> None:
        """Set who takes care of it; None for nobody."""
        row.set_fields(self._handle, assignee=assignee)

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace its own metadata by anything JSON can hold."""
        row.set_fields(self._handle, metadata=json.dumps(dict(metadata)))

    def set_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Replace its thresholds.

        Args:
            thresholds: Metric to the least value that passes.

        Raises:
            InvalidInputError: If a value is no number, or the segment is not a split,
                a regression or a scenario.
        """
        # Only some types have thresholds, and a segment never changes its type.
        Problems(threshold_problems(thresholds, self.type)).raise_if_any()
        row.set_fields(self._handle, thresholds=json.dumps(dict(thresholds)))

    def archive(self, *, archived: bool = True) -> None:
        """Hide it from lists and refuse changes to it, or undo that.

        Its elements stay, and are read as before.
        """
        row.set_archived(self._handle, archived=archived)

    # --------------------------- READING ELEMENTS --------------------------- #

    @property
    def count(self) -> int:
        """The number of elements."""
        return self._handle.rows().height

    def elements(
        self, *, dataset: str | None = None, inference_set: str | None = None
    ) -> pl.DataFrame:
        """The elements as they were at their versions, whatever changed since.

        Args:
            dataset: Only those of this dataset.
            inference_set: Only those of this inference set.

        Returns:
            A row an element, sorted: `dataset`, `inference_set`, `frame_id`,
            `label_id` (not of frames), `version`, `status`, `batch`, `assignee`, then
            the row's columns as the snapshot had them.

        Raises:
            InvalidInputError: If a metadata field is of different types in different
                datasets: read them one by one.
        """
        rows = self._handle.rows(dataset, inference_set)
        return elements.elements(self._handle, rows)

    def labels(
        self, *, dataset: str | None = None, inference_set: str | None = None
    ) -> pl.DataFrame:
        """The labels of the segment's frames as they were at the frames' versions.

        Args:
            dataset: Only those of this dataset.
            inference_set: Only those of this inference set: its inferences.

        Returns:
            A row a label, sorted: `dataset`, `inference_set`, `frame_id`, `label_id`,
            `version`, then the label's columns.

        Raises:
            InvalidInputError: If the segment holds labels or inferences.
        """
        rows = self._handle.rows(dataset, inference_set)
        return elements.labels(self._handle, rows)

    def tracking(self) -> pl.DataFrame:
        """The work on each element, without its row: no dataset is read.

        Returns:
            A row an element, sorted: its ids, `version`, `earlier` versions, `status`,
            `batch`, `assignee`, `comments` (lists of author, time and text),
            `added_at`, `added_by`, `updated_at`.
        """
        return elements.tracking(self._handle, self._handle.rows())

    def batches(self) -> pl.DataFrame:
        """The batches of work, with the elements that are done in each.

        Returns:
            A row a batch, in order: `batch`, `elements`, `done`, `assignees`, and
            `status`: queued, assigned once somebody works on it, done when all is.
        """
        return elements.batches(self._handle.rows())

    def out_of_date(self) -> pl.DataFrame:
        """The elements that are not any more what they were when they were added.

        An element counts when it was deleted or changed itself; a frame also when
        its labels did. Vectors do not count, and what was changed back does not.

        Returns:
            A row an element, sorted: its ids, its `version`; `latest`, the version it
            was compared with; `reason`: deleted, changed or labels changed; `fields`
            that differ; and of frames `labels`: ids of those that differ.
        """
        stale = elements.stale_rows(self._handle, self._handle.rows())
        return elements.with_ids(stale, self.element_type)

    def current(self) -> pl.DataFrame:
        """The same elements as they are now: a row for each, in the same order.

        Returns:
            The ids, `version` (the latest), `is_deleted`, and the row's columns, null
            where it was deleted.
        """
        return elements.current(self._handle, self._handle.rows())

    def frame_ids(self, dataset: HasVersions | str) -> list[str]:
        """The frames of a dataset that are elements or have elements on them, sorted.

        Args:
            dataset: The dataset, or its name; frames of its inference sets count.
        """
        name = dataset if isinstance(dataset, str) else dataset.name
        frames = self._handle.rows(name).get_column("frame_id")
        return frames.unique().sort().to_list()

    def require_current(self) -> None:
        """Refuse to go on with elements that are out of date.

        Call it before work that uses the dataset as it is now, such as a search for
        frames that resemble an element.

        Raises:
            InvalidInputError: If elements are out of date; the first are named.
        """
        elements.require_current(self._handle)

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write the elements as they were, with the work on each, to a file.

        Args:
            path: A `.json` file: an object of `segment` and `elements`; or `.csv`,
                where lists and comments are JSON. A file that exists is replaced.

        Returns:
            How many elements were written.

        Raises:
            InvalidInputError: If the file is of another kind.
        """
        return elements.export(self._handle, path, self.to_dict())

    # ------------------------------- SEARCHING ------------------------------ #

    def similar(
        self,
        *,
        frame_id: str | None = None,
        label_id: str | None = None,
        dataset: str | None = None,
        inference_set: str | None = None,
        k: int = 10,
        metric: Metric = "euclidean",
        exact: bool | None = None,
    ) -> pl.DataFrame:
        """What the latest version has that resembles an element; the element left out.

        `snapshot.similar(…, within=segment)` searches the segment's elements instead.

        Args:
            frame_id: The element's frame.
            label_id: The element's label, or inference.
            dataset: The element's dataset, where several have one of these ids.
            inference_set: The element's inference set, likewise.
            k: How many neighbours.
            metric: `euclidean` or `cosine`.
            exact: As `snapshot.similar` takes it.

        Returns:
            As `snapshot.similar` does.

        Raises:
            InvalidInputError: If there is no such element, or it is out of date:
                refresh it, or search in the version that it belongs to.
            NotFoundError: If it has no vector.
        """
        named = {"frame_id": frame_id, "label_id": label_id, "dataset": dataset}
        named |= {"inference_set": inference_set}
        ids = {name: value for name, value in named.items() if value is not None}
        return search.similar(self._handle, ids, k=k, metric=metric, exact=exact)

    def candidates(
        self,
        source: Snapshot | HasVersions,
        *,
        k: int | None = 100,
        metric: Metric = "euclidean",
        unlabelled: bool = True,
    ) -> pl.DataFrame:
        """The frames that are most like what the segment holds: what to label next.

        Each frame is measured by the element that is nearest to it, as that element
        was when it was added. A segment of frames ranks the frames of any version; one
        of labels or inferences ranks those of an inference set by its inferences.

        Args:
            source: A snapshot, or a dataset or inference set: its latest version.
            k: How many frames; None for all.
            metric: `euclidean` or `cosine`.
            unlabelled: Leave out frames that have labels in the latest version of
                their dataset; frames of the segment itself are left out in any case.

        Returns:
            A row a frame, nearest first: `frame_id`, `distance`, and the element that
            is nearest: `like_dataset`, `like_frame_id`, `like_label_id` (not of
            frames).

        Raises:
            NotFoundError: If there are no vectors, on either side.
            InvalidInputError: If vectors are of different models, or the source is of
                another project.
        """
        return search.candidates(
            self._handle, source, k=k, metric=metric, unlabelled=unlabelled
        )

    def keys_in(self, corpus: Corpus) -> pl.DataFrame:
        """The keys of its elements in a version: what `similar(within=…)` searches.

        Raises:
            InvalidInputError: If it holds nothing of the kind, or the version has
                elements differently than they were added.
        """
        return search.keys_in(self._handle, corpus)

    # --------------------------- CHANGING ELEMENTS -------------------------- #

    def add(
        self,
        source: Snapshot | HasVersions,
        *,
        frames: ElementLike | None = None,
        labels: ElementLike | None = None,
        inferences: ElementLike | None = None,
        batch: str | None = None,
        batch_size: int | None = None,
        assignee: str | None = None,
    ) -> int:
        """Add elements as they are in a snapshot.

        Elements that are in the segment already stay at their version, so the call
        can be repeated.

        Args:
            source: A snapshot, or a dataset or inference set: its latest version.
                Without ids everything that it holds is added, so
                `snapshot.filter(…)` is enough.
            frames: Ids, or rows with `frame_id`.
            labels: Rows with `frame_id` and `label_id`, or ids of labels that only
                one frame has.
            inferences: The same for inferences.
            batch: The batch of work that they go into.
            batch_size: Put them into batches of that many instead, `batch_1` and on;
                the last one that nobody works on yet is filled up. 100 for a segment
                of type `work_queue`.
            assignee: Who works on them.

        Returns:
            How many were added.

        Raises:
            InvalidInputError: If ids are not in the snapshot, all of them listed, or
                the segment does not hold what was given. Nothing is written then.
            ArchivedError: If the segment or its project is archived.
        """
        # Refused before anything is read: a snapshot may be large.
        row.require_active(self._handle)
        size = changes.effective_batch_size(self._handle, batch, batch_size)
        given = elements_argument(
            self.element_type, frames=frames, labels=labels, inferences=inferences
        )
        return changes.add(
            self._handle,
            source if isinstance(source, Snapshot) else source.latest(),
            given,
            batch=batch,
            batch_size=size,
            assignee=assignee,
        )

    def remove(self, elements: ElementLike) -> int:
        """Take elements out of the segment; the dataset keeps them.

        Args:
            elements: Ids, or rows with `frame_id` and, for labels, `label_id`, such as
                parts of `elements()`.

        Returns:
            How many were removed.

        Raises:
            InvalidInputError: If some are not in the segment; all are listed.
        """
        return changes.update(self._handle, elements, changes.removed).gone.height

    def set_status(self, elements: ElementLike | None, status: str) -> int:
        """Set the status of the work on elements.

        Args:
            elements: As `remove` takes them; None for all.
            status: `unstarted` or `done`.

        Returns:
            How many changed.

        Raises:
            InvalidInputError: If the status is neither, or elements are unknown.
        """
        Problems(choice_problems("status", status, STATUSES)).raise_if_any()
        return changes.set_fields(self._handle, elements, status=status)

    def assign(
        self,
        elements: ElementLike | None = None,
        *,
        batch: str | None = None,
        assignee: str | None = None,
    ) -> int:
        """Put elements into a batch of work, give them to somebody, or both.

        Args:
            elements: As `remove` takes them; None for all.
            batch: The batch; they stay in theirs when left out.
            assignee: Who works on them; the same.

        Returns:
            How many changed.

        Raises:
            InvalidInputError: If neither is given, or elements are unknown.
        """
        given = {"batch": batch, "assignee": assignee}
        # None means "as it is" here; `assign_batch` is the call that takes work back.
        fields = {name: value for name, value in given.items() if value is not None}
        if not fields:
            raise InvalidInputError(
                "Nothing is assigned. Give batch=, assignee=, or both.",
                kind="segment.assign",
            )
        return changes.set_fields(self._handle, elements, **fields)

    def assign_batch(self, batch: str, assignee: str | None) -> int:
        """Give a batch of work to somebody, or take it back.

        Args:
            batch: As `batches()` names it.
            assignee: Who works on it; None for nobody.

        Returns:
            How many elements changed.

        Raises:
            InvalidInputError: If there is no such batch; the nearest is suggested.
        """
        return changes.assign_batch(self._handle, batch, assignee)

    def comment(self, text: str, elements: ElementLike | None = None) -> None:
        """Comment on elements, or on the segment.

        Args:
            text: The comment; your name and the time are kept with it.
            elements: As `remove` takes them; None for the segment itself.

        Raises:
            InvalidInputError: If elements are unknown.
        """
        if elements is None:
            row.add_comment(self._handle, text)
        else:
            changes.comment(self._handle, elements, text)

    def refresh(self, elements: ElementLike | None = None) -> int:
        """Move elements that are out of date to the latest version.

        The version that each had is kept in `tracking()`. Elements that were deleted
        stay as they are.

        Args:
            elements: As `remove` takes them; None for all.

        Returns:
            How many moved.

        Raises:
            InvalidInputError: If elements are unknown.
        """
        return changes.refresh(self._handle, elements)
