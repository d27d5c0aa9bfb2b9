"""The segments of one project: made, found and listed."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable, pick
from lakehouse.model.ids import new_upload_id
from lakehouse.model.problems import raise_if_any
from lakehouse.segments.home import Home
from lakehouse.segments.row import require_free
from lakehouse.segments.rules import (
    ELEMENT_TYPES,
    STATES,
    TYPES,
    choice_faults,
    name_faults,
    threshold_faults,
)
from lakehouse.segments.segment import Segment
from lakehouse.segments.table import ElementTable
from lakehouse.storage import Store


class Segments:
    """The segments of a project, in its tables `segments` and `segment_elements`.

    Args:
        store: Where the lake lies.
        project: The project's name.
        author: Whom changes name.
        require_active: Raises if the project is archived.
        open_collection: By the names of a dataset and of an inference set, if it is one.
    """

    def __init__(
        self,
        store: Store,
        project: str,
        author: str | None,
        require_active: Callable[[], None],
        open_collection: Callable[[str, str], Collection],
    ) -> None:
        self._home = Home(
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
        """Make a segment; `project.create_segment` tells the meaning of arguments.

        Raises:
            InvalidInputError: If anything is unusable; all of it is listed.
            AlreadyExistsError: If the name is taken, and not by such a segment where
                `exist_ok` is set.
        """
        limits = dict(thresholds or {})
        raise_if_any(
            [
                *name_faults(name),
                *choice_faults("type", segment_type, TYPES),
                *choice_faults("element_type", element_type, ELEMENT_TYPES),
                *threshold_faults(limits, segment_type),
            ]
        )
        self._home.require_active()
        now = datetime.now(UTC)
        row: dict[str, Any] = {
            "id": new_upload_id(),
            "name": name,
            "type": segment_type,
            "element_type": element_type,
            "state": STATES[0],
            "assignee": assignee,
            "metadata": json.dumps(dict(metadata or {})),
            "thresholds": json.dumps(limits),
            "comments": [],
            "archived": False,
            "created_at": now,
            "created_by": self._home.author,
            "updated_at": now,
        }

        def change(rows: pl.DataFrame) -> pl.DataFrame:
            if exist_ok and _is_there(rows, row):
                return rows
            require_free(rows, name)
            return pl.concat([rows, pl.DataFrame([row], schema=rows.schema)])

        self._home.segments.update(change)
        return self.get(name)

    def get(self, name: str) -> Segment:
        """The segment of that name, or of that id.

        Raises:
            NotFoundError: If there is none; the nearest name is suggested.
        """
        rows = self._home.segments.rows()
        by_id = rows.filter(id=name)
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
            InvalidInputError: If there is no such state or type; both are told.
        """
        asked = (("state", state, STATES), ("type", segment_type, TYPES))
        raise_if_any(
            [
                fault
                for field, value, known in asked
                if value is not None
                for fault in choice_faults(field, value, known)
            ],
            lead="No segments can be chosen so.",
        )
        rows = self._home.segments.rows().filter(pl.col("archived") <= archived)
        if state is not None:
            rows = rows.filter(state=state)
        if segment_type is not None:
            rows = rows.filter(type=segment_type)
        if dataset is not None:
            mine = self._home.elements.places().filter(dataset=dataset)
            rows = rows.join(mine, left_on="id", right_on="segment", how="semi")
        return [self._segment(row) for row in rows.sort("name").iter_rows(named=True)]

    def _segment(self, row: Mapping[str, Any]) -> Segment:
        return Segment(self._home, row["id"], row["element_type"])


def _is_there(rows: pl.DataFrame, row: Mapping[str, Any]) -> bool:
    """Whether there is a segment of that name, and of those types."""
    same = {name: row[name] for name in ("name", "type", "element_type")}
    return bool(rows.filter(**same).height)
