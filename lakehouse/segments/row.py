"""What a segment is called, what it is for and how far it is: its row in `segments`."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.errors import AlreadyExistsError, ArchivedError, NotFoundError
from lakehouse.metrics import Metrics
from lakehouse.model.problems import raise_if_any
from lakehouse.segments.home import Home
from lakehouse.segments.rules import (
    STATES,
    choice_faults,
    name_faults,
    passed,
    threshold_faults,
)
from lakehouse.types import ElementType


class Described:
    """A segment's own row, read afresh each time."""

    def __init__(self, home: Home, segment_id: str) -> None:
        self._home = home
        self.id = segment_id

    # -------------------------------- READING ------------------------------- #

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self._row()["name"])

    @property
    def type(self) -> str:
        """What it is for, such as `label_quality`."""
        return str(self._row()["type"])

    @property
    def element_type(self) -> ElementType:
        """What it holds: frame, label or inference."""
        found: ElementType = self._row()["element_type"]
        return found

    @property
    def state(self) -> str:
        """How far it is: `triage` at first."""
        return str(self._row()["state"])

    @property
    def assignee(self) -> str | None:
        """Who takes care of it."""
        found: str | None = self._row()["assignee"]
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """Its own metadata."""
        found: dict[str, Any] = json.loads(self._row()["metadata"] or "{}")
        return found

    @property
    def thresholds(self) -> dict[str, float]:
        """Metric to the least value that passes."""
        found: dict[str, float] = json.loads(self._row()["thresholds"] or "{}")
        return found

    @property
    def comments(self) -> pl.DataFrame:
        """What people said of the segment, oldest first: `author`, `time`, `text`."""
        rows = self._home.segments.rows().filter(id=self.id)
        return rows.select(pl.col("comments").explode()).drop_nulls().unnest("comments")

    @property
    def is_archived(self) -> bool:
        """Whether it is archived: readable, and not changed."""
        return bool(self._row()["archived"])

    @property
    def created_at(self) -> datetime:
        """When it was made, UTC."""
        at: datetime = self._row()["created_at"]
        return at

    @property
    def created_by(self) -> str | None:
        """Who made it."""
        author: str | None = self._row()["created_by"]
        return author

    @property
    def updated_at(self) -> datetime:
        """When its description was changed last, UTC; elements have times of their own."""
        at: datetime = self._row()["updated_at"]
        return at

    def passes(self, metrics: Metrics | Mapping[str, float | None]) -> pl.DataFrame:
        """Which thresholds a model reaches.

        Args:
            metrics: An evaluation on the frames of the segment, or figures by name.

        Returns:
            A row a threshold: `metric`, `threshold`, `value`, `passed`. What is
            undefined, such as the precision of no inferences, does not pass.

        Raises:
            InvalidInputError: If there are thresholds of figures that there are not.
        """
        return passed(self.thresholds, metrics)

    def to_dict(self) -> dict[str, Any]:
        """What the segment is, as JSON can hold it; elements are left out."""
        row = self._row()
        return {
            "id": row["id"],
            "name": row["name"],
            "project": self._home.project,
            "type": row["type"],
            "element_type": row["element_type"],
            "state": row["state"],
            "assignee": row["assignee"],
            "metadata": self.metadata,
            "thresholds": self.thresholds,
            "comments": [
                comment | {"time": comment["time"].isoformat()}
                for comment in row["comments"] or []
            ],
            "archived": row["archived"],
            "created_at": row["created_at"].isoformat(),
            "created_by": row["created_by"],
            "updated_at": row["updated_at"].isoformat(),
        }

    # ------------------------------- CHANGING ------------------------------- #

    def rename(self, name: str) -> None:
        """Give it another name; its elements stay.

        Raises:
            InvalidInputError: If the name cannot be one.
            AlreadyExistsError: If the name is taken.
        """
        raise_if_any(name_faults(name))

        def change(rows: pl.DataFrame) -> dict[str, Any]:
            require_free(rows.filter(pl.col("id") != self.id), name)
            return {"name": name}

        self._change(change)

    def set_state(self, state: str) -> None:
        """Say how far it is.

        Args:
            state: `triage`, `labeling_campaign_active`, `in_progress`, `in_review`,
                `resolved`, `ignored`, `backlog` or `cancelled`.

        Raises:
            InvalidInputError: If it is none of these.
        """
        raise_if_any(choice_faults("state", state, STATES))
        self._change(lambda _: {"state": state})

    def set_assignee(self, assignee: str | None) -> None:
        """Say who takes care of it."""
        self._change(lambda _: {"assignee": assignee})

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace its own metadata by anything JSON can hold."""
        text = json.dumps(dict(metadata))
        self._change(lambda _: {"metadata": text})

    def set_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Replace its thresholds.

        Args:
            thresholds: Metric to the least value that passes.

        Raises:
            InvalidInputError: If a value is no number, or the segment is not a split,
                a regression or a scenario.
        """
        raise_if_any(threshold_faults(thresholds, self.type))
        text = json.dumps(dict(thresholds))
        self._change(lambda _: {"thresholds": text})

    def archive(self, *, archived: bool = True) -> None:
        """Hide it from lists and refuse changes to it, or undo that.

        Its elements stay, and are read as before.
        """
        self._change(lambda _: {"archived": archived}, even_archived=True)

    def _comment(self, text: str, now: datetime) -> None:
        said = {"author": self._home.author, "time": now, "text": text}

        def change(rows: pl.DataFrame) -> dict[str, Any]:
            before = rows.filter(id=self.id).row(0, named=True)["comments"] or []
            return {"comments": [*before, said]}

        self._change(change)

    # -------------------------------- ITS ROW ------------------------------- #

    def _row(self) -> dict[str, Any]:
        return self._picked(self._home.segments.rows())

    def _picked(self, rows: pl.DataFrame) -> dict[str, Any]:
        found = rows.filter(id=self.id)
        if found.height:
            return found.row(0, named=True)
        raise NotFoundError(
            f"There is no segment {self.id!r} in project {self._home.project!r}.",
            kind="segment.unknown",
        )

    def _require_active(self) -> None:
        self._home.require_active()
        self._require_open(self._row())

    @staticmethod
    def _require_open(row: Mapping[str, Any]) -> None:
        if row["archived"]:
            raise ArchivedError(
                f"The segment {row['name']!r} is archived. Undo it with its "
                "archive(archived=False).",
                kind="segment.archived",
            )

    def _change(
        self,
        change: Callable[[pl.DataFrame], dict[str, Any]],
        *,
        even_archived: bool = False,
    ) -> None:
        """Replace fields of the row once, whoever else changes it at the same time."""
        self._home.require_active()
        now = datetime.now(UTC)

        def replaced(rows: pl.DataFrame) -> pl.DataFrame:
            old = self._picked(rows)
            if not even_archived:
                self._require_open(old)
            fields = change(rows)
            if all(old[name] == value for name, value in fields.items()):
                return rows
            new = pl.DataFrame([old | fields | {"updated_at": now}], schema=rows.schema)
            return pl.concat([rows.filter(pl.col("id") != self.id), new])

        self._home.segments.update(replaced)


def require_free(rows: pl.DataFrame, name: str) -> None:
    """Refuse a name that a segment has.

    Raises:
        AlreadyExistsError: If it is taken, be it by an archived one.
    """
    taken = rows.filter(name=name)
    if taken.height:
        archived = ", which is archived" if taken["archived"].any() else ""
        raise AlreadyExistsError(
            f"There is a segment {name!r} already{archived}. Choose another name.",
            kind="segment.exists",
        )
