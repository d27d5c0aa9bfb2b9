"""Inferences matched against as many labels: how long, and with how much memory?

    python -m benchmarks.evaluation [--frames 200000] [--alone]

Five labels a frame. Ours is everything that `evaluate()` offers: COCO's figures,
outcomes with reasons, the confusion matrix. faster-coco-eval does COCO's figures
alone, class by class, so that its dictionaries fit into memory; its AP must be
ours before its time counts.
"""

import argparse

import numpy as np
import polars as pl

from benchmarks.data import CLASSES, Data
from benchmarks.measure import Measured, Timer, apart
from benchmarks.report import Line, Report
from lakehouse.metrics import evaluate

__all__ = ["inferences_of", "measure", "ours", "theirs"]


def inferences_of(labels: pl.DataFrame) -> pl.DataFrame:
    """As many inferences as labels: most near one, a tenth of another class."""
    draw = np.random.default_rng(7)
    rows = labels.height
    names = labels["class_name"].to_numpy().copy()
    wrong = draw.random(rows) < 0.1
    names[wrong] = np.array(CLASSES)[draw.integers(0, len(CLASSES), int(wrong.sum()))]
    return labels.select("frame_id", "label_id").with_columns(
        pl.Series("class_name", names.tolist()),
        *(
            labels[name] + pl.Series(name, draw.normal(0, 4, rows))
            for name in ("top", "left")
        ),
        *(
            (labels[name] + pl.Series(name, draw.normal(0, 4, rows))).clip(1.0)
            for name in ("width", "height")
        ),
        pl.Series("confidence", draw.random(rows)),
    )


def ours(frames: int) -> Measured:
    """Match everything, and make every table once."""
    data, timer = Data(frames), Timer()
    labels = data.labels()
    inferences, table = inferences_of(labels), data.frames()
    with timer():
        metrics = evaluate(labels, inferences, table)
        metrics.to_dict()
        metrics.per_frame()
        assert metrics.matches().height > labels.height
    return Measured(timer.seconds, checksum=_digits(metrics["AP"]))


def theirs(frames: int) -> Measured:
    """COCO's figures by faster-coco-eval, class after class."""
    labels, timer = Data(frames).labels(), Timer()
    inferences = inferences_of(labels)
    with timer():
        means = [
            _of_class(*(rows.filter(class_name=name) for rows in (labels, inferences)))
            for name in CLASSES
        ]
    return Measured(timer.seconds, checksum=_digits(float(np.mean(means))))


def _digits(average: float | None) -> tuple[int, int]:
    """Nine digits of an average, to compare by."""
    assert average is not None
    return 0, round(average * 1e9)


def _of_class(labels: pl.DataFrame, inferences: pl.DataFrame) -> float:
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - an extra

    frames = pl.concat([labels["frame_id"], inferences["frame_id"]]).unique().sort()
    places = {name: place for place, name in enumerate(frames.to_list(), 1)}
    sides = [
        COCO(
            {
                "images": [{"id": place} for place in places.values()],
                "categories": [{"id": 1, "name": "one"}],
                "annotations": _annotations(rows, places),
            }
        )
        for rows in (labels, inferences)
    ]
    evaluation = COCOeval_faster(*sides, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return float(np.mean(evaluation.eval["precision"][..., 0, -1]))


def _annotations(rows: pl.DataFrame, places: dict[str, int]) -> list[dict[str, object]]:
    ordered = rows.sort("frame_id", "label_id")
    boxes = ordered.select("left", "top", "width", "height").rows()
    scores = (
        ordered["confidence"].to_list()
        if "confidence" in rows.columns
        else [0.0] * rows.height
    )
    return [
        {
            "id": number,
            "image_id": places[name],
            "category_id": 1,
            "bbox": list(box),
            "area": box[2] * box[3],
            "iscrowd": 0,
            "score": score,
        }
        for number, (name, box, score) in enumerate(
            zip(ordered["frame_id"].to_list(), boxes, scores, strict=True), 1
        )
    ]


def measure(report: Report, frames: int, *, beside: bool = True) -> None:
    """Add the lines, of `5 * frames` labels and inferences."""
    what = f"evaluate {frames * 5:,} inferences"
    mine = apart(ours, frames)
    report.add(Line(what, mine.best, "s", target=60.0))
    report.add(Line(f"peak memory: {what}", mine.peak_gib, "GiB", target=4.0))
    if beside:
        rival = apart(theirs, frames)
        assert abs(mine.checksum[1] - rival.checksum[1]) <= 1, "the averages differ"
        note = f"COCO's figures alone, peak {rival.peak_gib:.1f} GiB"
        report.add(
            Line(what, mine.best, "s", "faster-coco-eval", rival.best, 1.0, note)
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--alone", action="store_true", help="without faster-coco-eval")
    wanted = parser.parse_args()
    report = Report(f"{wanted.frames:,} frames")
    measure(report, wanted.frames, beside=not wanted.alone)
    report.show()


if __name__ == "__main__":
    main()
