"""Loose boxes: put into a segment, mended, resolved, and still there as they were."""

from typing import Final

import polars as pl
from rich.console import Console

import lakehouse
from lakehouse.demo.showing import show_rows

__all__ = ["review_loose_boxes"]

_MARGIN: Final = 2.0
_SHOWN: Final = 5


def review_loose_boxes(
    console: Console,
    project: lakehouse.Project,
    dataset: lakehouse.Dataset,
    frame_id: str,
) -> lakehouse.Segment:
    """A reviewer collects boxes that are too loose, and a labeller mends them.

    Args:
        console: Where it is told.
        project: Where the segment is made.
        dataset: Whose boxes.
        frame_id: A frame whose boxes have a margin of two pixels.
    """
    console.print(
        f"[bold]7. A reviewer finds the new boxes of {frame_id} too loose[/bold], "
        "and keeps the largest in a segment."
    )
    _, labels = dataset.latest().frame(frame_id)
    area = pl.col("width") * pl.col("height")
    loose = labels.sort(area, "label_id", descending=[True, False]).head(_SHOWN)
    segment = project.create_segment(
        "bounding box too loose", type="label_quality", element_type="label"
    )
    segment.add(dataset, labels=loose.select("frame_id", "label_id"))
    segment.comment("A margin of two pixels on every side.")
    segment.set_state("in_progress")
    console.print(f"   {segment!r}", markup=False)

    upload = dataset.modify(labels=_tight(loose), message="boxes made tight")
    console.print(f"   The labeller mends them: {upload!r}", markup=False)
    _compare(console, segment)
    segment.set_status(None, "done")
    segment.set_state("resolved")
    segment.archive()
    listed = [one.name for one in project.segments()]
    console.print(
        f"   Resolved and archived: {segment!r}; segments listed now: {listed}.\n",
        markup=False,
    )
    return segment


def _tight(loose: pl.DataFrame) -> pl.DataFrame:
    """The boxes without their margin."""
    return loose.select(
        "frame_id",
        "label_id",
        *(pl.col(name) + _MARGIN for name in ("top", "left")),
        *(pl.col(name) - 2 * _MARGIN for name in ("width", "height")),
    )


def _compare(console: Console, segment: lakehouse.Segment) -> None:
    """The segment shows what was found, says that it is old, and what is there now."""
    was, now, stale = segment.elements(), segment.current(), segment.out_of_date()
    table = was.select("label_id", "version", was="width").with_columns(
        now=now["width"], out_of_date=stale["reason"], fields=stale["fields"]
    )
    show_rows(console, table)
    console.print(
        f"   The segment still shows the loose boxes of version {was['version'][0]}."
    )
