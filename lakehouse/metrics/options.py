"""What an evaluation is asked for: its arguments, the frames and classes that count."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from lakehouse.metrics.inputs import (
    Geometry,
    Rows,
    add_row_problems,
    check_keys,
    read_columns,
)
from lakehouse.model.class_map import ClassMap
from lakehouse.model.problems import Problems

Task = Literal[
    "2D_OBJECT_DETECTION",
    "2D_INSTANCE_SEGMENTATION",
    "CLASSIFICATION",
    "MULTI_LABEL_CLASSIFICATION",
    "BINARY_CLASSIFICATION",
    "2D_SEMSEG",
]
"""What a model was asked to do."""

Over = Literal["seen", "all"]
"""`seen`: the frames that the model saw. `all`: every frame of the version."""

DETECTIONS: Final = ("2D_OBJECT_DETECTION", "2D_INSTANCE_SEGMENTATION")
CLASSIFICATIONS: Final = (
    "CLASSIFICATION",
    "MULTI_LABEL_CLASSIFICATION",
    "BINARY_CLASSIFICATION",
)
SEGMENTATIONS: Final = ("2D_SEMSEG",)

_TASKS: Final = (*DETECTIONS, *CLASSIFICATIONS, *SEGMENTATIONS)

NOT_EVALUATED: Final = "Nothing was evaluated."
"""The first line of the error that lists what is wrong."""


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
        self._problems().raise_if_any(NOT_EVALUATED, kind="metrics.option")

    @property
    def ignored_classes(self) -> tuple[str, ...]:
        """Classes that the class map takes out of evaluation."""
        if not isinstance(self.classes, ClassMap):
            return ()
        return tuple(one.name for one in self.classes.classes if one.ignore_in_eval)

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        if isinstance(self.classes, ClassMap):
            values["classes"] = list(self.classes.ids)
        elif self.classes is not None:
            values["classes"] = list(self.classes)
        return values

    def _problems(self) -> Problems:
        is_binary = self.task == "BINARY_CLASSIFICATION"
        checks = {
            "task": (self.task in _TASKS, f"Evaluated are: {', '.join(_TASKS)}."),
            "iou": (0 < self.iou < 1, "Give a number between 0 and 1."),
            "confidence": (0 <= self.confidence <= 1, "Give 0 to 1."),
            "over": (self.over in {"seen", "all"}, "Give 'seen' or 'all'."),
            "max_detections": (self.max_detections >= 1, "Give 1 or more."),
            "geometry": (
                self.geometry in {None, "box", "polygon"},
                "Give 'box' or 'polygon'.",
            ),
            "negative_class": (
                is_binary == (self.negative_class is not None),
                "BINARY_CLASSIFICATION needs it, and no other task has one.",
            ),
        }
        problems = Problems()
        for name, (is_valid, hint) in checks.items():
            if not is_valid:
                message = f"is {getattr(self, name)!r}."
                problems.add(name, rule="metrics.option", message=message, hint=hint)
        return problems


@dataclass(frozen=True, slots=True)
class Scope:
    """The frames that are evaluated, and what is left out."""

    frames: pl.DataFrame
    """One row a frame, by id, in the columns given and `seen` (bool)."""
    unseen: int
    """Frames of the version that were not seen; with `over="all"` they count."""
    no_ground_truth: pl.DataFrame
    """`frame_id`, `inferences`: frames that the version does not have, and how many
    inferences are on each."""

    @classmethod
    def of(
        cls,
        frames: Rows,
        inferences: Rows,
        seen: Iterable[str] | None,
        over: Over,
        problems: Problems,
    ) -> "Scope":
        """Decide which frames count.

        Args:
            frames: The frames of the version: `frame_id` and any other columns.
            inferences: With `frame_id`.
            seen: Ids of the frames that the model saw; those that inferences are
                on are added.
            over: Which frames count.
            problems: Gets frames without an id, and ids that are there twice.
        """
        collected = frames.lazy().collect()
        ids = read_columns(collected, "frames", ["frame_id"], [], problems)["frame_id"]
        known = ids.drop_nulls()
        for frame_id in known.filter(known.is_duplicated()).unique().sort().to_list():
            problems.add(
                "frames.frame_id",
                rule="id.duplicate",
                message=f"frame {frame_id!r} is there more than once.",
                hint="Keep one row a frame.",
            )
        table = collected.with_columns(ids)
        # What is wrong with inferences is reported where all their columns are read.
        rows = read_columns(inferences, "inferences", ["frame_id"], [], Problems())
        counts = rows.drop_nulls().group_by("frame_id").len("inferences")
        listed = pl.Series("frame_id", [] if seen is None else list(seen), pl.String)
        all_seen = pl.concat([listed.to_frame(), counts.select("frame_id")]).unique()
        # Whoever wrote an inference on a frame saw it, listed or not.
        marked = table.with_columns(
            seen=ids.is_in(all_seen.get_column("frame_id").implode())
        ).sort("frame_id")
        return cls(
            frames=marked if over == "all" else marked.filter("seen"),
            unseen=int((~marked["seen"]).sum()),
            no_ground_truth=all_seen.join(table, on="frame_id", how="anti")
            .join(counts, on="frame_id", how="left")
            .with_columns(pl.col("inferences").fill_null(0).cast(pl.Int64))
            .sort("frame_id"),
        )

    def filter(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are on frames that count."""
        return rows.join(self.frames.select("frame_id"), on="frame_id", how="semi")


