"""Detection against pycocotools, and what is decided beyond COCO."""

from typing import Any

import polars as pl
import pytest

from lakehouse.metrics import Metrics, evaluate
from tests.unit.metrics.oracle import NAMES, by_pycocotools
from tests.unit.metrics.random_tables import Drawn, drawn, shuffled

Row = dict[str, Any]

BOX: Row = {"left": 0.0, "top": 0.0, "width": 10.0, "height": 10.0}
FRAMES = pl.DataFrame({"frame_id": ["a", "b"], "user__split": ["train", "val"]})


def row(label_id: str, class_name: str = "cell", **fields: Any) -> Row:
    return (
        {"frame_id": "a", "label_id": label_id, "class_name": class_name} | BOX | fields
    )


def inference(label_id: str, confidence: float = 0.9, **fields: Any) -> Row:
    return row(label_id, **fields) | {"confidence": confidence}


def metrics_of(
    labels: list[Row],
    inferences: list[Row],
    **options: Any,
) -> Metrics:
    schema = {"frame_id": pl.String, "label_id": pl.String, "class_name": pl.String}
    empty = pl.DataFrame(schema=schema | {"confidence": pl.Float64})
    return evaluate(
        pl.DataFrame(labels) if labels else empty.drop("confidence"),
        pl.DataFrame(inferences) if inferences else empty,
        FRAMES,
        **{"task": "2D_OBJECT_DETECTION", **options},
    )


def assert_equal_to_pycocotools(tables: Drawn) -> None:
    metrics = evaluate(
        tables.labels,
        tables.inferences,
        tables.frames,
        task="2D_OBJECT_DETECTION",
        over="all",
    )
    figures, by_class = by_pycocotools(tables)

    assert {name: metrics[name] for name in NAMES} == pytest.approx(figures, abs=1e-12)
    ours = dict(metrics.per_class().select("class_name", "ap").iter_rows())
    assert ours == pytest.approx(by_class, abs=1e-12)


@pytest.mark.parametrize("polygons", [False, True], ids=["boxes", "polygons"])
def test_figures_are_those_of_pycocotools(*, polygons: bool) -> None:
    assert_equal_to_pycocotools(drawn(1, 120, polygons=polygons))


@pytest.mark.slow
def test_figures_of_2000_frames_are_those_of_pycocotools() -> None:
    assert_equal_to_pycocotools(drawn(2, 2_000, per_frame=20))


def test_more_inferences_than_coco_counts_are_left_out_of_ap_and_noted() -> None:
    tables = drawn(3, 6, classes=1, per_frame=150)
    assert_equal_to_pycocotools(tables)

    metrics = evaluate(tables.labels, tables.inferences, tables.frames)

    assert any("max_detections" in note for note in metrics.notes)
    assert metrics["inferences"] == 767


def test_the_order_of_rows_changes_nothing() -> None:
    tables = drawn(4, 60)
    first = evaluate(tables.labels, tables.inferences, tables.frames)
    for seed in range(3):
        other = evaluate(
            shuffled(tables.labels, seed),
            shuffled(tables.inferences, seed + 10),
            shuffled(tables.frames, seed + 20),
        )
        assert other.to_dict() == first.to_dict()
        for table in ("matches", "per_frame", "curve"):
            assert getattr(other, table)().equals(getattr(first, table)())
        assert other.matches(across_classes=True).equals(
            first.matches(across_classes=True)
        )
        assert other.slices("user__split").equals(first.slices("user__split"))


