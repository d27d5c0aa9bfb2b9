"""The segments of one project: created, opened by name, and listed."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable, pick
from lakehouse.model.ids import new_upload_id
from lakehouse.model.problems import Problems
from lakehouse.segments.context import SegmentContext, SegmentHandle
from lakehouse.segments.row import require_free
from lakehouse.segments.rules import (
    ELEMENT_TYPES,
    STATES,
    TYPES,
    choice_problems,
    name_problems,
    threshold_problems,
)
from lakehouse.segments.segment import Segment
from lakehouse.segments.table import ElementTable
from lakehouse.storage import Store


class Segments:
    """The segments of a project, in its tables `segments` and `segment_elements`.

    Args:
        store: The store of the lake.
        project: The project's name.
        author: The author recorded with changes.
        require_active: Raises if the project is archived.
        open_collection: Opens by the names of a dataset and of an inference set, if it
            is one.
    """

    def __init__(
        self,
        store: Store,
        project: str,
        author: str | None,
        require_active: Callable[[], None],
        open_collection: Callable[[str, str], Collection],
    ) -> None:
        self._context = SegmentContext(
            store=store,
            project=project,
            author=author,
            require_active=require_active,
            open_collection=open_collection,
            segments=SingleTable(store, f"{project}/segments", "segments"),
            elements=ElementTable(store, f"{project}/segment_elements"),
        )

    def create(
        self,
        name: str,
        *,
        segment_type: str,
        element_type: str,
        assignee: str | None,
        metadata: Mapping[str, Any] | None,
        thresholds: Mapping[str, float] | None,
        exist_ok: bool,
    ) -> Segment:
        """Create a segment; `project.create_segment` documents the arguments.

        Raises:
            InvalidInputError: If anything is unusable; all of it is listed.
            AlreadyExistsError: If the name is taken, and not by such a segment where
                `exist_ok` is set.
        """
        limits = dict(thresholds or {})
        Problems(
            [
                *name_problems(name),
                *choice_problems("type", segment_type, TYPES),
                *choice_problems("element_type", element_type, ELEMENT_TYPES),
                *threshold_problems(limits, segment_type),
            ]
        ).raise_if_any()
        self._context.require_active()
        now = datetime.now(UTC)
        row: dict[str, Any] = {
            # Elements refer to the id, so that the name may change.
            "id": new_upload_id(),
            "name": name,
            "type": segment_type,
            "element_type": element_type,
            "state": STATES[0],
            "assignee": assignee,
            # JSON: the fields are the user's own, and the table has no columns for them.
            "metadata": json.dumps(dict(metadata or {})),
            "thresholds": json.dumps(limits),
            "comments": [],
            "archived": False,
            "created_at": now,
            "created_by": self._context.author,
            "updated_at": now,
        }

        same = {column: row[column] for column in ("name", "type", "element_type")}

        def change(rows: pl.DataFrame) -> pl.DataFrame:
            # Two callers may create one segment at once: the second finds the first's.
            if exist_ok and rows.filter(**same).height:
                return rows
            require_free(rows, name)
            return pl.concat([rows, pl.DataFrame([row], schema=rows.schema)])

        self._context.segments.update(change)
        return self.get(name)

    def get(self, name: str) -> Segment:
        """The segment of that name, or of that id.

        Raises:
            NotFoundError: If there is none; the nearest name is suggested.
        """
        rows = self._context.segments.rows()
        by_id = rows.filter(id=name)
        # A name wins over an id of the same text.
        by_name = not by_id.height or rows.filter(name=name).height
        row = pick(rows, "segment", name) if by_name else by_id.row(0, named=True)
        return self._segment(row)

    def listed(
        self,
        *,
        state: str | None,
        segment_type: str | None,
        dataset: str | None,
        archived: bool,
    ) -> list[Segment]:
        """Segments by name; None takes all.

        Raises:
            InvalidInputError: If there is no such state or type; both are reported.
        """
        choices = (("state", state, STATES), ("type", segment_type, TYPES))
        Problems(
            [
                problem
                for field, value, known in choices
                if value is not None
                for problem in choice_problems(field, value, known)
            ]
        ).raise_if_any(lead="Segments cannot be listed by these.")
        # False <= True: with archived=True all rows pass.
        rows = self._context.segments.rows().filter(pl.col("archived") <= archived)
        if state is not None:
            rows = rows.filter(state=state)
        if segment_type is not None:
            rows = rows.filter(type=segment_type)
        if dataset is not None:
            # Two columns of one table answer this for all segments at once.
            places = self._context.elements.places().filter(dataset=dataset)
            rows = rows.join(places, left_on="id", right_on="segment", how="semi")
        return [self._segment(row) for row in rows.sort("name").iter_rows(named=True)]

    def _segment(self, row: Mapping[str, Any]) -> Segment:
        return Segment(SegmentHandle(self._context, row["id"], row["element_type"]))
