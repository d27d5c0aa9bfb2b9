"""The client's metrics manager: metrics of inference sets, as a whole or by scenario.

Figures are those of `inference_set.metrics()`, against the pinned labels. A scenario
is a segment of type split, regression or scenario. Class names are those of the class
map, where the service wrote them in lower case.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from lakehouse.aquarium.values import refused
from lakehouse.catalog.inference_set import InferenceSet
from lakehouse.catalog.project import Project
from lakehouse.metrics import Metrics
from lakehouse.segments import Segment

BACKGROUND: Final = "background"
"""The client's class of a missing label or inference."""
_OWN_BACKGROUND: Final = "(background)"
_TEMPLATES: Final = {
    "split": ("testScenarioSplit", "Split"),
    "regression": ("testScenarioRegression", "Regression Test"),
    "scenario": ("testScenarioGeneric", "Scenario"),
}
"""Type of a segment to the client's names of it, in requests and in answers."""
_SCORES: Final = ("precision", "recall", "f1")
_MAX_RESULTS: Final = 10_000
"""Rows of an answer unless `max_results` is given."""
_REQUIRED: Final = ("confidence_threshold", "iou_threshold", "queries", "ordering")

Query = list[tuple[str, str]]
"""Pairs of classes: a label's, an inference's."""


