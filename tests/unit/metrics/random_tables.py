"""Random labels and inferences, and the frames they are on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Drawn", "drawn", "shuffled"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Tables to evaluate."""

    labels: pl.DataFrame
    inferences: pl.DataFrame
    frames: pl.DataFrame


def drawn(
    seed: int,
    frames: int,
    classes: int = 10,
    *,
    per_frame: int = 8,
    crowds: float = 0.05,
    polygons: bool = False,
) -> Drawn:
    """Labels, and inferences near them: some of another class, some of nothing."""
    draw = np.random.default_rng(seed)
    counts = draw.integers(0, 2 * per_frame + 1, frames)
    frame = np.repeat(np.arange(frames), counts)
    names = np.array([f"class_{number:02}" for number in range(classes)])
    kind = draw.integers(0, classes, len(frame))
    # Sizes fall into all of COCO's ranges; places let labels overlap.
    sides = np.exp(draw.uniform(np.log(8), np.log(200), (len(frame), 2)))
    corners = draw.uniform(0, 400, (len(frame), 2))
    labels = _table(
        frame, np.arange(len(frame)), names[kind], corners, sides, polygons=polygons
    )
    labels = labels.with_columns(
        pl.Series("iscrowd", draw.random(len(frame)) < crowds),
        pl.Series("user__ignore_in_eval", draw.random(len(frame)) < crowds / 2),
    )
    # The label that each inference is drawn near.
    near = np.repeat(np.arange(len(frame)), draw.integers(0, 4, len(frame)))
    wrong = draw.random(len(near)) < 0.2
    guess = np.where(wrong, draw.integers(0, classes, len(near)), kind[near])
    spread = sides[near] * 0.12
    inferences = _table(
        frame[near],
        np.arange(len(near)),
        names[guess],
        corners[near] + draw.normal(0, 1, (len(near), 2)) * spread,
        np.abs(sides[near] + draw.normal(0, 1, (len(near), 2)) * spread) + 1,
        polygons=polygons,
    ).with_columns(
        # Two digits: many are equal, so how ties are settled matters.
        pl.Series("confidence", np.round(draw.random(len(near)), 2))
    )
    return Drawn(
        labels,
        inferences,
        pl.DataFrame(
            {
                "frame_id": [f"f{number:05}" for number in range(frames)],
                "user__split": [
                    ("train", "val")[number % 2] for number in range(frames)
                ],
                "width": 640,
                "height": 640,
            }
        ),
    )


def shuffled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    return rows.sample(fraction=1.0, shuffle=True, seed=seed)


def _table(
    frame: Array,
    number: Array,
    names: Array,
    corners: Array,
    sides: Array,
    *,
    polygons: bool,
) -> pl.DataFrame:
    table = pl.DataFrame(
        {
            "frame_id": [f"f{place:05}" for place in frame.tolist()],
            "label_id": [f"{place:07}" for place in number.tolist()],
            "class_name": names.tolist(),
            "left": corners[:, 0],
            "top": corners[:, 1],
            "width": sides[:, 0],
            "height": sides[:, 1],
        }
    )
    if not polygons:
        return table
    # A diamond in each box.
    shapes = [
        [[[x + w / 2, y], [x + w, y + h / 2], [x + w / 2, y + h], [x, y + h / 2]]]
        for x, y, w, h in table.select("left", "top", "width", "height").iter_rows()
    ]
    return table.select("frame_id", "label_id", "class_name").with_columns(
        pl.Series("polygons", shapes, dtype=pl.List(pl.List(pl.List(pl.Float64)))),
        label_type=pl.lit("POLYGON_LIST_2D"),
    )