def test_a_row_for_every_label_and_confident_inference_says_why() -> None:
    metrics = metrics_of(
        [
            row("met"),
            row("confused", left=100.0),
            row("unsure", left=200.0),
            row("missed", left=300.0),
            row("crowd", left=400.0, iscrowd=True),
        ],
        [
            inference("i_met"),
            inference("i_twice", 0.8, left=1.0),
            inference("i_confused", class_name="debris", left=100.0),
            inference("i_unsure", 0.05, left=200.0),
            inference("i_nothing", left=600.0),
            inference("i_crowd", left=402.0, width=4.0),
        ],
    )

    rows = metrics.matches().select("label_id", "inference_id", "outcome", "reason")

    assert set(rows.iter_rows()) == {
        ("met", "i_met", "TP", None),
        (None, "i_twice", "FP", "duplicate"),
        ("confused", None, "FN", "other class"),
        (None, "i_confused", "FP", "other class"),
        ("unsure", None, "FN", "low confidence"),
        ("missed", None, "FN", "no inference"),
        (None, "i_nothing", "FP", "no label"),
        ("crowd", None, "IGNORED", None),
        (None, "i_crowd", "IGNORED", None),
    }
    assert metrics.confusion().rows() == [
        ("cell", 1, 1, 2),
        ("debris", 0, 0, 0),
        ("(background)", 2, 0, 0),
    ]
    assert (metrics["tp"], metrics["fp"], metrics["fn"]) == (1, 3, 3)


def test_an_ignored_label_is_as_a_crowd() -> None:
    inferences = [inference("i1"), inference("i2", left=2.0, width=6.0)]
    for mark in ("iscrowd", "user__ignore_in_eval"):
        metrics = metrics_of([row("l") | {mark: True}], inferences)

        assert (metrics["tp"], metrics["fp"], metrics["fn"]) == (0, 0, 0)
        assert metrics["AP"] is None
        assert metrics["precision"] is None


def test_frames_that_were_seen_count_and_others_do_not() -> None:
    labels = [row("l1"), row("l2", frame_id="b")]
    inferences = [inference("i1"), inference("lost", frame_id="gone")]

    default = metrics_of(labels, inferences)
    seen = metrics_of(labels, inferences, seen=["a", "b", "unknown"])
    whole = metrics_of(labels, inferences, over="all")

    assert (default["tp"], default["fn"]) == (1, 0)
    assert (seen["tp"], seen["fn"]) == (whole["tp"], whole["fn"]) == (1, 1)
    assert default.counts["frames that the model did not see"] == 1
    assert default.no_ground_truth.rows() == [("gone", 1)]
    assert seen.no_ground_truth.rows() == [("gone", 1), ("unknown", 0)]
    assert whole.per_frame()["seen"].to_list() == [True, False]
    assert "1 frames without ground truth left out." in whole.notes


def test_slices_are_the_evaluation_of_their_frames() -> None:
    tables = drawn(5, 40)
    whole = evaluate(tables.labels, tables.inferences, tables.frames, over="all")
    for part in whole.slices("user__split").iter_rows(named=True):
        frames = tables.frames.filter(user__split=part["user__split"])
        labels, inferences = (
            rows.join(frames, on="frame_id", how="semi")
            for rows in (tables.labels, tables.inferences)
        )
        alone = evaluate(labels, inferences, frames, over="all")
        assert part["frames"] == frames.height
        assert {
            name: part[name] for name in alone.to_dict()["summary"]
        } == pytest.approx(alone.to_dict()["summary"], abs=1e-15)


def test_labels_meet_inferences_of_their_own_sensor() -> None:
    metrics = metrics_of(
        [row("l", coordinate_frame="left")], [inference("i", coordinate_frame="right")]
    )

    assert (metrics["tp"], metrics["fp"], metrics["fn"]) == (0, 1, 1)


def test_polygons_can_be_compared_with_boxes() -> None:
    square = [[[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]]
    outline = {
        "frame_id": "a",
        "label_id": "l",
        "class_name": "cell",
        "polygons": square,
    }

    for geometry in ("box", "polygon", None):
        metrics = metrics_of([outline], [inference("i")], geometry=geometry)
        assert metrics.matches()["iou"].to_list() == [1.0]


def test_the_curve_falls_and_ends_where_recall_does() -> None:
    tables = drawn(6, 60)
    metrics = evaluate(tables.labels, tables.inferences, tables.frames, over="all")

    curve = metrics.curve("class_03")

    assert curve["recall"].to_list() == pytest.approx([n / 100 for n in range(101)])
    assert curve["precision"].is_sorted(descending=True)
    assert curve["precision"].mean() == pytest.approx(
        metrics.per_class().filter(class_name="class_03")["ap50"].item(), abs=1e-12
    )
    assert metrics.curve()["class_name"].n_unique() == 10
