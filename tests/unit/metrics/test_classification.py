"""Classification of all three kinds, on answers small enough to count by hand."""

from typing import Any

import polars as pl
import pytest

from lakehouse.errors import InvalidInputError
from lakehouse.metrics import Metrics, evaluate
from lakehouse.model.class_map import ClassMap
from tests.unit.metrics.random_tables import shuffled

Answers = list[tuple[Any, ...]]
FRAMES = pl.DataFrame({"frame_id": list("abcdef"), "user__split": ["t", "v"] * 3})


def table(rows_given: Answers, prefix: str) -> pl.DataFrame:
    schema: dict[str, Any] = {"frame_id": pl.String, "class_name": pl.String}
    if prefix == "i":
        schema["confidence"] = pl.Float64
    rows = pl.DataFrame(rows_given, schema=schema, orient="row")
    numbers = pl.int_range(rows.height).cast(pl.String)
    return rows.with_columns(
        pl.format(prefix + "{}", numbers).alias("label_id"),
        label_type=pl.lit("CLASSIFICATION_2D"),
    )


def metrics_of(
    labels: Answers, inferences: Answers, task: str, **options: Any
) -> Metrics:
    return evaluate(
        table(labels, "l"),
        table(inferences, "i"),
        FRAMES,
        task=task,  # type: ignore[arg-type]
        over="all",
        **options,
    )


LABELS: Answers = [("a", "cat"), ("b", "cat"), ("c", "dog"), ("d", "dog"), ("e", "cow")]
INFERENCES: Answers = [
    ("a", "cat", 0.9),
    ("a", "dog", 0.2),
    ("b", "cat", 0.4),
    ("b", "dog", 0.6),
    ("c", "dog", 0.7),
    ("d", "dog", 0.05),
    ("f", "cat", 0.9),
]


def test_one_label_an_image() -> None:
    metrics = metrics_of(LABELS, INFERENCES, "CLASSIFICATION")

    assert metrics["accuracy"] == 2 / 5
    assert metrics.counts["frames without labels that count"] == 1
    assert metrics.counts["inferences on images without labels that count"] == 1
    assert metrics.confusion().rows() == [
        ("cat", 1, 0, 1, 0),
        ("cow", 0, 0, 0, 1),
        ("dog", 0, 0, 1, 1),
        ("(background)", 0, 0, 0, 0),
    ]
    rows = metrics.per_class().select("class_name", "tp", "fp", "fn", "f1").rows()
    assert rows == [
        ("cat", 1, 0, 1, 2 / 3),
        ("cow", 0, 0, 1, 0.0),
        ("dog", 1, 1, 1, 0.5),
    ]
    reasons = metrics.matches().filter(outcome="FN").select("frame_id", "reason").rows()
    assert reasons == [
        ("b", "other class"),
        ("d", "low confidence"),
        ("e", "no inference"),
    ]


def test_scores_of_a_class_are_compared_with_the_rest() -> None:
    metrics = metrics_of(LABELS, INFERENCES, "CLASSIFICATION")

    areas = dict(metrics.per_class().select("class_name", "auroc").iter_rows())

    # dog: 0.7 and 0.05 against 0.2, 0.6 and 0: 3 wins and 1 of 6 pairs.
    assert areas == {"cat": 1.0, "cow": 0.5, "dog": 4 / 6}
    assert metrics["auroc"] == pytest.approx((1.0 + 0.5 + 4 / 6) / 3, abs=1e-15)
    curve = metrics.curve("dog")
    assert curve.row(-1, named=True)["precision"] == 0.5
    assert curve.row(-1, named=True)["confidence"] == 0.05


def test_several_labels_an_image() -> None:
    labels: Answers = [("a", "cat"), ("a", "dog"), ("b", "cat"), ("c", "dog")]
    inferences: Answers = [
        ("a", "cat", 0.9),
        ("a", "dog", 0.8),
        ("b", "dog", 0.7),
        ("c", "dog", 0.05),
        ("c", "dog", 0.04),
        ("d", "cat", 0.3),
    ]

    metrics = metrics_of(labels, inferences, "MULTI_LABEL_CLASSIFICATION")

    assert metrics["images"] == 6
    assert metrics["accuracy"] == 3 / 6
    assert metrics.confusion().rows() == [
        ("cat", 1, 0, 1),
        ("dog", 0, 1, 1),
        ("(background)", 1, 1, 0),
    ]
    reasons = (
        metrics.matches().filter(pl.col("outcome") != "TP").select("frame_id", "reason")
    )
    assert reasons.rows() == [
        ("b", "no inference"),
        ("b", "no label"),
        ("c", "low confidence"),
        ("d", "no label"),
    ]


