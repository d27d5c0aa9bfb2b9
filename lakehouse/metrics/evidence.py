"""What every task's evaluation offers to the result that users hold."""

from typing import Protocol

import polars as pl

__all__ = ["Evidence"]


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
