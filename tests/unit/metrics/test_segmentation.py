"""Masks beside masks, with figures that can be counted by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from lakehouse.errors import InvalidInputError
from lakehouse.metrics import Metrics, evaluate
from lakehouse.model.class_map import ClassMap
from tests.unit.metrics.random_tables import shuffled

CLASSES = ClassMap.from_names(["road", "tree", "car"])
LABEL = [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 9, 9]]
INFERENCE = [[0, 0, 1, 1], [0, 1, 1, 2], [0, 0, 0, 0]]


@pytest.fixture(autouse=True)
def _masks_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)


def mask(path: Path, values: list[list[int]], mode: str = "L") -> str:
    Image.fromarray(np.array(values, np.uint8), mode="L").convert(mode).save(path)
    return str(path)


def table(urls: dict[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "frame_id": list(urls),
            "label_id": "m",
            "mask_url": list(urls.values()),
            "label_type": "SEMANTIC_LABEL_URL_2D",
        },
        schema_overrides={"mask_url": pl.String, "frame_id": pl.String},
    )


def metrics_of(
    labels: dict[str, str | None],
    inferences: dict[str, str | None],
    classes: ClassMap | None = CLASSES,
    seed: int | None = None,
) -> Metrics:
    frames = pl.DataFrame({"frame_id": list("abc"), "user__split": ["t", "v", None]})
    tables = [table(labels), table(inferences), frames]
    if seed is not None:
        tables = [shuffled(rows, seed) for rows in tables]
    return evaluate(*tables, task="2D_SEMSEG", classes=classes, over="all")


def test_pixels_are_counted(tmp_path: Path) -> None:
    label = mask(tmp_path / "label.png", LABEL)
    metrics = metrics_of(
        {"a": label, "b": label},
        {"a": mask(tmp_path / "inference.png", INFERENCE), "c": label},
    )

    # Ten pixels have a class, of which 8 are right; frame b has no inference.
    assert metrics["pixels"] == 20
    assert metrics["pixel_accuracy"] == 8 / 20
    assert metrics.per_class().select("class_name", "tp", "fp", "fn", "iou").rows() == [
        ("road", 5, 0, 7, 5 / 12),
        ("tree", 3, 1, 5, 3 / 9),
        ("car", 0, 1, 0, 0.0),
    ]
    assert metrics["mean_iou"] == pytest.approx((5 / 12 + 1 / 3) / 3, abs=1e-15)
    assert metrics.confusion().rows() == [
        ("road", 5, 1, 0, 6),
        ("tree", 0, 3, 1, 4),
        ("car", 0, 0, 0, 0),
        ("(background)", 0, 0, 0, 0),
    ]
    assert metrics.counts["pixels without a class"] == 4
    assert metrics.counts["frames without labels"] == 1
    assert metrics.per_frame()["pixel_accuracy"].to_list() == [8 / 10, 0.0, None]
    assert metrics.slices("user__split")["pixel_accuracy"].to_list() == [0.8, 0.0, None]


def test_without_a_class_map_every_id_is_a_class(tmp_path: Path) -> None:
    label = mask(tmp_path / "label.png", LABEL, "P")
    metrics = metrics_of({"a": label}, {"a": label}, classes=None)

    assert metrics.per_class()["class_name"].to_list() == ["0", "1", "9"]
    assert (metrics["mean_iou"], metrics["pixels"]) == (1.0, 12)


def test_ids_beyond_a_byte_are_counted_too(tmp_path: Path) -> None:
    wide = np.array([[0, 40_000], [3, 40_000]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    url = str(tmp_path / "wide.png")

    metrics = metrics_of({"a": url}, {"a": url}, classes=None)

    assert metrics.per_class()["class_name"].to_list() == ["0", "3", "40000"]


def test_all_bad_masks_are_reported(tmp_path: Path) -> None:
    label = mask(tmp_path / "label.png", LABEL)
    small = mask(tmp_path / "small.png", [[0, 1]])
    colour = mask(tmp_path / "colour.png", LABEL, "RGB")

    with pytest.raises(InvalidInputError) as caught:
        metrics_of(
            {"a": label, "b": label, "c": label},
            {"a": small, "b": colour, "c": str(tmp_path / "none.png")},
        )

    rules = {problem.path: problem.rule for problem in caught.value.problems}
    assert rules == {
        "inferences['a', 'm'].mask_url": "mask.size",
        "inferences['b', 'm'].mask_url": "mask.unreadable",
        "inferences['c', 'm'].mask_url": "mask.unreadable",
    }
    assert "is 2 x 1 pixels, and the mask of label 'm' is 4 x 3" in str(caught.value)


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    label = mask(tmp_path / "label.png", LABEL)
    inference = mask(tmp_path / "inference.png", INFERENCE)
    urls: tuple[dict[str, str | None], dict[str, str | None]] = (
        {"a": label, "b": label, "c": inference},
        {"c": label, "b": inference, "a": inference},
    )
    first, *others = (metrics_of(*urls, seed=seed) for seed in (None, 1, 2, 3))

    for other in others:
        assert other.to_dict() == first.to_dict()
        assert other.matches().equals(first.matches())
        assert other.per_frame().equals(first.per_frame())


def test_masks_have_no_curve(tmp_path: Path) -> None:
    label = mask(tmp_path / "label.png", LABEL)
    with pytest.raises(InvalidInputError, match="no confidence"):
        metrics_of({"a": label}, {"a": label}).curve()


def test_frames_and_classes_whose_overlap_differs_are_changes(tmp_path: Path) -> None:
    label = mask(tmp_path / "label.png", LABEL)
    inference = mask(tmp_path / "inference.png", INFERENCE)
    this, other = (
        metrics_of({"a": label, "b": label}, {"a": url, "b": label})
        for url in (inference, label)
    )

    changes = (
        this.compare(other)
        .changes()
        .select("frame_id", "class_name", "iou", "iou_other")
    )

    assert changes.rows() == [
        ("a", "car", 0.0, None),
        ("a", "road", 5 / 6, 1.0),
        ("a", "tree", 3 / 5, 1.0),
    ]
    assert this.compare(other).frames()["frame_id"].to_list() == ["a"]
