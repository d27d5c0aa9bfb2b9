"""What is exported and imported again is the same, or the report names the loss."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from pycocotools.coco import COCO

import lakehouse
from lakehouse.formats import FormatName
from lakehouse.formats.names import FORMATS
from lakehouse.formats.shapes import box_of
from lakehouse.testing import Sent
from lakehouse.testing.operations import operations_of
from lakehouse.testing.strategies import uploads
from tests.unit.formats.round_trip import rows_of, unexplained

KEEPING_ALL: tuple[FormatName, ...] = (
    "coco", "csv", "imagefolder", "parquet", "voc", "webdataset",
)  # fmt: skip
"""Formats that carry boxes with all their columns."""


Upload = tuple[list[Sent], list[Sent]]
RANDOM = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ]
)


@pytest.mark.parametrize("name", KEEPING_ALL)
def test_real_annotations_come_back_equal(
    trees: Path, lake: lakehouse.Lake, tmp_path: Path, name: FormatName
) -> None:
    project = lake.create_project("trees", classes=["Tree"])
    first = project.create_dataset("first")
    done = first.import_from(trees, "voc", add_classes=True)
    assert (done.upload.status, done.is_lossless) == ("DONE", True)
    assert first.latest().counts == {"frames": 4, "labels": 951}
    assert sorted(project.classes) == ["Alive", "Dead", "Tree"]
    assert done.classes_added == ("Dead", "Alive")
    if name == "imagefolder":  # its images are not in the tests
        return

    export = first.latest().export(tmp_path / name, name, media=False)
    again = project.create_dataset("again")
    back = again.import_from(tmp_path / name, name)

    assert export.is_lossless
    assert back.is_lossless
    assert again.latest().fingerprint == first.latest().fingerprint


def test_pycocotools_loads_what_is_exported(
    trees: Path, lake: lakehouse.Lake, tmp_path: Path
) -> None:
    project = lake.create_project("trees", classes=["Tree", "Alive", "Dead"])
    dataset = project.create_dataset("first")
    dataset.import_from(trees, "voc")
    file = tmp_path / "trees.json"

    export = dataset.latest().export(file, "coco")

    coco = COCO(str(export.path))
    assert (len(coco.imgs), len(coco.anns), len(coco.cats)) == (4, 951, 3)
    dead = coco.getAnnIds(catIds=coco.getCatIds(catNms=["Dead"]))
    assert len(dead) == 28
    assert min(coco.anns) == 1


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "yolo"])
@RANDOM
@given(first=uploads(), second=uploads())
def test_any_dataset_comes_back_or_losses_are_named(
    images: Path,
    tmp_path: Path,
    name: FormatName,
    first: Upload,
    second: Upload,
) -> None:
    place = tmp_path / uuid.uuid4().hex
    lake = lakehouse.connect(place / "lake", media_root=images)
    project = lake.create_project("cells", classes=["cell", "debris"])
    before, after = project.create_dataset("before"), project.create_dataset("after")
    for upload in (first, second):
        before.submit(operations_of(*upload))
    assume(before.latest().counts["frames"])

    export = before.latest().export(place / name, name)
    back = after.import_from(place / name, name)

    assert back.upload.status == "DONE"
    assert back.is_lossless
    assert not unexplained(before.latest(), after.latest(), export.losses)
    if export.is_lossless:
        assert before.latest().fingerprint == after.latest().fingerprint


@RANDOM
@given(first=uploads(), second=uploads())
def test_yolo_brings_back_every_box_and_polygon_that_it_can_hold(
    images: Path,
    tmp_path: Path,
    first: Upload,
    second: Upload,
) -> None:
    place = tmp_path / uuid.uuid4().hex
    lake = lakehouse.connect(place / "lake", media_root=images)
    project = lake.create_project("cells", classes=["cell", "debris"])
    before, after = project.create_dataset("before"), project.create_dataset("after")
    for upload in (first, second):
        before.submit(operations_of(*upload))
    assume(before.latest().counts["frames"])

    export = before.latest().export(place / "yolo", "yolo")
    back = after.import_from(place / "yolo", "yolo")

    assert back.upload.status == "DONE"
    losses = Counter({row["field"]: row["rows"] for row in export.losses.to_dicts()})
    expected, actual = shapes_of(before.latest(), parts=True), shapes_of(after.latest())
    assert sorted(actual) == sorted(expected)
    wrong = [frame for frame in expected if actual[frame] != expected[frame]]
    assert len(wrong) <= losses["geometry"]


def shapes_of(snapshot: lakehouse.Snapshot, *, parts: bool = False) -> dict[str, list]:  # type: ignore[type-arg]
    """Class and geometry of what YOLO holds, by frames with an image, in order."""
    frames, labels = rows_of(snapshot, "frames"), rows_of(snapshot, "labels").values()
    kinds = {"BBOX_2D", "POLYGON_LIST_2D"}
    held = [label for label in labels if label["label_type"] in kinds]
    is_polygons = {label["label_type"] for label in held} == {"POLYGON_LIST_2D"}
    shapes: dict[str, list[Any]] = {
        key[0]: [] for key, frame in frames.items() if "image_url" in frame
    }
    for label in held:
        if label["frame_id"] not in shapes:
            continue
        polygons: Any = label.get("polygons", [])
        if is_polygons:
            geometry: list[Any] = [[p] for p in polygons if len(p) > 2 or not parts]
        else:
            geometry = [box] if (box := box_of(label)) else []
        shapes[str(label["frame_id"])] += [(label["class_name"], g) for g in geometry]
    return shapes
