"""Two real detectors on real frames: the figures that the demo shows."""

from pathlib import Path

import polars as pl
import pytest

from lakehouse.cli.demo.data import hela_frames, hela_pictures
from lakehouse.cli.demo.detectors import DETECTORS, detect
from lakehouse.metrics import Metrics, evaluate

FIGURES = {"otsu": (2436, 471, 835), "watershed": (3150, 572, 121)}
"""True positives, false positives and false negatives at IoU 0.5."""


@pytest.mark.slow
def test_the_detectors_come_to_their_figures(tmp_path: Path) -> None:
    frames, boxes = hela_frames(tmp_path / "cache", tmp_path / "images")
    pictures = hela_pictures(tmp_path / "cache")
    by_detector: dict[str, Metrics] = {}
    for name in DETECTORS:
        by_detector[name] = evaluate(
            pl.DataFrame(boxes),
            pl.DataFrame(detect(name, pictures)),
            pl.DataFrame(frames),
            task="2D_OBJECT_DETECTION",
            max_detections=300,
        )
        figures = tuple(by_detector[name][figure] for figure in ("tp", "fp", "fn"))
        assert figures == FIGURES[name]

    labels = (
        by_detector["otsu"]
        .compare(by_detector["watershed"])
        .changes()
        .filter(item="label")
    )
    better = labels.filter(outcome_other="TP").height
    worse = labels.filter(outcome_this="TP").height
    assert better - worse == FIGURES["otsu"][2] - FIGURES["watershed"][2]
    assert not any(metrics.notes for metrics in by_detector.values())
