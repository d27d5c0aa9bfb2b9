"""The client's metrics manager on a small dataset whose figures are counted by hand."""

from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import BOX

CAT: dict[str, Any] = {"classification": "cat"}
DOG: dict[str, Any] = {"classification": "dog"}
AWAY: dict[str, Any] = {"top": 100, "left": 100, "width": 10, "height": 10}


@pytest.fixture
def manager(bench: Any, frame: Any) -> al.MetricsManager:
    """Frame f: a cat found, a dog taken for a cat. Frame g: a cat missed, a dog invented."""
    first, second = frame("f"), frame("g")
    first.add_label_2d_bbox(label_id="f_cat", **BOX, **CAT)
    first.add_label_2d_bbox(label_id="f_dog", **AWAY, **DOG)
    second.add_label_2d_bbox(label_id="g_cat", **BOX, **CAT)
    bench.send(first, second)
    frames = [al.InferencesFrame(frame_id=name) for name in ("f", "g")]
    frames[0].add_inference_2d_bbox(label_id="f_1", confidence=0.9, **BOX, **CAT)
    frames[0].add_inference_2d_bbox(label_id="f_2", confidence=0.7, **AWAY, **CAT)
    frames[1].add_inference_2d_bbox(label_id="g_1", confidence=0.8, **AWAY, **DOG)
    content = al.Inferences()
    for one in frames:
        content.add_frame(one)
    bench.client.create_inferences("p", "d", "m", inferences=content)
    manager: al.MetricsManager = bench.client.get_metrics_manager("p")
    return manager


def confusions(
    manager: al.MetricsManager, *queries: Any, ordering: str = "", **opts: Any
) -> list[tuple[Any, ...]]:
    asked = {"confidence_threshold": 0.1, "iou_threshold": 0.5, "queries": queries}
    asked["ordering"] = ordering or manager.ORDER_CONF_DESC
    answer = manager.fetch_confusions("d", "m", asked | opts)
    return [(row["label_id"], row["inference_id"]) for row in answer["rows"]]


def test_queries_choose_cells_of_the_confusion_matrix(
    manager: al.MetricsManager,
) -> None:
    cells = {
        "correct": confusions(manager, manager.make_correct_query()),
        "confusions": confusions(manager, manager.make_confusions_query()),
        "invented": confusions(manager, manager.make_false_positives_query()),
        "missed": confusions(manager, manager.make_false_negatives_query()),
        "as cat": confusions(manager, manager.make_confused_as_query("cat")),
        "from cat": confusions(manager, manager.make_confused_from_query("cat")),
        "cell": confusions(manager, manager.make_cell_query("dog", "cat")),
        "none": confusions(manager),
    }

    assert cells == {
        "correct": [("f_cat", "f_1")],
        "confusions": [("f_dog", "f_2")],
        "invented": [(None, "g_1")],
        "missed": [("g_cat", None)],
        "as cat": [("f_dog", "f_2")],
        "from cat": [],
        "cell": [("f_dog", "f_2")],
        "none": [],
    }


@pytest.mark.parametrize(
    ("ordering", "first"),
    [
        ("ORDER_CONF_DESC", ("f_cat", "f_1")),
        ("ORDER_CONF_ASC", ("f_dog", "f_2")),
        ("ORDER_BOX_SIZE_DESC", ("f_dog", "f_2")),
        ("ORDER_BOX_SIZE_ASC", ("f_cat", "f_1")),
    ],
)
def test_rows_come_in_the_order_asked_for(
    manager: al.MetricsManager, ordering: str, first: tuple[str, str]
) -> None:
    pairs = manager.make_correct_query() + manager.make_confusions_query()

    pairs_in_order = confusions(
        manager, pairs, ordering=getattr(al.MetricsManager, ordering)
    )

    assert pairs_in_order[0] == first
    assert len(pairs_in_order) == 2


def test_rows_come_in_pages_with_the_size_of_their_boxes(
    manager: al.MetricsManager,
) -> None:
    opts = {
        "confidence_threshold": 0.1,
        "iou_threshold": 0.5,
        "queries": [manager.make_correct_query(), manager.make_false_positives_query()],
        "ordering": manager.ORDER_CONF_DESC,
        "max_results": 1,
    }

    pages = [
        manager.fetch_confusions("d", "m", opts | {"cur_offset": start})
        for start in (0, 1, 2)
    ]

    assert [page["num_rows"] for page in pages] == [2, 2, 2]
    assert [[row["box_size"] for row in page["rows"]] for page in pages] == [
        [14.0],
        [100.0],
        [],
    ]


def test_figures_are_of_all_frames_or_of_one_class(manager: al.MetricsManager) -> None:
    (whole,) = manager.get_metrics("d", "m", confidence_pct=10, iou_pct=50)
    (cats,) = manager.get_metrics("d", "m", 10, 50, metrics_class="cat")

    assert whole["frame_count"] == 2
    assert whole["total_confusions"] == {"score": 1}
    assert cats["precision"] == {"score": 0.5, "threshold": None, "succeeds": None}
    assert cats["recall"]["score"] == 0.5
    assert (cats["false_positives"]["score"], cats["false_negatives"]["score"]) == (
        1,
        1,
    )
    sure = manager.get_metrics("d", "m", 85, 50, metrics_class="cat")[0]
    assert sure["precision"]["score"] == 1.0


def test_scenarios_are_measured_on_their_frames_against_their_thresholds(
    manager: al.MetricsManager, bench: Any
) -> None:
    project = bench.client.lake.project("p")
    for name, least in (("easy", 0.4), ("hard", 0.9)):
        segment = project.create_segment(
            name,
            type="regression",
            element_type="frame",
            thresholds={"precision": 0.4, "recall": least},
        )
        segment.add(bench.dataset, frames=["f"])
    project.create_segment("no scenario", element_type="frame")

    listed = manager.list_scenarios("d")
    metrics = manager.get_metrics("d", "m", 10, 50, scenario_ids=None)

    assert [(one["name"], one["template_type"]) for one in listed] == [
        ("easy", "testScenarioRegression"),
        ("hard", "testScenarioRegression"),
    ]
    assert [one["segment_name"] for one in metrics] == ["easy", "hard"]
    assert [one["recall"]["succeeds"] for one in metrics] == [True, False]
    assert {one["frame_count"] for one in metrics} == {1}
    assert metrics[0]["uuid"] == listed[0]["uuid"]
    (one,) = manager.get_metrics("d", "m", 10, 50, scenario_ids=["hard"])
    assert one == metrics[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.make_cell_query("cat", "cow"), "cow"),
        (lambda m: m.get_metrics("d", "m", 10, 50, ["none"]), "none"),
        (lambda m: m.get_metrics("d", "m", 10, 50, metrics_class="cow"), "cow"),
        (lambda m: m.get_metrics("d", "m", 1000, 50), "confidence"),
        (lambda m: m.fetch_confusions("d", "m", {}), "ordering"),
        (lambda m: confusions(m, ordering="size"), "ORDER_IOU_ASC"),
        (lambda m: m.get_metrics("d", "x", 10, 50), "x"),
        (lambda m: m.list_scenarios("x"), "x"),
    ],
    ids=["cell", "scenario", "class", "confidence", "opts", "order", "set", "dataset"],
)
def test_what_cannot_be_asked_is_refused(
    manager: al.MetricsManager, call: Any, message: str
) -> None:
    with pytest.raises(lakehouse.LakehouseError, match=message):
        call(manager)
