"""The project as its segments see it, and one segment as the functions of this room take it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable
from lakehouse.segments.rules import key_of
from lakehouse.segments.table import ElementTable
from lakehouse.storage import Store
from lakehouse.types import ElementType
from lakehouse.versions.snapshot import Snapshot, collection_of


class Place(NamedTuple):
    """A dataset of the project, or one of its inference sets."""

    dataset: str
    inference_set: str
    """Empty for the dataset itself."""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True)
class SegmentContext:
    """A project, as its segments see it."""

    store: Store
    project: str
    author: str | None
    require_active: Callable[[], None]
    """Raises if the project is archived."""
    open_collection: Callable[[str, str], Collection]
    """Opens by the names of the dataset and of the inference set, if it is one."""
    segments: SingleTable
    elements: ElementTable
    _opened: dict[Place, Collection] = field(default_factory=dict["Place", Collection])

    def collection(self, place: Place) -> Collection:
        """The collection at a place; opened once, so that its caches serve later calls."""
        if place not in self._opened:
            self._opened[place] = self.open_collection(*place)
        return self._opened[place]

    def place_of(self, snapshot: Snapshot) -> Place:
        """The place that a snapshot belongs to; raises as `place_at` does."""
        return self.place_at(collection_of(snapshot))

    def place_at(self, collection: Collection) -> Place:
        """The place of a collection in the project.

        Raises:
            InvalidInputError: If it is of another project, or of another lake.
        """
        start = f"{self.project}/datasets/"
        # Lakes may have projects of one name, so the root is compared as well.
        if collection.store.root != self.store.root or not collection.path.startswith(
            start
        ):
            raise InvalidInputError(
                f"The snapshot is of {collection.store.root}/{collection.path}, and the "
                f"segment of project {self.project!r} in {self.store.root}. A segment "
                "holds elements of its own project.",
                kind="segment.project",
            )
        dataset, _, rest = collection.path.removeprefix(start).partition("/")
        # What follows is a folder of inference sets, then the name of the set.
        return Place(dataset, rest.rpartition("/")[2])


@dataclass(frozen=True)
class SegmentHandle:
    """One segment: its id, the type of its elements, and its project.

    An element type never changes, so it is kept here; everything else about the
    segment is read from its row each time.
    """

    context: SegmentContext
    id: str
    element_type: ElementType

    @property
    def table(self) -> str:
        """The live table that its elements are rows of."""
        return "frames" if self.element_type == "frame" else "labels"

    @property
    def key(self) -> list[str]:
        """The columns that identify an element in its collection."""
        return key_of(self.element_type)

    def rows(
        self, dataset: str | None = None, inference_set: str | None = None
    ) -> pl.DataFrame:
        """Its rows in `segment_elements`; of one dataset or inference set where given."""
        rows = self.context.elements.rows(self.id)
        if dataset is not None:
            rows = rows.filter(pl.col("dataset") == dataset)
        if inference_set is not None:
            rows = rows.filter(pl.col("inference_set") == inference_set)
        return rows