# ---------------------------------- CLASSES --------------------------------- #


def rows_of_classes(
    rows: pl.DataFrame,
    all_rows: pl.DataFrame,
    table: str,
    options: Options,
    problems: Problems,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of classes that count; and how many are left out, by reason.

    Args:
        rows: Rows of a type that the task compares.
        all_rows: Rows of all types.
        table: What they are called in errors.
        options: What was asked for.
        problems: Gets unknown classes and repeated keys.
    """
    named = _with_class_names(rows, table, options.classes, problems)
    is_ignored = pl.col("class_name").is_in(list(options.ignored_classes))
    kept = named.filter(~is_ignored.fill_null(value=False))
    check_keys(kept, table, problems)
    counts = {
        f"{table} of other types": all_rows.height - named.height,
        f"{table} of ignored classes": named.height - kept.height,
    }
    # Row by row: naming classes keeps the order of rows.
    renamed = named.filter(pl.col("class_name").ne_missing(rows["class_name"])).height
    if renamed:
        counts[f"{table} under an earlier class name"] = renamed
    return kept, counts


def _with_class_names(
    rows: pl.DataFrame,
    table: str,
    classes: "ClassMap | Collection[str] | None",
    problems: Problems,
) -> pl.DataFrame:
    """The rows under the names that their classes have now.

    Args:
        rows: With `class_name` and `class_id`.
        table: What they are called in errors.
        classes: A class map gives each `class_id` its name, so a renamed class is
            one class; names alone are taken as they are; None allows any.
        problems: Gets rows of no known class.
    """
    # By id where there is one: rows keep the name that their class had when written.
    if isinstance(classes, ClassMap):
        names = {number: name for name, number in classes.ids.items()}
        current = pl.col("class_id").replace_strict(
            names, default=None, return_dtype=pl.String
        )
        rows = rows.with_columns(pl.coalesce(current, "class_name").alias("class_name"))
    valid = pl.col("class_name").is_not_null()
    if classes is not None:
        listed = classes.ids if isinstance(classes, ClassMap) else classes
        valid &= pl.col("class_name").is_in(list(listed))
    add_row_problems(
        problems,
        table,
        rows.filter(~valid.fill_null(value=False)),
        "class_name",
        rule="class.unknown",
        requirement="rows have a class."
        if classes is None
        else "is no class that was given.",
        hint="Correct it.",
    )
    return rows


def class_names(
    tables: Iterable[pl.DataFrame], classes: "ClassMap | Collection[str] | None"
) -> tuple[str, ...]:
    """The classes in their order: that of the map or the names given, else by name."""
    if isinstance(classes, ClassMap):
        return tuple(classes.ids)
    if classes is not None:
        return tuple(dict.fromkeys(classes))
    names = [rows.get_column("class_name").unique().to_list() for rows in tables]
    return tuple(sorted(set().union(*names)))
