"""What differs between two evaluations, and which cause is given for it."""

from typing import Any

import polars as pl
import pytest

from lakehouse.errors import InvalidInputError
from lakehouse.metrics import Metrics, evaluate

Row = dict[str, Any]
FRAMES = pl.DataFrame({"frame_id": ["a", "b"]})


def row(label_id: str, left: float, class_name: str = "cell", **fields: Any) -> Row:
    key = {"frame_id": "a", "label_id": label_id, "class_name": class_name}
    return key | {"left": left, "top": 0.0, "width": 10.0, "height": 10.0} | fields


def inference(inference_id: str, left: float, **fields: Any) -> Row:
    return {"confidence": 0.9} | row(inference_id, left, **fields)


def metrics_of(labels: list[Row], inferences: list[Row], **options: Any) -> Metrics:
    return evaluate(pl.DataFrame(labels), pl.DataFrame(inferences), FRAMES, **options)


def causes(this: Metrics, other: Metrics) -> set[tuple[Any, ...]]:
    columns = ("item", "id", "outcome_this", "outcome_other", "cause")
    return set(this.compare(other).changes().select(columns).iter_rows())


def test_each_change_of_a_label_is_its_cause() -> None:
    inferences = [inference(f"i{place}", place * 100.0) for place in range(6)]
    before = [row(f"l{place}", place * 100.0) for place in range(5)]
    after = [
        row("l0", 0.0, "debris"),
        row("l1", 130.0),
        row("l2", 200.0, iscrowd=True),
        row("l4", 400.0),
        row("l5", 500.0),
    ]

    changes = causes(metrics_of(before, inferences), metrics_of(after, inferences))

    assert changes == {
        ("label", "l0", "TP", "FN", "label class changed"),
        ("label", "l1", "TP", "FN", "label moved"),
        ("label", "l2", "TP", "IGNORED", "label ignored"),
        ("label", "l3", "TP", None, "label removed"),
        ("label", "l5", None, "TP", "label added"),
        ("inference", "i0", "TP", "FP", "other class"),
        ("inference", "i1", "TP", "FP", "no label"),
        ("inference", "i3", "TP", "FP", "no label"),
        ("inference", "i5", "FP", "TP", "no label"),
    }


def test_each_change_of_an_inference_is_why_its_label_is_missed() -> None:
    labels = [row(f"l{place}", place * 100.0) for place in range(5)]
    before = [inference(f"i{place}", place * 100.0) for place in range(5)]
    after = [
        inference("i0", 0.0, class_name="debris"),
        inference("i1", 150.0),
        inference("i2", 200.0, confidence=0.01),
        inference("i4", 400.0),
        inference("i9", 900.0),
    ]

    changes = causes(metrics_of(labels, before), metrics_of(labels, after))

    assert changes == {
        ("label", "l0", "TP", "FN", "other class"),
        ("label", "l1", "TP", "FN", "no inference"),
        ("label", "l2", "TP", "FN", "low confidence"),
        ("label", "l3", "TP", "FN", "no inference"),
        ("inference", "i0", "TP", "FP", "inference class changed"),
        ("inference", "i1", "TP", "FP", "inference moved"),
        ("inference", "i9", None, "FP", "inference added"),
    }


def test_a_frame_that_counts_in_one_alone_is_the_cause() -> None:
    labels = [row("l", 0.0), row("m", 0.0, frame_id="b")]
    inferences = [inference("i", 0.0)]

    changes = causes(
        metrics_of(labels, inferences), metrics_of(labels, inferences, over="all")
    )

    assert changes == {("label", "m", None, "FN", "frame left out")}


def test_deltas_are_the_other_less_this() -> None:
    labels = [row("l0", 0.0), row("l1", 100.0, "debris")]
    few, many = (
        metrics_of(labels, [inference("i0", 0.0)]),
        metrics_of(
            labels, [inference("i0", 0.0), inference("i1", 100.0, class_name="debris")]
        ),
    )

    comparison = few.compare(many)

    figures = {row[0]: row[1:4] for row in comparison.summary().iter_rows()}
    assert figures["tp"] == (1.0, 2.0, 1.0)
    assert figures["recall"] == (0.5, 1.0, 0.5)
    rows = comparison.per_class().filter(class_name="debris", metric="recall")
    assert rows.row(0)[2:] == (0.0, 1.0, 1.0)
    frames = comparison.frames().select("frame_id", "tp", "tp_other", "fn", "fn_other")
    assert frames.rows() == [("a", 1, 2, 1, 0)]
    assert not few.compare(few).changes().height
    assert not few.compare(few).frames().height
    assert "recall" in comparison._repr_html_()


def test_polygons_that_move_are_a_cause() -> None:
    def outline(far: float) -> list[Row]:
        corners = [[0.0, 0.0], [far, 0.0], [far, 10.0], [0.0, 10.0]]
        key = {"frame_id": "a", "label_id": "l", "class_name": "cell"}
        return [key | {"polygons": [corners]}]

    changes = causes(
        metrics_of(outline(10.0), [inference("i", 0.0)]),
        metrics_of(outline(40.0), [inference("i", 0.0)]),
    )

    assert ("label", "l", "TP", "FN", "label moved") in changes


def test_metrics_of_two_tasks_are_not_compared() -> None:
    detection = metrics_of([row("l", 0.0)], [inference("i", 0.0)])
    other = metrics_of([row("l", 0.0)], [inference("i", 0.0)], task="CLASSIFICATION")

    with pytest.raises(InvalidInputError, match="for one task"):
        detection.compare(other)