def test_an_ignored_label_leaves_its_class_or_its_image_out() -> None:
    labels = table([("a", "cat"), ("a", "dog"), ("b", "cat")], "l").with_columns(
        user__ignore_in_eval=pl.Series([True, False, False])
    )
    inferences = table([("a", "cat", 0.9), ("a", "dog", 0.9), ("b", "cat", 0.9)], "i")

    several = evaluate(labels, inferences, FRAMES, task="MULTI_LABEL_CLASSIFICATION")
    alone = evaluate(
        labels.filter(class_name="cat"), inferences, FRAMES, task="CLASSIFICATION"
    )

    assert (several["tp"], several["fp"], several["fn"]) == (2, 0, 0)
    assert several.matches()["outcome"].to_list().count("IGNORED") == 2
    assert (alone["images"], alone["accuracy"]) == (1, 1.0)


def test_two_classes_of_which_one_is_what_nothing_says() -> None:
    labels: Answers = [
        ("a", "bad"),
        ("b", "bad"),
        ("c", "good"),
        ("d", "good"),
        ("e", "good"),
    ]
    inferences: Answers = [("a", "bad", 0.9), ("b", "bad", 0.02), ("c", "bad", 0.3)]

    metrics = metrics_of(
        labels, inferences, "BINARY_CLASSIFICATION", negative_class="good"
    )

    figures = [metrics[name] for name in ("tp", "fp", "fn", "tn")]
    assert figures == [1, 1, 1, 2]
    assert (metrics["accuracy"], metrics["precision"], metrics["f1"]) == (
        3 / 5,
        0.5,
        0.5,
    )
    assert metrics["auroc"] == 5 / 6
    assert metrics.per_class()["auroc"].to_list() == [5 / 6, 5 / 6]
    assert metrics.confusion().rows() == [
        ("good", 2, 1, 0),
        ("bad", 1, 1, 0),
        ("(background)", 0, 0, 0),
    ]


def test_what_a_binary_classifier_must_not_say_is_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        metrics_of(
            [("a", "bad"), ("b", "odd")],
            [("a", "good", 0.5), ("b", "bad", 1.5)],
            "BINARY_CLASSIFICATION",
            negative_class="good",
        )

    assert {problem.rule for problem in caught.value.problems} == {
        "class.count",
        "class.negative",
        "confidence.range",
    }


@pytest.mark.parametrize("task", ["CLASSIFICATION", "MULTI_LABEL_CLASSIFICATION"])
def test_the_order_of_rows_changes_nothing(task: str) -> None:
    classes = ClassMap.from_names(["dog", "cat", "cow"])
    tables = (table(LABELS, "l"), table(INFERENCES, "i"), FRAMES)
    first, *others = (
        evaluate(*rows, task=task, classes=classes, over="all")  # type: ignore[arg-type]
        for rows in (tables, *(tuple(shuffled(t, n) for t in tables) for n in range(4)))
    )
    for other in others:
        assert other.to_dict() == first.to_dict()
        assert other.matches().equals(first.matches())
        assert other.slices("user__split").equals(first.slices("user__split"))
    assert first.per_class()["class_name"].to_list() == ["dog", "cat", "cow"]


def test_a_better_answer_explains_a_difference() -> None:
    better = [
        row if row[:2] != ("b", "cat") else ("b", "cat", 0.7) for row in INFERENCES
    ]
    this, other = (
        metrics_of(LABELS, answers, "CLASSIFICATION")
        for answers in (INFERENCES, better)
    )

    changes = (
        this.compare(other)
        .changes()
        .select("item", "id", "outcome_this", "outcome_other", "cause")
    )

    assert changes.rows() == [
        ("label", "l1", "FN", "TP", "other class"),
        ("inference", "i3", "FP", None, "low confidence"),
    ]