class MetricsManager:
    """Metrics of a project. Made by `client.get_metrics_manager()`.

    Args:
        client: A client, whose lake holds the project.
        project_id: The project.
    """

    ORDER_CONF_DESC = "inference_data.confidence__by__desc"
    ORDER_CONF_ASC = "inference_data.confidence__by__asc"
    ORDER_IOU_DESC = "iou__by__desc"
    ORDER_IOU_ASC = "iou__by__asc"
    ORDER_BOX_SIZE_DESC = "box_size__by__desc"
    ORDER_BOX_SIZE_ASC = "box_size__by__asc"

    def __init__(self, client: Any, project_id: str) -> None:
        self.project_id = project_id
        self._project: Project = client.lake.project(project_id)

    # ------------------------------- SCENARIOS ------------------------------ #

    def list_scenarios(self, dataset_id: str) -> list[dict[str, Any]]:
        """The scenarios with elements of a dataset, by name.

        Raises:
            NotFoundError: If there is no such dataset.
        """
        return [
            {
                "name": one.name,
                "issue_id": one.id,
                "uuid": one.id,
                "updated_at": one.updated_at.isoformat(),
                "template_type": _TEMPLATES[one.type][0],
                "thresholds": dict(one.thresholds),
            }
            for one in self._scenarios(dataset_id)
        ]

    def get_metrics(
        self,
        dataset_id: str,
        inferences_id: str,
        confidence_pct: float,
        iou_pct: float,
        scenario_ids: Sequence[str] | None = (),
        metrics_class: str | None = None,
    ) -> list[dict[str, Any]]:
        """Precision, recall and F1 of an inference set, as a whole or by scenario.

        Args:
            dataset_id: The dataset.
            inferences_id: Its inference set.
            confidence_pct: The least confidence, in percent.
            iou_pct: The least overlap of a match, in percent.
            scenario_ids: Names of scenarios; None for all. Without any, the figures
                are of all frames that the model saw.
            metrics_class: One class; all of them when left out.

        Returns:
            A dict for each scenario. A score of what is undefined, as 0 / 0 is, is
            None, and passes no threshold.

        Raises:
            NotFoundError: If there is no such dataset, set, scenario or class.
            InvalidInputError: If a threshold is out of range.
        """
        model = self._project.dataset(dataset_id).inference_set(inferences_id)
        # The client gives percent, the lake takes shares.
        iou, confidence = iou_pct / 100, confidence_pct / 100
        known = self._scenarios(dataset_id)
        # None stands for the whole set: no segment.
        if scenario_ids is None:
            chosen: list[Segment | None] = [*known]
        else:
            chosen = [_of_name(known, name) for name in scenario_ids] or [None]
        return [
            _describe(
                one,
                model.metrics(segment=one, iou=iou, confidence=confidence),
                metrics_class,
            )
            for one in chosen
        ]

    def _scenarios(self, dataset_id: str) -> list[Segment]:
        segments = self._project.segments(dataset=dataset_id)
        return [one for one in segments if one.type in _TEMPLATES]

    # -------------------------------- QUERIES ------------------------------- #

    def make_cell_query(self, gt: str, inf: str) -> Query:
        """Labels of class `gt` that were taken for class `inf`.

        Raises:
            InvalidInputError: If a class is none of the project's, nor `background`.
        """
        return [(self._class(gt), self._class(inf))]

    def make_correct_query(self) -> Query:
        """Labels that were taken for what they are."""
        return [(name, name) for name in self._project.classes]

    def make_confusions_query(self) -> Query:
        """Labels that were taken for another class."""
        return [pair for name in self._project.classes for pair in self._from(name)]

    def make_false_positives_query(self) -> Query:
        """Inferences without a label."""
        return [(BACKGROUND, name) for name in self._project.classes]

    def make_false_negatives_query(self) -> Query:
        """Labels without an inference."""
        return [(name, BACKGROUND) for name in self._project.classes]

    def make_confused_as_query(self, name: str) -> Query:
        """Labels of other classes that were taken for this one.

        Raises:
            InvalidInputError: If there is no such class.
        """
        return [(gt, inf) for inf, gt in self._from(self._class(name))]

    def make_confused_from_query(self, name: str) -> Query:
        """Labels of this class that were taken for others.

        Raises:
            InvalidInputError: If there is no such class.
        """
        return self._from(self._class(name))

    def _from(self, name: str) -> Query:
        return [(name, other) for other in self._project.classes if other != name]

    def _class(self, name: str) -> str:
        known = [*self._project.classes, BACKGROUND]
        if name not in known:
            raise refused(
                f"{name!r} is no class of project {self.project_id!r}: "
                f"{', '.join(known)}.",
                "class.unknown",
            )
        return name

    def fetch_confusions(
        self, dataset_id: str, inferences_id: str, opts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The pairs of labels and inferences in the cells that are queried.

        Args:
            dataset_id: The dataset.
            inferences_id: Its inference set.
            opts: `confidence_threshold` and `iou_threshold`, 0.0 to 1.0; `queries`, of
                the `make_…_query` methods; `ordering`, of the `ORDER_…` constants;
                and maybe `max_results` (10,000) and `cur_offset` (0). Background is
                asked for by the queries.

        Returns:
            `num_rows` that there are, `cur_offset`, and `rows` from there: frame_id,
            label_id, inference_id, label_class, inference_class, confidence, iou,
            box_size (of the label, else of the inference, in square pixels).

        Raises:
            NotFoundError: If there is no such dataset or set.
            InvalidInputError: If an option is missing, or cannot be.
        """
        if missing := [name for name in _REQUIRED if name not in opts]:
            raise refused(f"opts lacks {', '.join(missing)}.")
        model = self._project.dataset(dataset_id).inference_set(inferences_id)
        metrics = model.metrics(
            confidence=opts["confidence_threshold"], iou=opts["iou_threshold"]
        )
        cells = [pair for query in opts["queries"] for pair in query]
        rows = _in_cells(metrics.matches(across_classes=True), cells)
        ordered = _ordered(_sized(rows, model), opts["ordering"])
        start, most = opts.get("cur_offset", 0), opts.get("max_results", _MAX_RESULTS)
        return {
            "cur_offset": start,
            "num_rows": ordered.height,
            "rows": ordered.slice(start, most).to_dicts(),
        }


def _of_name(known: Sequence[Segment], name: str) -> Segment:
    for one in known:
        if one.name == name:
            return one
    raise refused(
        f"There is no scenario {name!r} of this dataset: "
        f"{', '.join(one.name for one in known) or 'it has none'}.",
        "segment.unknown",
    )


# ---------------------------------- FIGURES --------------------------------- #


def _describe(
    segment: Segment | None, metrics: Metrics, class_name: str | None
) -> dict[str, Any]:
    figures = _figures(metrics, class_name)
    thresholds = {} if segment is None else segment.thresholds
    return {
        "segment_name": "" if segment is None else segment.name,
        "segment_type": "Split" if segment is None else _TEMPLATES[segment.type][1],
        "uuid": "" if segment is None else segment.id,
        "frame_count": metrics.frames.height,
        **{
            name + "_score" * (name == "f1"): _scored(
                figures.get(name), thresholds.get(name)
            )
            for name in _SCORES
        },
        "false_positives": {"score": figures.get("fp")},
        "false_negatives": {"score": figures.get("fn")},
        "total_confusions": {"score": _confusions(metrics, class_name)},
    }


def _figures(metrics: Metrics, class_name: str | None) -> dict[str, Any]:
    if class_name is None:
        return dict(metrics.summary().select("metric", "value").iter_rows())
    rows = metrics.per_class().filter(class_name=class_name).to_dicts()
    if not rows:
        raise refused(f"There is no class {class_name!r} here.", "class.unknown")
    return rows[0]


def _scored(score: float | None, threshold: float | None) -> dict[str, Any]:
    reached = None if threshold is None else score is not None and score >= threshold
    return {"score": score, "threshold": threshold, "succeeds": reached}


def _confusions(metrics: Metrics, class_name: str | None) -> int:
    """The number of confusions between two classes, background left out."""
    # From a matrix to one row for each pair of classes.
    rows = metrics.confusion().unpivot(index="label_class", variable_name="taken_for")
    label, taken = pl.col("label_class"), pl.col("taken_for")
    between = (label != taken) & (label != _OWN_BACKGROUND) & (taken != _OWN_BACKGROUND)
    if class_name is not None:
        between &= (label == class_name) | (taken == class_name)
    return int(rows.filter(between).get_column("value").sum())


# ----------------------------------- ROWS ----------------------------------- #


def _in_cells(matches: pl.DataFrame, cells: Query) -> pl.DataFrame:
    """The pairs of label and inference that are in one of the cells."""
    wanted = pl.DataFrame(
        list(dict.fromkeys(cells)),
        schema={"label_class": pl.String, "inference_class": pl.String},
        orient="row",
    )
    # Pixels are counted, not matched, so there is no table of pairs.
    if "label_id" not in matches.columns:
        raise refused("Masks are compared pixel by pixel: no pairs can be listed.")
    named = matches.with_columns(
        pl.col("label_class", "inference_class").replace(_OWN_BACKGROUND, BACKGROUND)
    )
    return named.join(wanted, on=wanted.columns, how="semi", maintain_order="left")


def _sized(rows: pl.DataFrame, model: InferenceSet) -> pl.DataFrame:
    """The rows with `box_size`: of the label's box, else of the inference's."""
    area = pl.col("width") * pl.col("height")
    for side, snapshot, name in (
        ("_label", model.ground_truth().labels(), "label_id"),
        ("_inference", model.latest().inferences(), "inference_id"),
    ):
        sizes = snapshot.select(
            "frame_id", pl.col("label_id").alias(name), area.alias(side)
        )
        rows = rows.join(
            sizes.collect(), on=["frame_id", name], how="left", maintain_order="left"
        )
    # A missed label has no inference, and an invented inference no label.
    size = pl.coalesce("_label", "_inference").alias("box_size")
    return rows.with_columns(size).drop("_label", "_inference")


def _ordered(rows: pl.DataFrame, ordering: str) -> pl.DataFrame:
    known = {
        value: name
        for name, value in vars(MetricsManager).items()
        if name.startswith("ORDER_")
    }
    if ordering not in known:
        raise refused(f"ordering is one of {', '.join(known.values())}.")
    field, _, direction = ordering.partition("__by__")
    # Ids break ties, so that pages of an answer do not overlap.
    column = "confidence" if field.endswith("confidence") else field
    keys = ["frame_id", "label_id", "inference_id"]
    return rows.sort(
        [column, *keys],
        descending=[direction == "desc", False, False, False],
        nulls_last=True,
    )
