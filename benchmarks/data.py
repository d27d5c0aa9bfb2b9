"""The data that every tool gets: frames with boxes, and changes to the boxes.

Everything is drawn from fixed seeds, so each run and each tool has the same rows.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

CLASSES = ("car", "person", "bike")
KEY = ["frame_id", "label_id"]
COLUMNS = [
    *KEY,
    "class_name",
    "top",
    "left",
    "width",
    "height",
    "user__score",
]
"""The columns of the labels, the same for every tool."""


@dataclass(frozen=True, slots=True)
class Data:
    """Frames with a fixed number of boxes each; the same for the same size."""

    frame_count: int
    per_frame: int = 5

    def frames(self) -> pl.DataFrame:
        """All frames, by id."""
        numbers = pl.int_range(self.frame_count)
        return pl.select(
            frame_id=pl.format("frame_{}", numbers.cast(pl.String).str.zfill(8))
        ).with_columns(
            image_url=pl.format("s3://media/{}.jpg", "frame_id"),
            width=pl.lit(1920),
            height=pl.lit(1080),
            user__split=pl.when(numbers % 5 == 0)
            .then(pl.lit("val"))
            .otherwise(pl.lit("train")),
        )

    def labels(self) -> pl.DataFrame:
        """All labels, by frame and id."""
        rows = self.frame_count * self.per_frame
        draw = np.random.default_rng(1)
        frame = np.repeat(np.arange(self.frame_count), self.per_frame)
        ids = self.frames().get_column("frame_id").gather(frame)
        return ids.to_frame().with_columns(
            pl.format("l{}", pl.int_range(rows) % self.per_frame).alias("label_id"),
            pl.Series("class_name", np.array(CLASSES)[draw.integers(0, 3, rows)]),
            *(
                pl.Series(name, draw.random(rows) * most + least)
                for name, least, most in (
                    ("top", 0, 1000),
                    ("left", 0, 1800),
                    ("width", 3, 100),
                    ("height", 5, 100),
                    ("user__score", 0, 1),
                )
            ),
        )

    def change(self, kind: str, number: int, labels: pl.DataFrame) -> pl.DataFrame:
        """One change: a percent at `random`, in a `range` or of `new` ids; or `one` frame.

        Args:
            kind: Which of these, or `thousand`: a thousand labels at random.
            number: Every number gives other values, and for `random`, `new` and
                `one` other keys.
            labels: The result of `labels()`, which takes seconds to make.
        """
        draw = np.random.default_rng(1000 + number)
        percent = max(1, labels.height // 100)
        if kind == "one":
            frame = int(draw.integers(0, self.frame_count))
            rows = labels.slice(frame * self.per_frame, self.per_frame)
        elif kind == "range":
            rows = labels.slice(labels.height // 2, percent)
        else:
            size = 1000 if kind == "thousand" else percent
            chosen = draw.choice(labels.height, min(size, labels.height), replace=False)
            rows = labels[np.sort(chosen)]
        if kind == "new":
            rows = rows.with_columns(label_id=pl.format("{}_n{}", "label_id", number))
        return rows.with_columns(top=pl.col("top") + 1000 + number)


def applied(labels: pl.DataFrame, change: pl.DataFrame) -> pl.DataFrame:
    """The labels after an upsert, by plain Polars: the right answer for every tool."""
    return pl.concat([labels.join(change, on=KEY, how="anti"), change])


def checksum(rows: pl.DataFrame) -> tuple[int, int]:
    """Rows and the sum of their hashes: equal for equal rows in any order."""
    hashes = rows.select(COLUMNS).hash_rows(seed=7).to_numpy()
    return rows.height, int(hashes.sum(dtype=np.uint64))
