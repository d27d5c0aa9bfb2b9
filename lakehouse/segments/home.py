"""What the segments of a project need of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from lakehouse.errors import InvalidInputError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.single_table import SingleTable
from lakehouse.segments.table import ElementTable
from lakehouse.storage import Store
from lakehouse.versions.snapshot import Snapshot


class Place(NamedTuple):
    """Which dataset of the project, and which of its inference sets."""

    dataset: str
    inference_set: str
    """Empty for the dataset itself."""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True)
class Home:
    """A project, as its segments see it."""

    store: Store
    project: str
    author: str | None
    require_active: Callable[[], None]
    """Raises if the project is archived."""
    open_collection: Callable[[str, str], Collection]
    """By the names of the dataset and of the inference set, if it is one."""
    segments: SingleTable
    elements: ElementTable
    _opened: dict[Place, Collection] = field(default_factory=dict["Place", Collection])

    def collection(self, place: Place) -> Collection:
        """The collection at a place, with what it remembers."""
        if place not in self._opened:
            self._opened[place] = self.open_collection(*place)
        return self._opened[place]

    def place_of(self, snapshot: Snapshot) -> Place:
        """Where a snapshot is of; raises as `place_at` does."""
        return self.place_at(snapshot.collection)

    def place_at(self, collection: Collection) -> Place:
        """Where a collection is in the project.

        Raises:
            InvalidInputError: If it is of another project, or of another lake.
        """
        start = f"{self.project}/datasets/"
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
        return Place(dataset, rest.rpartition("/")[2])
