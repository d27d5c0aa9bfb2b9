"""Metrics of a million inferences: how long, and with how much memory?

    python -m benchmarks.evaluation [--frames 200000] [--alone]

Five labels a frame, and as many inferences. lakehouse computes everything that
`evaluate()` offers: COCO's figures, outcomes with reasons, the confusion matrix.
faster-coco-eval computes COCO's figures alone, class by class, so that the
dictionaries that it takes fit into memory. Both must have the same average
precision, or no time counts.
"""

import argparse

import numpy as np
import polars as pl

from benchmarks.data import CLASSES, Data
from benchmarks.measure import Measured, Timer, apart
from benchmarks.report import Line, Report
from lakehouse.metrics import evaluate


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


def by_lakehouse(frames: int) -> Measured:
    """Evaluate, and make every table of the result once."""
    data, timer = Data(frames), Timer()
    labels = data.labels()
    inferences, table = inferences_of(labels), data.frames()
    with timer():
        metrics = evaluate(labels, inferences, table)
        metrics.to_dict()
        metrics.per_frame()
        assert metrics.matches().height > labels.height
    return Measured(timer.seconds, checksum=_digits(metrics["AP"]))


def by_faster_coco_eval(frames: int) -> Measured:
    """COCO's figures alone, one class after the other."""
    labels, timer = Data(frames).labels(), Timer()
    inferences = inferences_of(labels)
    with timer():
        means = [
            _of_class(*(rows.filter(class_name=name) for rows in (labels, inferences)))
            for name in CLASSES
        ]
    return Measured(timer.seconds, checksum=_digits(float(np.mean(means))))


def _digits(average: float | None) -> tuple[int, int]:
    """An average to nine digits, where a checksum is asked for."""
    assert average is not None
    return 0, round(average * 1e9)


def _of_class(labels: pl.DataFrame, inferences: pl.DataFrame) -> float:
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - heavy

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
    """Add the lines for `5 * frames` labels and as many inferences."""
    what = f"evaluate {frames * 5:,} inferences"
    own = apart(by_lakehouse, frames)
    report.add(Line(what, own.best, "s", target=60.0))
    report.add(Line(f"peak memory: {what}", own.peak_gib, "GiB", target=4.0))
    if beside:
        rival = apart(by_faster_coco_eval, frames)
        assert abs(own.checksum[1] - rival.checksum[1]) <= 1, "the averages differ"
        note = f"COCO's figures alone, peak {rival.peak_gib:.1f} GiB"
        report.add(Line(what, own.best, "s", "faster-coco-eval", rival.best, 1.0, note))


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
