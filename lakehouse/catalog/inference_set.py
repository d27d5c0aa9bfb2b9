"""An inference set: the inferences of a model on a dataset's frames, and a pin.

It has versions, histories and uploads as a dataset has. It is measured against the
version of the dataset that it is pinned to; later changes of the dataset do not move
the pin.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, Unpack

import polars as pl

from lakehouse.catalog.evaluation import (
    MetricOptions,
    Parameters,
    TaskSpec,
    measure,
)
from lakehouse.catalog.registry import RegistryRow
from lakehouse.catalog.settings import Settings
from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import ConflictError, InvalidInputError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable
from lakehouse.metrics import Metrics
from lakehouse.model.contracts import INFERENCE_SET
from lakehouse.model.operations import Operations
from lakehouse.segments import Segment
from lakehouse.transactions.tags import move_pin, settle_pin
from lakehouse.types import FrameLike, LabelLike, SourceLike, TableLike, VersionLike
from lakehouse.uploads import Load, LoadOptions, run_load
from lakehouse.uploads.draft import Draft, Nulls
from lakehouse.uploads.submit import SubmitOptions
from lakehouse.uploads.upload import Upload
from lakehouse.versions.resolve import resolve
from lakehouse.versions.snapshot import Snapshot, snapshot_at

_FIGURE: Final = pl.Struct(
    {"metric": pl.String(), "before": pl.Float64(), "after": pl.Float64()}
)
_MOVES: Final = pl.Schema(
    {
        "from": pl.Int64(),
        "to": pl.Int64(),
        "at": pl.String(),
        "author": pl.String(),
        "message": pl.String(),
        "metrics": pl.List(_FIGURE),
    }
)


class InferenceDraft(Draft):
    """Collects operations on inferences; `inference_set.open_upload()` submits them."""

    def __init__(self) -> None:
        super().__init__(INFERENCE_SET)

    def add_inferences(
        self,
        inferences: LabelLike | None,
        frames: FrameLike | Sequence[str] | None = None,
    ) -> None:
        """Add frames with their inferences, or replace frames with all they have."""
        if frames is not None:
            self.add(frames)
        if inferences is None:
            return
        self.upsert_labels(inferences)
        # Every inference needs its frame: those that no call of this draft has named
        # are added by their ids.
        *earlier, last = self._parts
        if not last.labels.width:
            return
        unnamed = last.labels.select("frame_id").drop_nulls()
        unnamed = unnamed.unique(maintain_order=True)
        for part in earlier:
            if part.frames.width:
                named = part.frames.select("frame_id")
                unnamed = unnamed.join(
                    named, on="frame_id", how="anti", maintain_order="left"
                )
        self.add(unnamed)


class InferenceSet(Versioned):
    """Inferences with a history and a pin. Made by `dataset.inference_set()`."""

    def __init__(
        self,
        name: str,
        collection: Collection,
        base: Collection,
        registry: SingleTable,
        settings: Settings,
        *,
        task_spec: TaskSpec | None = None,
    ) -> None:
        key = f"{base.path.rpartition('/')[2]}/{name}"
        row = RegistryRow(registry, "inference_set", key)
        super().__init__(name, collection, row, settings)
        # Merges check the frames of inferences against the dataset.
        collection.base = base
        self._base = base
        self._task_spec = task_spec or TaskSpec()
        self._metrics_cache = SingleTable(
            collection.store, f"{collection.path}/metrics", "metrics"
        )

    # -------------------------------- WRITING ------------------------------- #

    def add(
        self,
        inferences: LabelLike | None,
        frames: FrameLike | Sequence[str] | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Add the inferences of a model on frames, or replace all that frames have.

        Args:
            inferences: Rows with `frame_id`, `label_id`, `class_name`, geometry and
                `confidence`.
            frames: The frames that the model saw: ids, or rows with metadata and
                custom metrics. Those of the inferences when left out; a frame that
                is named and has no inference counts as seen.
            **options: As `submit` takes them.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = InferenceDraft()
        draft.add_inferences(inferences, frames)
        return self.submit(draft.operations(), **options)

    def load(
        self,
        inferences: SourceLike,
        frames: SourceLike | None = None,
        **options: Unpack[LoadOptions],
    ) -> Load:
        """Add inferences from sources of any size, in parts, each an upload.

        Args:
            inferences: A file, a folder or a pattern of Parquet, Arrow IPC, CSV or
                JSON lines; or a LazyFrame.
            frames: The same for frames, those without an inference included.
            **options: As `dataset.load` takes them.

        Raises:
            InvalidInputError: As `dataset.load` does.
        """

        def draft_part(*tables: TableLike) -> Operations:
            draft = InferenceDraft()
            draft.add_inferences(*tables)
            return draft.operations()

        return run_load(self, (inferences, frames), draft_part, options)

    def modify(
        self,
        frames: FrameLike | None = None,
        inferences: LabelLike | None = None,
        *,
        nulls: Nulls = "keep",
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Merge the given fields into frames and inferences that exist.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = InferenceDraft()
        draft.modify(frames, inferences, nulls=nulls)
        return self.submit(draft.operations(), **options)

    def upsert_inferences(
        self, inferences: LabelLike, **options: Unpack[SubmitOptions]
    ) -> Upload:
        """Create inferences, or replace existing ones; all others stay.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = InferenceDraft()
        draft.upsert_labels(inferences)
        return self.submit(draft.operations(), **options)

    def delete(
        self,
        frames: FrameLike | list[str] | None = None,
        inferences: LabelLike | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Upload:
        """Remove frames, or single inferences, from the latest version.

        Raises:
            InvalidInputError: If the rows cannot be read. Nothing is written.
        """
        draft = InferenceDraft()
        draft.delete(frames, inferences)
        return self.submit(draft.operations(), **options)

    @contextmanager
    def open_upload(
        self, **options: Unpack[SubmitOptions]
    ) -> Generator[InferenceDraft]:
        """Combine several verbs into one upload, submitted when the block ends."""
        draft = InferenceDraft()
        yield draft
        draft.upload = self.submit(draft.operations(), **options)

    # ---------------------------------- PIN --------------------------------- #

    @property
    def pin(self) -> int | None:
        """The version of the dataset that the set is measured against.

        None while uploads to the dataset that came before the set wait to be merged.
        """
        row = self._pin_row()
        return None if row is None else int(row["version"])

    def repin(self, ref: VersionLike, *, message: str | None = None) -> int:
        """Measure the set against another version of the dataset, from now on.

        The change of the metrics is recorded with the move: see `pins`.

        Args:
            ref: A version of the dataset, as `dataset.at` takes it.
            message: Why.

        Raises:
            NotFoundError: If the dataset never had such a version.
            ConflictError: If the set is not pinned yet.
        """
        # The figures are computed before the pin moves, and recorded with the move.
        version = resolve(self._base, ref)
        before = self._require_pin()
        if version != before:
            move_pin(
                self._base,
                self.name,
                version,
                author=self._settings.author,
                message=message,
                details={"metrics": self._changed_figures(before, version)},
            )
        return version

    def _changed_figures(self, before: int, after: int) -> list[dict[str, Any]]:
        """The figures that differ between two versions of the labels."""
        try:
            compared = self.metrics(at=before).compare(self.metrics(at=after))
        except InvalidInputError:
            # A pin may be moved away from labels that cannot be evaluated.
            return []
        figures = compared.summary().select("metric", before="this", after="other")
        return figures.filter(pl.col("before").ne_missing(pl.col("after"))).to_dicts()

    def pins(self) -> pl.DataFrame:
        """Every move of the pin, with the change of the metrics.

        Returns:
            `from`, `to`, `at`, `author`, `message`, and `metrics`: of each figure
            that changed at the default thresholds, its value `before` and `after`.
        """
        row = self._pin_row()
        moves = [] if row is None else json.loads(row["metadata"])["moves"]
        return pl.DataFrame(moves, schema=_MOVES).with_columns(
            pl.col("at").str.to_datetime(time_unit="us", time_zone="UTC")
        )

    def ground_truth(self) -> Snapshot:
        """The dataset at the pin: the labels that inferences are measured against.

        Raises:
            ConflictError: If the set is not pinned yet.
        """
        return snapshot_at(self._base, self._require_pin())

    # -------------------------------- METRICS ------------------------------- #

    def metrics(
        self,
        *,
        iou: float = 0.5,
        confidence: float = 0.1,
        at: VersionLike | None = None,
        version: VersionLike = "latest",
        frames: Literal["seen", "all"] = "seen",
        segment: Segment | None = None,
        cached: bool = True,
        **options: Unpack[MetricOptions],
    ) -> Metrics:
        """The metrics of the inferences against the labels of the pinned version.

        A pure function of the pin, the set's version, the class map and the
        parameters: later changes of the dataset do not move it. It is computed once,
        and cached.

        Args:
            iou: The least overlap of a match.
            confidence: Inferences with less confidence are left out.
            at: Another version of the dataset to measure against; the pin when left
                out.
            version: The version of this set.
            frames: `seen` counts the frames that the set has, `all` those of the
                dataset's version.
            segment: Only frames that are elements of it, or that have elements on
                them; `segment.passes(metrics)` compares the figures with its
                thresholds.
            cached: Use metrics that were computed before.
            **options: `max_detections`, `geometry` and `negative_class`, as
                `lakehouse.metrics.evaluate` takes them.

        Raises:
            ConflictError: If the set is not pinned yet.
            InvalidInputError: If a parameter is out of range, rows cannot be
                evaluated (all problems are listed), or the segment has no frames of
                the dataset.
            NotFoundError: If there is no such version.
        """
        pin = self._require_pin()
        truth = pin if at is None else resolve(self._base, at)
        return measure(
            snapshot_at(self._base, truth),
            self.at(version),
            Parameters(
                self._task_spec,
                iou,
                confidence,
                frames,
                options,
                self._frames_in(segment),
            ),
            self._metrics_cache if cached else None,
        )

    def _frames_in(self, segment: Segment | None) -> tuple[str, ...] | None:
        """The frames of a segment that belong to the dataset of this set.

        Raises:
            InvalidInputError: If there are none.
        """
        if segment is None:
            return None
        dataset = self._base.path.rpartition("/")[2]
        frame_ids = tuple(segment.frame_ids(dataset))
        if not frame_ids:
            raise InvalidInputError(
                f"Segment {segment.name!r} has no frames of dataset {dataset!r}, so there "
                "is nothing to measure. segment.elements() lists what it has.",
                kind="metrics.segment",
            )
        return frame_ids

    def _pin_row(self) -> dict[str, Any] | None:
        waits_for = json.loads(self._registry_row.read()["awaits"] or "[]")
        return settle_pin(self._base, self.name, waits_for, self._settings.author)

    def _require_pin(self) -> int:
        pin = self.pin
        if pin is None:
            raise ConflictError(
                f"Inference set {self.name!r} is not pinned yet: earlier uploads to its "
                "dataset wait to be merged. dataset.merge_pending() or `lakehouse run "
                "merge` merges them.",
                kind="pin.waits",
            )
        return pin

    # -------------------------------- THE SET ------------------------------- #

    def __repr__(self) -> str:
        latest = self._collection.latest()
        pinned = "not pinned yet" if self.pin is None else f"pinned to {self.pin}"
        return (
            f"<InferenceSet {self._registry_row.key} version {latest.version}, {pinned}: "
            f"{latest.rows['frames']} frames, {latest.rows['labels']} inferences>"
        )
