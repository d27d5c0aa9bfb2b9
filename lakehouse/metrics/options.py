"""What an evaluation is asked for."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lakehouse.errors import InvalidInputError
from lakehouse.metrics.geometry import Geometry
from lakehouse.metrics.scope import Over
from lakehouse.model.class_map import ClassMap

__all__ = ["CLASSIFICATIONS", "DETECTIONS", "SEGMENTATIONS", "Options", "Task"]

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
