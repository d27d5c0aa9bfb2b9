"""What users hold: figures, and the tables that explain them."""

import html
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.metrics.changes import changed_areas, changed_outcomes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def short(value: float | None) -> str:
    """A figure in a few characters.

    >>> short(0.12345), short(12345), short(None)
    ('0.123', '12,345', 'undefined')
    """
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def as_html(title: str, rows: Any, notes: Iterable[str] = ()) -> str:  # noqa: ANN401
    """A heading, a table with all its rows, and notes.

    Args:
        title: The heading, as text.
        rows: A DataFrame.
        notes: Sentences.
    """
    with pl.Config(tbl_rows=-1, fmt_str_lengths=200, tbl_hide_dataframe_shape=True):
        table = str(rows._repr_html_())
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"<p>{html.escape(title)}</p>{table}" + (
        f"<ul>{listed}</ul>" if listed else ""
    )


_CAUSE: Final = (
    "item",
    "cause",
    "class_this",
    "class_other",
    "outcome_this",
    "outcome_other",
)


@dataclass(frozen=True, repr=False)
class Comparison:
    """`this` and `other`; a delta is `other` less `this`. Made by `metrics.compare()`."""

    this: "Metrics"
    other: "Metrics"

    def summary(self) -> pl.DataFrame:
        """`metric`, `this`, `other`, `delta`, `meaning`: every figure of either."""
        theirs = self.other.summary().rename({"value": "other"})
        mine = self.this.summary().rename({"value": "this"})
        joined = _joined(mine, theirs, ["metric"])
        delta = (pl.col("other") - pl.col("this")).alias("delta")
        meaning = pl.coalesce("meaning", "meaning_other")
        return joined.select("metric", "this", "other", delta, meaning)

    def per_class(self) -> pl.DataFrame:
        """`class_name`, `metric`, `this`, `other`, `delta`: every figure of each class."""
        sides = [
            metrics.per_class()
            .unpivot(index="class_name", variable_name="metric", value_name=name)
            .with_columns(pl.col(name).cast(pl.Float64))
            for metrics, name in ((self.this, "this"), (self.other, "other"))
        ]
        joined = _joined(sides[0], sides[1], ["class_name", "metric"])
        return joined.with_columns(delta=pl.col("other") - pl.col("this"))

    def frames(self) -> pl.DataFrame:
        """The frames whose figures differ, by id.

        Returns:
            `frame_id`, and for every figure of `per_frame()` it is in `this` and in
            `other`: `tp`, `tp_other`, …; null where the frame does not count.
        """
        mine, theirs = self.this.per_frame(), self.other.per_frame()
        joined = _joined(mine, theirs, ["frame_id"])
        figures = [name for name in mine.columns if name != "frame_id"]
        differ = pl.any_horizontal(
            pl.col(name).ne_missing(pl.col(f"{name}_other")) for name in figures
        )
        pairs = [column for name in figures for column in (name, f"{name}_other")]
        return joined.filter(differ).select("frame_id", *pairs).sort("frame_id")

    def changes(self) -> pl.DataFrame:
        """The labels and inferences whose outcome differs, and why.

        A label's cause is a change of the label where there is one (`label added`,
        `label removed`, `label class changed`, `label moved`, `label ignored`), else
        why it is missed in one of the two (see `Metrics.matches`). False positives
        are followed by the inference's id: `inference added`, `inference removed`,
        `inference class changed`, `inference moved`, else why it is one. A frame
        that counts in one of the two alone is the cause `frame left out`.

        Returns:
            `frame_id`, `item` (label or inference), `id`, `class_this`,
            `class_other`, `outcome_this`, `outcome_other`, `cause`; an outcome is
            null where there is none. Of masks: `frame_id`, `coordinate_frame`,
            `class_name`, `iou`, `iou_other`.
        """
        return self._changes

    def causes(self) -> pl.DataFrame:
        """What explains the difference, counted: the commonest first.

        Returns:
            `item`, `cause`, `class_this`, `class_other`, `outcome_this`,
            `outcome_other` and `count`, of the rows of `changes()`. Of masks there
            are none: pixels have no history.
        """
        rows = self.changes()
        if "cause" not in rows.columns:
            return pl.DataFrame(schema=dict.fromkeys((*_CAUSE, "count"), pl.String))
        counted = rows.group_by(_CAUSE).agg(count=pl.len())
        return counted.sort(
            "count", *_CAUSE, descending=[True, *(False for _ in _CAUSE)]
        )

    @property
    def notes(self) -> list[str]:
        """What a reader should know: whether both were asked the same."""
        pairs = {
            "labels of version": (
                self.this.source.get("labels"),
                self.other.source.get("labels"),
            ),
            **{
                name: (value, self.other.parameters.get(name))
                for name, value in self.this.parameters.items()
            },
        }
        return [
            f"{name}: {mine} and {theirs}."
            for name, (mine, theirs) in pairs.items()
            if mine != theirs
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as values that JSON knows."""
        return {
            "this": dict(self.this.source),
            "other": dict(self.other.source),
            "notes": self.notes,
            "summary": self.summary().to_dicts(),
            "per_class": self.per_class().to_dicts(),
            "causes": self.causes().to_dicts(),
        }

    @cached_property
    def _changes(self) -> pl.DataFrame:
        tables = [one.matches() for one in (self.this, self.other)]
        if "outcome" not in tables[0].columns:
            return changed_areas(*tables)
        both = [one.frames.select("frame_id") for one in (self.this, self.other)]
        shared = both[0].join(both[1], on="frame_id", how="semi")
        contents = [one.evidence.content() for one in (self.this, self.other)]
        return changed_outcomes(tables, contents, shared["frame_id"])

    def __repr__(self) -> str:
        return f"<Comparison of {self.this!r} with {self.other!r}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self), self.summary(), self.notes)


def _joined(mine: pl.DataFrame, theirs: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """All rows of either, in the order of the first."""
    return mine.join(
        theirs,
        on=on,
        how="full",
        coalesce=True,
        suffix="_other",
        maintain_order="left_right",
    )


class Evidence(Protocol):
    """Everything a task's evaluation found; tables are made when asked for."""

    @property
    def meanings(self) -> dict[str, str]:
        """What each figure says, in words."""
        ...

    @property
    def frames(self) -> pl.DataFrame:
        """The frames that count, with their metadata and whether they were `seen`."""
        ...

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know."""
        ...

    def figures(self, frames: pl.Series | None = None) -> dict[str, float | int | None]:
        """The figures of the summary, over all frames or those of these ids."""
        ...

    def per_class(self) -> pl.DataFrame:
        """A row for each class."""
        ...

    def per_frame(self) -> pl.DataFrame:
        """A row for each frame that counts, by id."""
        ...

    def matches(self, *, across_classes: bool) -> pl.DataFrame:
        """A row for each match, and for what matches nothing."""
        ...

    def confusion(self) -> pl.DataFrame:
        """Labels' classes by inferences' classes."""
        ...

    def curve(self) -> pl.DataFrame:
        """Precision by recall, of every class."""
        ...

    def content(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows of labels and of inferences that were evaluated."""
        ...


_WHOLE: Final = frozenset(
    ("frames", "images", "labels", "inferences", "pixels", "tp", "fp", "fn", "tn")
)
_TOLD: Final = frozenset(
    {"tp", "fp", "fn", "AP", "AP50", "accuracy", "f1", "auroc", "mean_iou"}
)


@dataclass(frozen=True, repr=False)
class Metrics:
    """The evaluation of inferences against labels. Made by `evaluate()`.

    All tables are Polars DataFrames, sorted, and equal bit for bit for equal
    rows in any order.

    >>> import polars as pl
    >>> from lakehouse.metrics import evaluate
    >>> box = {"top": 0.0, "left": 0.0, "width": 9.0, "height": 9.0}
    >>> key = {"frame_id": "f", "label_id": "l", "class_name": "cell"}
    >>> metrics = evaluate(
    ...     pl.DataFrame([key | box]),
    ...     pl.DataFrame([key | box | {"confidence": 0.8}]),
    ...     pl.DataFrame({"frame_id": ["f"]}),
    ...     task="2D_OBJECT_DETECTION",
    ... )
    >>> metrics["tp"], metrics["precision"], metrics.matches()["iou"].item()
    (1, 1.0, 1.0)
    """

    task: str
    parameters: Mapping[str, Any]
    """What was asked for: thresholds, classes, which frames."""
    counts: Mapping[str, int]
    """Frames that count, and what was left out, by reason."""
    evidence: Evidence = field(repr=False)
    no_ground_truth: pl.DataFrame = field(repr=False)
    """`frame_id`, `inferences`: what lies on frames that the version has not."""
    source: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Which versions were evaluated, where they are of a lake: `inference_set`,
    `inferences` and `labels` (the version of either)."""

    @property
    def frames(self) -> pl.DataFrame:
        """The frames that count, with their metadata and whether they were `seen`."""
        return self.evidence.frames

    # -------------------------------- FIGURES ------------------------------- #

    def __getitem__(self, name: str) -> float | int | None:
        """A figure of the summary; None where it is undefined, as 0 / 0 is.

        Raises:
            NotFoundError: If there is no figure of that name.
        """
        figures = self._figures
        if name not in figures:
            raise NotFoundError(
                f"There is no figure {name!r}. There are: {', '.join(figures)}.",
                kind="metrics.figure",
            )
        return figures[name]

    def summary(self) -> pl.DataFrame:
        """The figures: `metric`, `value`, and what it says in words.

        Detection matches within a class here, as COCO does; `confusion()` matches
        across classes.
        """
        figures = self._figures
        return pl.DataFrame(
            {
                "metric": list(figures),
                "value": pl.Series(figures.values(), dtype=pl.Float64, strict=False),
                "meaning": [self.evidence.meanings.get(name, "") for name in figures],
            }
        )

    def per_class(self) -> pl.DataFrame:
        """A row for each class: counts, rates, and the averages of the task."""
        return self.evidence.per_class()

    def per_frame(self) -> pl.DataFrame:
        """A row for each frame that counts: counts and rates, and whether it was seen."""
        return self.evidence.per_frame()

    def slices(self, by: str) -> pl.DataFrame:
        """The summary of each part of the frames.

        Args:
            by: A column of the frames, such as `user__split`; frames where it is
                null are a part too.

        Returns:
            A row for each value, sorted: the value, `frames`, and every figure.

        Raises:
            NotFoundError: If the frames have no such column.
        """
        if by not in self.frames.columns:
            raise NotFoundError(
                f"The frames have no column {by!r}. They have: "
                f"{', '.join(self.frames.columns)}.",
                kind="metrics.slice",
            )
        parts = self.frames.select(pl.col(by), pl.col("frame_id").alias("_id"))
        groups = parts.group_by(by).agg("_id").sort(by, nulls_last=True)
        rows = [
            {"frames": len(ids)} | self.evidence.figures(ids)
            for ids in groups.get_column("_id")
        ]
        types = {
            name: pl.Float64 if name not in _WHOLE else pl.Int64
            for name in ("frames", *self._figures)
        }
        return pl.concat(
            [groups.select(by), pl.DataFrame(rows, schema=types)], how="horizontal"
        )

    # -------------------------------- MATCHES ------------------------------- #

    def matches(self, *, across_classes: bool = False) -> pl.DataFrame:
        """What matched what: a row for each label and each inference.

        Inferences below the threshold of confidence are not in it.

        Args:
            across_classes: The rows behind `confusion()` rather than those behind
                `summary()`.

        Returns:
            `frame_id`, `coordinate_frame`, `class_name`, `outcome` (TP, FP, FN or
            IGNORED), `reason` (why it is FP or FN), `label_id`, `inference_id`,
            `confidence`, `iou`. Across classes: `label_class` and `inference_class`
            in place of class, outcome and reason. Of masks: a row for each frame and
            class, or pair of classes, with its pixels.
        """
        return self.evidence.matches(across_classes=across_classes)

    def confusion(self) -> pl.DataFrame:
        """How often each class was taken for which.

        Detection matches across classes here, by overlap, so its diagonal may
        differ from the true positives of `summary()`.

        Returns:
            A row for each label's class and a column for each inference's, named
            after it, behind `label_class`; `(background)` stands for no label, or
            no inference. Of masks, pixels are counted.
        """
        return self.evidence.confusion()

    def curve(self, class_name: str | None = None) -> pl.DataFrame:
        """The precision that each recall can be had at.

        Args:
            class_name: One class; None: all.

        Returns:
            `class_name`, `recall` (0, 0.01 … 1), `precision` (the best at that
            recall or more, at the IoU asked for), `confidence` (the threshold that
            gives it; null where the recall is not reached). Classes without labels
            have no curve.

        Raises:
            NotFoundError: If no such class has labels.
            InvalidInputError: If the task knows no confidence.
        """
        rows = self.evidence.curve()
        if class_name is None:
            return rows
        found = rows.filter(class_name=class_name)
        if not found.height:
            known = rows.get_column("class_name").unique(maintain_order=True).to_list()
            raise NotFoundError(
                f"No label is of class {class_name!r}. Classes with labels: {known}.",
                kind="metrics.class",
            )
        return found

    # ------------------------------- COMPARING ------------------------------ #

    def compare(self, other: "Metrics") -> Comparison:
        """What differs in `other`: figures, classes, frames, and which matches.

        Raises:
            InvalidInputError: If `other` is of another task.
        """
        if self.task != other.task:
            raise InvalidInputError(
                f"Metrics of {self.task} cannot be compared with those of {other.task}: "
                "evaluate both for one task.",
                kind="metrics.task",
            )
        return Comparison(self, other)

    # -------------------------------- SHOWING ------------------------------- #

    def plot(
        self,
        kind: Literal["precision_recall", "confusion"] = "precision_recall",
        path: str | os.PathLike[str] | None = None,
    ) -> "Figure":
        """Draw a figure, and save it. Needs matplotlib: the extra `plot`.

        Args:
            kind: Which one.
            path: A file ending in `.png` or `.svg`.

        Returns:
            A matplotlib figure; notebooks show it.

        Raises:
            InvalidInputError: If the kind or the file's ending is another.
            LakehouseError: If matplotlib is not installed.
        """
        from lakehouse.metrics.plots import draw  # noqa: PLC0415 - needs an extra

        thresholds = (
            f"IoU {self.parameters['iou']}, confidence {self.parameters['confidence']}"
        )
        frames = short(self.counts["frames"])
        title = f"{self.task}, {frames} frames, {thresholds}"
        tables: Mapping[Any, Callable[[], pl.DataFrame]] = {
            "precision_recall": self.curve,
            "confusion": self.confusion,
        }
        return draw(kind, tables, title, path)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as values that JSON knows.

        Equal metrics give equal text, so a hash of it is a fingerprint.
        """
        return {
            "task": self.task,
            "source": dict(self.source),
            "parameters": dict(self.parameters),
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "summary": self._figures,
            "per_class": self.per_class().to_dicts(),
            "confusion": self.confusion().to_dicts(),
        }

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know, in sentences."""
        left = [
            f"{number:,} {name} left out."
            for name, number in self.counts.items()
            if number and name != "frames"
        ]
        return [*left, *self.evidence.notes]

    @cached_property
    def _figures(self) -> dict[str, float | int | None]:
        return self.evidence.figures()

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{name}={short(value)}"
            for name, value in self._figures.items()
            if name in _TOLD
        )
        return f"<Metrics {self.task} of {self.counts['frames']:,} frames: {figures}>"

    def _repr_html_(self) -> str:
        title = f"{self.task}, {self.counts['frames']:,} frames"
        return as_html(title, self.summary(), self.notes)
