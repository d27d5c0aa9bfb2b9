"""What other tools' files become here, and what is refused."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

import lakehouse
from lakehouse.errors import AlreadyExistsError, InvalidInputError
from lakehouse.formats.pictures import FileNames
from tests.conftest import Made
from tests.rows import box, frame

BOX = {"id": 7, "image_id": 1, "category_id": 3, "bbox": [2, 1, 3, 4], "area": 12}
COCO: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "deep/a.png", "width": 64, "height": 32, "license": 4}
    ],
    "categories": [{"id": 3, "name": "cell", "keypoints": ["tip", "end"]}],
    "annotations": [BOX],
}


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def labels_of(dataset: lakehouse.Dataset) -> list[dict[str, Any]]:
    rows = dataset.latest().labels().sort("frame_id", "label_id").collect()
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in rows.to_dicts()
    ]


# ----------------------------------- COCO ----------------------------------- #


def test_a_coco_file_becomes_frames_and_labels(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")

    done = dataset.import_from(written(tmp_path / "coco.json", COCO), "coco")

    (row,) = dataset.latest().frames().collect().to_dicts()
    assert (row["frame_id"], row["image_url"], row["width"]) == ("a", "deep/a.png", 64)
    (label,) = labels_of(dataset)
    assert (label["label_id"], label["class_name"]) == ("7", "cell")
    assert (label["left"], label["width"], label["label_type"]) == (2, 3, "BBOX_2D")
    assert "area" not in label  # it is that of the box
    assert done.losses.select("table", "field", "rows").rows() == [
        ("frames", "license", 1)
    ]


@pytest.mark.parametrize(
    ("fields", "kept", "lost"),
    [
        ({"segmentation": [[0, 0, 4, 0, 4, 3]]}, {"polygons": [[[0, 0], [4, 0], [4, 3]]]}, []),
        ({"area": 5.5, "iscrowd": 1}, {"area": 5.5, "iscrowd": True}, []),
        ({"keypoints": [1, 2, 2, 0, 0, 0]}, {"keypoints": [{"x": 1, "y": 2, "name": "tip"}]}, []),
        ({"keypoints": [1, 2, 1, 0, 0, 0]}, {"label_type": "KEYPOINTS_2D"}, ["keypoints"]),
        ({"segmentation": {"counts": "x", "size": [1, 1]}}, {"left": 2.0}, ["segmentation"]),
        ({"attributes": {"by whom": "mira", "n": 1}}, {"user__by_whom": "mira", "user__n": 1}, []),
    ],
)  # fmt: skip
def test_annotations_keep_what_labels_have_columns_for(
    made: Made,
    tmp_path: Path,
    fields: dict[str, Any],
    kept: dict[str, Any],
    lost: list[str],
) -> None:
    dataset = made("hela")
    coco = COCO | {"annotations": [BOX | fields]}

    done = dataset.import_from(written(tmp_path / "coco.json", coco), "coco")

    (label,) = labels_of(dataset)
    assert {name: label.get(name) for name in kept} == kept
    assert done.losses.filter(table="labels")["field"].to_list() == lost


def test_every_problem_of_a_coco_file_is_named_at_once(
    made: Made, tmp_path: Path
) -> None:
    dataset = made("hela")
    bad = [BOX | {"image_id": 9}, BOX | {"category_id": 9}, BOX | {"bbox": [1, 2]}]
    coco = COCO | {"annotations": bad}

    with pytest.raises(InvalidInputError) as caught:
        dataset.import_from(written(tmp_path / "coco.json", coco), "coco")

    assert len(caught.value.problems) == 3
    assert "No image has the id 9" in str(caught.value)
    assert dataset.version == 0
    assert not dataset.uploads().height


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}'])
def test_what_is_no_coco_file_is_refused(
    made: Made, tmp_path: Path, content: str
) -> None:
    with pytest.raises(InvalidInputError):
        made("hela").import_from(written(tmp_path / "coco.json", content), "coco")


def test_images_of_the_same_name_are_refused(made: Made, tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "y/a.png"}]

    with pytest.raises(InvalidInputError, match="2 images have this name"):
        made("hela").import_from(
            written(tmp_path / "coco.json", COCO | {"images": images}), "coco"
        )


def test_an_unknown_class_rejects_one_frame_only(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")
    coco = COCO | {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "cel"}],
    }
    file = written(tmp_path / "coco.json", coco)

    assert dataset.import_from(file, "coco").upload.status == "PARTIAL"
    assert dataset.latest().counts == {"frames": 1, "labels": 0}
    assert dataset.import_from(file, "coco", add_classes=True).upload.status == "DONE"
    assert dataset.latest().counts == {"frames": 2, "labels": 1}


# -------------------------------- OTHER TOOLS ------------------------------- #


def test_a_yolo_dataset_of_another_tool_is_read(made: Made, tmp_path: Path) -> None:
    for part in ("train", "val"):
        image = tmp_path / "images" / part / f"{part}.png"
        image.parent.mkdir(parents=True)
        Image.new("RGB", (200, 100)).save(image)
    written(
        tmp_path / "labels/train/train.txt", "1 0.5 0.5 0.25 0.5\n0 0 0 .5 0 .5 1\n"
    )
    written(
        tmp_path / "data.yaml",
        "path: ../elsewhere\ntrain: images/train\nval: images/val\nnames: [cell, debris]\n",
    )
    dataset = made("hela")

    dataset.import_from(tmp_path, "yolo")

    frames = dataset.latest().frames().sort("frame_id").collect()
    assert frames["user__split"].to_list() == ["train", "val"]
    assert frames["width"].to_list() == [200, 200]
    first, second = labels_of(dataset)
    assert (first["left"], first["top"], first["width"]) == (75.0, 25.0, 50.0)
    assert first["class_name"] == "debris"
    assert second["polygons"] == [[[0, 0], [100, 0], [100, 100]]]


def test_every_bad_line_of_a_yolo_dataset_is_named(made: Made, tmp_path: Path) -> None:
    image = tmp_path / "images" / "a.png"
    image.parent.mkdir()
    Image.new("RGB", (20, 10)).save(image)
    written(tmp_path / "labels/a.txt", "9 0 0 1 1\n0 1\n0 a b c d\n")
    written(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cell]\n")

    with pytest.raises(InvalidInputError) as caught:
        made("hela").import_from(tmp_path, "yolo")

    assert [problem.path for problem in caught.value.problems] == [
        "a.txt:1", "a.txt:2", "a.txt:3",
    ]  # fmt: skip


def test_folders_are_classes_where_there_is_no_metadata_file(
    made: Made, tmp_path: Path
) -> None:
    for place in ("train/cell/a.png", "train/debris/b.png", "test/cell/c.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / place)
    dataset = made("hela")

    dataset.import_from(tmp_path, "imagefolder")

    content = [(row["frame_id"], row["class_name"]) for row in labels_of(dataset)]
    assert content == [("a", "cell"), ("b", "debris"), ("c", "cell")]
    splits = dataset.latest().frames().sort("frame_id").collect()["user__split"]
    assert splits.to_list() == ["train", "train", "test"]


def test_voc_names_every_file_that_cannot_be_read(made: Made, tmp_path: Path) -> None:
    written(tmp_path / "a.xml", "<annotation><object/></annotation>")
    written(tmp_path / "b.xml", "<annotation>")

    with pytest.raises(InvalidInputError, match=r"(?s)a\.xml.*b\.xml"):
        made("hela").import_from(tmp_path, "voc")


# ---------------------------------- EXPORTS --------------------------------- #


def test_a_prefix_stands_before_the_names_of_images(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")

    dataset.import_from(
        written(tmp_path / "coco.json", COCO), "coco", images="s3://bucket/images"
    )

    (row,) = dataset.latest().frames().collect().to_dicts()
    assert row["image_url"] == "s3://bucket/images/deep/a.png"


def test_a_filtered_snapshot_exports_the_selected_part(
    made: Made, tmp_path: Path
) -> None:
    dataset = made("hela")
    rows = [frame("f1", user__split="train"), frame("f2", user__split="val")]
    dataset.add(rows, [box("f1", "a"), box("f2", "a"), box("f1", "b", width=9.0)])
    part = dataset.latest().filter(
        frames=pl.col("user__split") == "train", labels=pl.col("width") < 5
    )

    export = part.export(tmp_path / "out", "coco")

    assert (export.frames, export.labels) == (1, 1)
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert len(content["annotations"]) == 1


def test_an_old_version_is_exported_as_it_was(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")
    dataset.add([frame("f1")], [box("f1", "a")])
    dataset.delete(["f1"])

    export = dataset.at(1).export(tmp_path / "out", "parquet")

    assert (export.frames, export.labels) == (1, 1)


def test_what_is_there_is_not_overwritten_unasked(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")
    dataset.add([frame("f1")], [])
    dataset.latest().export(tmp_path / "out", "coco")

    with pytest.raises(AlreadyExistsError):
        dataset.latest().export(tmp_path / "out", "csv")
    dataset.latest().export(tmp_path / "out", "csv", overwrite=True)

    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "datapackage.json", "frames.csv", "labels.csv",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["yolo", "imagefolder", "webdataset"])
def test_images_that_are_gone_are_all_named_and_nothing_is_left(
    made: Made, tmp_path: Path, name: Any
) -> None:
    dataset = made("hela")
    dataset.add([frame("f1"), frame("gone"), frame("lost")], [box("f1", "a")])

    with pytest.raises(InvalidInputError) as caught:
        dataset.latest().export(tmp_path / "out" / "here", name)

    assert [problem.frame_id for problem in caught.value.problems] == ["gone", "lost"]
    assert not list((tmp_path / "out").iterdir())


def test_yolo_names_what_it_has_no_room_for(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")
    polygon = {"polygons": [[[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]]}
    key = {"frame_id": "f1", "class_name": "cell"}
    dataset.add(
        [frame("f1", user__n=1)],
        [
            box("f1", "000000", user__by="mira"),
            key | polygon | {"label_id": "p"},
            key | {"label_id": "c", "label_type": "CLASSIFICATION_2D"},
        ],
    )

    export = dataset.latest().export(tmp_path / "out", "yolo")

    assert dict(export.losses.select("field", "rows").rows()) == {
        "user__n": 1, "user__by": 1, "label_type": 1, "image_url": 1, "width": 1,
        "polygons": 1, "label_id": 1,
    }  # fmt: skip


def test_parts_lie_apart(made: Made, tmp_path: Path) -> None:
    dataset, again = made("hela"), made("again")
    rows = [
        frame("f1", image_url="a.png", user__split="train"),
        frame("f2", image_url="b.png", user__split="val"),
    ]
    dataset.add(rows, [box("f1", "000000"), box("f2", "000000")])

    dataset.latest().export(tmp_path / "out", "yolo", split="split")
    again.import_from(tmp_path / "out", "yolo")

    assert (tmp_path / "out/images/train/f1.png").is_file()
    content = again.latest().frames().sort("frame_id").collect()
    assert content["user__split"].to_list() == ["train", "val"]
    with pytest.raises(InvalidInputError, match="no metadata field 'part'"):
        dataset.latest().export(tmp_path / "other", "yolo", split="part")


def test_renamed_classes_are_exported_under_their_new_name(
    media_lake: lakehouse.Lake, tmp_path: Path
) -> None:
    project = media_lake.create_project("cells", classes=["cel"])
    dataset = project.create_dataset("hela")
    dataset.add([frame("f1")], [box("f1", "a", class_name="cel")])
    project.rename_class("cel", "cell")

    export = dataset.latest().export(tmp_path / "out", "coco")

    assert export.losses["field"].to_list() == ["class_name"]
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [one["name"] for one in content["categories"]] == ["cell"]


def test_inferences_are_exported_with_their_scores(made: Made, tmp_path: Path) -> None:
    dataset = made("hela")
    dataset.add([frame("f1")], [box("f1", "a")])
    model = dataset.create_inference_set("model_a")
    model.add([box("f1", "x", confidence=0.75)])

    export = model.latest().export(tmp_path / "out", "coco")

    assert export.is_lossless
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [one["score"] for one in content["annotations"]] == [0.75]


def test_an_unknown_format_is_refused_with_a_list_of_formats(
    made: Made, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="coco, csv"):
        made("hela").latest().export(tmp_path / "out", "cocoa")  # type: ignore[arg-type]


def test_a_name_taken_by_an_image_is_not_given_to_a_frame() -> None:
    names = FileNames()
    first = names.of_image({"frame_id": "x", "image_url": "s3://a/Frame.jpg"})
    second = names.of_image({"frame_id": "Frame", "image_url": "s3://b/Frame.jpg"})

    assert (first, second) == ("Frame.jpg", "Frame~2.jpg")
