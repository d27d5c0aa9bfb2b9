"""What users get, and the errors where rows or arguments are wrong."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.metrics import Metrics, evaluate
from lakehouse.model.class_map import ClassMap
from tests.unit.metrics.random_tables import drawn

TABLES = drawn(9, 12, classes=3)


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return evaluate(
        TABLES.labels,
        TABLES.inferences,
        TABLES.frames,
        over="all",
        iou=0.6,
        confidence=0.2,
    )


def test_everything_is_json(metrics: Metrics) -> None:
    decoded = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))

    assert decoded["parameters"]["iou"] == 0.6
    assert decoded["summary"]["AP"] == metrics["AP"]
    assert len(decoded["confusion"]) == 4


def test_it_shows_itself(metrics: Metrics) -> None:
    assert repr(metrics).startswith("<Metrics 2D_OBJECT_DETECTION of 12 frames: tp=")
    page = metrics._repr_html_()
    assert all(name in page for name in metrics.summary()["metric"])
    assert all(metrics.summary()["meaning"])


@pytest.mark.parametrize("kind", ["precision_recall", "confusion"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_plots_are_the_same_bytes_each_time(
    metrics: Metrics, tmp_path: Path, kind: Any, ending: str
) -> None:
    paths = [tmp_path / f"{number}.{ending}" for number in range(2)]
    for path in paths:
        metrics.plot(kind, path)

    assert paths[0].stat().st_size > 1000
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_wrong_plots_slices_classes_and_figures_are_refused(metrics: Metrics) -> None:
    with pytest.raises(InvalidInputError, match=r"not known.*does not end in"):
        metrics.plot("pie", "a.pdf")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="user__split"):
        metrics.slices("user__spilt")
    with pytest.raises(NotFoundError, match="class_00"):
        metrics.curve("class_99")
    with pytest.raises(NotFoundError, match="AP50"):
        metrics["AP51"]


def test_arguments_out_of_range_are_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        evaluate(
            TABLES.labels,
            TABLES.inferences,
            TABLES.frames,
            task="2D_LINES",  # type: ignore[arg-type]
            iou=1.5,
            confidence=-1,
            over="some",  # type: ignore[arg-type]
            max_detections=0,
            geometry="circle",  # type: ignore[arg-type]
            negative_class="good",
        )

    words = ("2D_LINES", "iou", "confidence", "over", "max_detections", "geometry")
    assert all(word in str(caught.value) for word in (*words, "negative_class"))


def test_bad_rows_are_reported_at_once() -> None:
    labels = TABLES.labels.head(3).with_columns(
        frame_id=pl.Series(["f00000", "f00000", "f00001"]),
        label_id=pl.Series(["l0", "l0", None]),
        width=pl.Series([1.0, -1.0, float("nan")]),
        class_name=pl.Series(["class_00", "unheard", None]),
    )
    inferences = TABLES.inferences.head(4).with_columns(
        frame_id=pl.Series(["f00000", "f00000", "f00001", None]),
        confidence=pl.Series([0.5, 1.5, float("nan"), None]),
    )
    frames = pl.concat([TABLES.frames, TABLES.frames.head(1)])

    with pytest.raises(InvalidInputError) as caught:
        evaluate(labels, inferences, frames, classes=[f"class_0{n}" for n in range(3)])

    problems = caught.value.problems
    assert all(problem.path in str(caught.value) for problem in problems)
    rules = [problem.rule for problem in problems]
    counts = {rule: rules.count(rule) for rule in rules}
    assert counts == {
        "id.duplicate": 3,
        "id.missing": 2,
        "box.invalid": 2,
        "class.unknown": 2,
        "confidence.range": 2,
    }


def test_of_many_bad_rows_a_hundred_are_named_and_all_counted() -> None:
    inferences = TABLES.inferences.head(1).select(pl.all().repeat_by(150).explode())
    inferences = inferences.with_columns(
        label_id=pl.int_range(150).cast(pl.String), confidence=pl.lit(2.0)
    )

    with pytest.raises(InvalidInputError, match="and 130 more") as caught:
        evaluate(TABLES.labels, inferences, TABLES.frames)

    assert len(caught.value.problems) == 100
    assert caught.value.kind == "metrics.input"


def test_columns_that_are_missing_or_of_a_wrong_type_are_reported() -> None:
    labels = TABLES.labels.drop("class_name").with_columns(top=pl.lit("upper"))
    inferences = TABLES.inferences.drop("confidence", "frame_id")
    with pytest.raises(InvalidInputError) as caught:
        evaluate(labels, inferences, TABLES.frames.drop("frame_id"))

    rules = {problem.path: problem.rule for problem in caught.value.problems}
    assert rules == {
        "frames.frame_id": "column.missing",
        "labels.class_name": "column.missing",
        "labels.top": "column.type",
        "inferences.frame_id": "column.missing",
        "inferences.confidence": "column.missing",
    }


def test_degenerate_polygons_are_reported() -> None:
    key: dict[str, Any] = {"label_id": "l", "class_name": "cell"}
    shapes: list[Any] = [[[[0.0, 0.0], [1.0, 1.0]]], [], None, [[[0.0, 0.0]] * 3]]
    labels = pl.DataFrame(
        [
            key | {"frame_id": f"f{n}", "polygons": shape}
            for n, shape in enumerate(shapes)
        ],
        schema_overrides={"polygons": pl.List(pl.List(pl.List(pl.Float64)))},
    ).with_columns(label_type=pl.lit("POLYGON_LIST_2D"))
    frames = labels.select("frame_id")

    with pytest.raises(InvalidInputError) as caught:
        evaluate(
            labels, labels.with_columns(confidence=0.5).tail(1), frames, over="all"
        )

    assert [problem.frame_id for problem in caught.value.problems] == ["f0", "f1", "f2"]


def test_a_class_map_names_classes_by_id_and_leaves_some_out() -> None:
    classes = ClassMap.from_names(["cell", "debris"]).rename("cell", "nucleus")
    box = {"left": 0.0, "top": 0.0, "width": 9.0, "height": 9.0, "frame_id": "a"}
    labels = pl.DataFrame(
        [box | {"label_id": "l", "class_name": "cell", "class_id": 0}]
    )
    inferences = pl.DataFrame(
        [box | {"label_id": "i", "class_name": "nucleus", "confidence": 0.9}]
    )

    metrics = evaluate(
        labels, inferences, pl.DataFrame({"frame_id": ["a"]}), classes=classes
    )

    assert metrics["tp"] == 1
    assert metrics.per_class()["class_name"].to_list() == ["nucleus", "debris"]


def test_nothing_at_all_is_evaluated_too() -> None:
    metrics = evaluate(
        TABLES.labels.clear(), TABLES.inferences.clear(), TABLES.frames, over="all"
    )

    assert metrics["AP"] is None
    assert metrics["labels"] == 0
    assert metrics.per_frame().height == 12
    assert metrics.confusion().rows() == [("(background)", 0)]
    assert metrics.slices("user__split").height == 2
    assert not metrics.curve().height
    metrics.plot("precision_recall")
    metrics.plot("confusion")


def test_frames_no_model_saw_are_not_evaluated() -> None:
    metrics = evaluate(TABLES.labels, TABLES.inferences.clear(), TABLES.frames)

    assert metrics.counts["frames"] == 0
    assert metrics.counts["frames that the model did not see"] == 12
    assert metrics.matches().is_empty()


def test_lazy_frames_and_other_columns_are_fine(metrics: Metrics) -> None:
    again = evaluate(
        TABLES.labels.lazy().with_columns(
            user__note=pl.lit("x"), upload_id=pl.lit("u")
        ),
        TABLES.inferences.lazy(),
        TABLES.frames.lazy(),
        over="all",
        iou=0.6,
        confidence=0.2,
    )

    assert again.to_dict() == metrics.to_dict()


def test_a_row_alone_without_an_id_is_reported() -> None:
    labels = TABLES.labels.head(1).with_columns(frame_id=pl.lit(None, pl.String))
    with pytest.raises(InvalidInputError, match="1 rows of labels have no frame_id"):
        evaluate(labels, TABLES.inferences, TABLES.frames)
