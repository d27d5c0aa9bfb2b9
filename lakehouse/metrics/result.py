"""The result of an evaluation: figures, and the tables that explain them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.metrics.comparison import Comparison
from lakehouse.metrics.rendering import as_html, as_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHOLE_NUMBERS: Final = frozenset(
    ("frames", "images", "labels", "inferences", "pixels", "tp", "fp", "fn", "tn")
)
_FIGURES_OF_REPR: Final = frozenset(
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
    evidence: "Evidence" = field(repr=False)
    no_ground_truth: pl.DataFrame = field(repr=False)
    """`frame_id`, `inferences`: frames that the version does not have, and how many
    inferences are on each."""
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
        """The figures: `metric`, `value` and `meaning`, in words.

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
        # Sorted, as groups come in the order of a hash table otherwise.
        groups = parts.group_by(by).agg("_id").sort(by, nulls_last=True)
        rows = [
            {"frames": len(ids)} | self.evidence.figures(ids)
            for ids in groups.get_column("_id")
        ]
        # Given, not inferred: a figure may be None in the first hundred slices.
        types = {
            name: pl.Float64 if name not in _WHOLE_NUMBERS else pl.Int64
            for name in ("frames", *self._figures)
        }
        return pl.concat(
            [groups.select(by), pl.DataFrame(rows, schema=types)], how="horizontal"
        )

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures should know, in sentences."""
        left = [
            f"{number:,} {name} left out."
            for name, number in self.counts.items()
            if number and name != "frames"
        ]
        return [*left, *self.evidence.notes]

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
            InvalidInputError: If inferences of the task have no confidence.
        """
        rows = self.evidence.curve()
        if class_name is None:
            return rows
        of_class = rows.filter(class_name=class_name)
        if not of_class.height:
            known = rows.get_column("class_name").unique(maintain_order=True).to_list()
            raise NotFoundError(
                f"No label is of class {class_name!r}. Classes with labels: {known}.",
                kind="metrics.class",
            )
        return of_class

    # ------------------------------ COMPARISON ------------------------------ #

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

    # ------------------------- PLOTS, JSON, NOTEBOOKS ----------------------- #

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
        frames = as_text(self.counts["frames"])
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

    @cached_property
    def _figures(self) -> dict[str, float | int | None]:
        return self.evidence.figures()

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{name}={as_text(value)}"
            for name, value in self._figures.items()
            if name in _FIGURES_OF_REPR
        )
        return f"<Metrics {self.task} of {self.counts['frames']:,} frames: {figures}>"

    def _repr_html_(self) -> str:
        title = f"{self.task}, {self.counts['frames']:,} frames"
        return as_html(title, self.summary(), self.notes)


class Evidence(Protocol):
    """What the evaluation of a task results in; tables are made when asked for."""

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
