"""A segment, as users meet it: elements that stay as they were when they were added.

    segment = project.create_segment(
        "loose boxes", type="label_quality", element_type="label"
    )
    segment.add(dataset.at(3), labels=[{"frame_id": "f1", "label_id": "a"}])
    segment.elements()        the labels as they were at version 3, for ever
    segment.out_of_date()     those that are not like that any more, and why
    segment.refresh()         moves these to the latest version; the old one is noted

Nothing that is done to the dataset moves an element; only `refresh` does.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.model.problems import raise_if_any
from lakehouse.segments.refs import ElementLike, given_of, keys_in, meant, refs_of
from lakehouse.segments.rules import BATCH_SIZE, STATUSES, choice_faults
from lakehouse.segments.search import Searching
from lakehouse.segments.staleness import (
    KEY,
    added,
    commented,
    moved,
    removed,
    with_fields,
)
from lakehouse.segments.table import Change
from lakehouse.versions.snapshot import HasVersions, Snapshot


class Segment(Searching):
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
        self._require_active()
        size = self._batch_size(batch, batch_size)
        given = given_of(
            self._kind, frames=frames, labels=labels, inferences=inferences
        )
        snapshot = source if isinstance(source, Snapshot) else source.latest()
        place = self._home.place_of(snapshot)
        where = f"version {snapshot.version} of {place}"
        keys = keys_in(snapshot, self._kind, given, where=where)
        now = datetime.now(UTC)
        fields = {
            "segment": self.id,
            "version": snapshot.version,
            "status": STATUSES[0],
            "batch": batch,
            "assignee": assignee,
            "added_at": now,
            "added_by": self._home.author,
            "updated_at": now,
        }
        full = keys.with_columns(
            dataset=pl.lit(place.dataset),
            inference_set=pl.lit(place.inference_set),
            label_id="label_id" if "label_id" in keys.columns else pl.lit(""),
        ).select(KEY)
        done = self._home.elements.update(
            self.id, lambda rows: added(rows, full, fields, size)
        )
        return done.put.height

    def remove(self, elements: ElementLike) -> int:
        """Take elements out of the segment; the dataset keeps them.

        Args:
            elements: Ids, or rows with `frame_id` and, for labels, `label_id`, such as
                parts of `elements()`.

        Returns:
            How many went.

        Raises:
            InvalidInputError: If some are not in the segment; all are listed.
        """
        done = self._update(elements, removed)
        return done.gone.height

    def set_status(self, elements: ElementLike | None, status: str) -> int:
        """Say how far the work on elements is.

        Args:
            elements: As `remove` takes them; None for all.
            status: `unstarted` or `done`.

        Returns:
            How many changed.

        Raises:
            InvalidInputError: If the status is neither, or elements are unknown.
        """
        raise_if_any(choice_faults("status", status, STATUSES))
        return self._set(elements, {"status": status})

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
        fields = {name: value for name, value in given.items() if value is not None}
        if not fields:
            raise InvalidInputError(
                "Nothing is assigned. Give batch=, assignee=, or both.",
                kind="segment.assign",
            )
        return self._set(elements, fields)

    def comment(self, text: str, elements: ElementLike | None = None) -> None:
        """Say something about elements, or about the segment.

        Args:
            text: What to say; your name and the time are kept with it.
            elements: As `remove` takes them; None for the segment itself.

        Raises:
            InvalidInputError: If elements are unknown.
        """
        now, author = datetime.now(UTC), self._home.author
        if elements is None:
            self._comment(text, now)
        else:
            self._update(elements, lambda _, mine: commented(mine, author, text, now))

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
        self._require_active()
        refs = None if elements is None else refs_of(elements, self._kind)
        mine = self._meant(self._rows(), refs)
        moves = self._stale(mine).filter(pl.col("reason") != "deleted")
        now = datetime.now(UTC)
        done = self._home.elements.update(
            self.id,
            lambda rows: moved(rows, moves.select(*KEY, "version", "latest"), now),
        )
        return done.put.height

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
        now = datetime.now(UTC)

        def change(rows: pl.DataFrame, _: pl.DataFrame) -> Change:
            mine = rows.filter(batch=batch)
            if not mine.height:
                known = rows.get_column("batch").drop_nulls().unique().sort().to_list()
                raise_if_any(choice_faults("batch", batch, known))
            return with_fields(mine, {"assignee": assignee}, now)

        return self._update(None, change).put.height

    def _batch_size(self, batch: str | None, size: int | None) -> int | None:
        """How large batches are; None where elements go into none by themselves."""
        if size is None:
            is_queue = batch is None and self.type == "work_queue"
            return BATCH_SIZE if is_queue else None
        if batch is not None or size < 1:
            raise InvalidInputError(
                f"A batch of {size} elements"
                + (f", and batch {batch!r}" if batch is not None else "")
                + ": give batch=, or batch_size= from 1 on.",
                kind="segment.batch_size",
            )
        return size

    def _set(self, elements: ElementLike | None, fields: dict[str, Any]) -> int:
        now = datetime.now(UTC)
        done = self._update(elements, lambda _, mine: with_fields(mine, fields, now))
        return done.put.height

    def _update(
        self,
        elements: ElementLike | None,
        change: Callable[[pl.DataFrame, pl.DataFrame], Change],
    ) -> Change:
        """Change those elements that are meant, once: `change(rows, mine)`."""
        self._require_active()
        refs = None if elements is None else refs_of(elements, self._kind)
        return self._home.elements.update(
            self.id, lambda rows: change(rows, self._meant(rows, refs))
        )

    def _meant(self, rows: pl.DataFrame, refs: pl.DataFrame | None) -> pl.DataFrame:
        if refs is None:
            return rows
        return meant(refs, rows, self._kind, where=f"segment {self.name!r}")

    def __repr__(self) -> str:
        row = self._row()
        archived = ", archived" if row["archived"] else ""
        return (
            f"<Segment {row['name']!r} ({row['type']}, {row['state']}{archived}): "
            f"{self.count:,} {self._kind}s>"
        )
