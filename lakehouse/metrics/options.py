"""What an evaluation is asked for."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.metrics.inputs import Faults, Geometry, Rows, check_keys, tidy
from lakehouse.model.class_map import ClassMap

Over = Literal["seen", "all"]
"""`seen`: the frames that the model saw. `all`: every frame of the version."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The frames that are evaluated, and what was left out."""

    frames: pl.DataFrame
    """One row a frame, by id, in the columns given and `seen` (bool)."""
    unseen: int
    """Frames of the version that were not seen; with `over="all"` they count."""
    no_ground_truth: pl.DataFrame
    """`frame_id`, `inferences`: what lies on frames that the version has not."""

    @classmethod
    def of(
        cls,
        frames: Rows,
        inferences: Rows,
        seen: Iterable[str] | None,
        over: Over,
        faults: Faults,
    ) -> "Scope":
        """Settle which frames count.

        Args:
            frames: The frames of the version: `frame_id` and any other columns.
            inferences: With `frame_id`.
            seen: Ids of the frames that the model saw; those that inferences are
                on are added.
            over: Which frames count.
            faults: Where frames without an id, or with one twice, are told.
        """
        given = frames.lazy().collect()
        ids = tidy(given, "frames", ["frame_id"], [], faults)["frame_id"]
        known = ids.drop_nulls()
        for frame_id in known.filter(known.is_duplicated()).unique().sort().to_list():
            told = f"frame {frame_id!r} is there more than once."
            faults.add("frames.frame_id", "id.duplicate", told, "Keep one row a frame.")
        table = given.with_columns(ids)
        # What is wrong with inferences is told where they are read.
        rows = tidy(inferences, "inferences", ["frame_id"], [], Faults())
        on = rows.drop_nulls().group_by("frame_id").len("inferences")
        listed = pl.Series("frame_id", [] if seen is None else list(seen), pl.String)
        met = pl.concat([listed.to_frame(), on.select("frame_id")]).unique()
        marked = table.with_columns(
            seen=ids.is_in(met.get_column("frame_id").implode())
        ).sort("frame_id")
        return cls(
            frames=marked if over == "all" else marked.filter("seen"),
            unseen=int((~marked["seen"]).sum()),
            no_ground_truth=met.join(table, on="frame_id", how="anti")
            .join(on, on="frame_id", how="left")
            .with_columns(pl.col("inferences").fill_null(0).cast(pl.Int64))
            .sort("frame_id"),
        )

    def only(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are on frames that count."""
        return rows.join(self.frames.select("frame_id"), on="frame_id", how="semi")


Task = Literal[
    "2D_OBJECT_DETECTION",
    "2D_INSTANCE_SEGMENTATION",
    "CLASSIFICATION",
    "MULTI_LABEL_CLASSIFICATION",
    "BINARY_CLASSIFICATION",
    "2D_SEMSEG",
]
"""What a model was asked to do."""

DETECTIONS: Final = ("2D_OBJECT_DETECTION", "2D_INSTANCE_SEGMENTATION")
CLASSIFICATIONS: Final = (
    "CLASSIFICATION",
    "MULTI_LABEL_CLASSIFICATION",
    "BINARY_CLASSIFICATION",
)
SEGMENTATIONS: Final = ("2D_SEMSEG",)

_TASKS: Final = (*DETECTIONS, *CLASSIFICATIONS, *SEGMENTATIONS)


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `evaluate()`, checked."""

    task: Task
    iou: float
    confidence: float
    over: Over
    max_detections: int
    geometry: Geometry | None
    negative_class: str | None
    classes: ClassMap | tuple[str, ...] | None = field(repr=False)

    def __post_init__(self) -> None:
        faults = self._faults()
        if faults:
            raise InvalidInputError(" ".join(faults), kind="metrics.option")

    @property
    def ignored_classes(self) -> tuple[str, ...]:
        """Classes that the class map takes out of evaluation."""
        if not isinstance(self.classes, ClassMap):
            return ()
        return tuple(one.name for one in self.classes.classes if one.ignore_in_eval)

    def told(self) -> dict[str, Any]:
        """The options as plain values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        if isinstance(self.classes, ClassMap):
            values["classes"] = list(self.classes.ids)
        elif self.classes is not None:
            values["classes"] = list(self.classes)
        return values

    def _faults(self) -> list[str]:
        faults: list[str] = []
        if self.task not in _TASKS:
            faults.append(
                f"Task {self.task!r} is not evaluated. Evaluated are: {', '.join(_TASKS)}."
            )
        if not 0 < self.iou < 1:
            faults.append(f"iou is {self.iou!r}: give a number between 0 and 1.")
        if not 0 <= self.confidence <= 1:
            faults.append(f"confidence is {self.confidence!r}: give 0 to 1.")
        if self.over not in {"seen", "all"}:
            faults.append(f"over is {self.over!r}: give 'seen' or 'all'.")
        if self.max_detections < 1:
            faults.append(f"max_detections is {self.max_detections}: give 1 or more.")
        if self.geometry not in {None, "box", "polygon"}:
            faults.append(f"geometry is {self.geometry!r}: give 'box' or 'polygon'.")
        if (self.task == "BINARY_CLASSIFICATION") != (self.negative_class is not None):
            faults.append(
                "negative_class names the class that inferences do not name: "
                "BINARY_CLASSIFICATION needs it, and no other task has one."
            )
        return faults


def of_classes(
    fitting: pl.DataFrame,
    found: pl.DataFrame,
    table: str,
    options: Options,
    faults: Faults,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of classes that count, each key once; and how many are left out.

    Args:
        fitting: Rows of a type that the task is about.
        found: Rows of all types.
        table: What they are called in errors.
        options: What was asked for.
        faults: Where unknown classes and repeated keys are told.
    """
    known = _named(fitting, table, options.classes, faults)
    kept = _without(known, options.ignored_classes)
    check_keys(kept, table, faults)
    counts = {
        f"{table} of other types": found.height - known.height,
        f"{table} of ignored classes": known.height - kept.height,
    }
    earlier = len(known.filter(pl.col("class_name").ne_missing(fitting["class_name"])))
    if earlier:
        counts[f"{table} under an earlier class name"] = earlier
    return kept, counts


def _named(
    rows: pl.DataFrame,
    table: str,
    classes: "ClassMap | Collection[str] | None",
    faults: Faults,
) -> pl.DataFrame:
    """The rows under the names that their classes have now.

    Args:
        rows: With `class_name` and `class_id`.
        table: What they are called in errors.
        classes: A class map gives each `class_id` its name, so a renamed class is
            one class; names alone are taken as they are; None allows any.
        faults: Where rows of no known class are told.
    """
    if isinstance(classes, ClassMap):
        names = {number: name for name, number in classes.ids.items()}
        now = pl.col("class_id").replace_strict(
            names, default=None, return_dtype=pl.String
        )
        rows = rows.with_columns(pl.coalesce(now, "class_name").alias("class_name"))
    known = pl.col("class_name").is_not_null()
    if classes is not None:
        listed = classes.ids if isinstance(classes, ClassMap) else classes
        known &= pl.col("class_name").is_in(list(listed))
    told = (
        "is no class that was given." if classes is not None else "rows have a class."
    )
    bad = rows.filter(~known.fill_null(value=False))
    faults.rows(
        table, bad, "class_name", rule="class.unknown", told=told, hint="Correct it."
    )
    return rows


def _without(rows: pl.DataFrame, classes: Collection[str]) -> pl.DataFrame:
    """The rows that are of none of these classes."""
    of_one = pl.col("class_name").is_in(list(classes))
    return rows.filter(~of_one.fill_null(value=False))


def class_names(
    tables: Iterable[pl.DataFrame], classes: "ClassMap | Collection[str] | None"
) -> tuple[str, ...]:
    """The classes in their order: that of the map or the names given, else by name."""
    if isinstance(classes, ClassMap):
        return tuple(classes.ids)
    if classes is not None:
        return tuple(dict.fromkeys(classes))
    found = [rows.get_column("class_name").unique().to_list() for rows in tables]
    return tuple(sorted(set().union(*found)))
