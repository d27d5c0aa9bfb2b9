"""Media are looked for where they are, and held against their checksums."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import s3fs
import xxhash
from PIL import Image

import lakehouse
from lakehouse.errors import NotFoundError, StorageError
from lakehouse.storage.media import CHECKSUMS, Media
from tests.rows import box, frame
from tests.unit.cli.test_commands import as_json, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for name, colour in (("a.png", "red"), ("b.png", "blue"), ("mask.png", "black")):
        Image.new("L" if name == "mask.png" else "RGB", (8, 4), colour).save(
            folder / name
        )
    return folder


@pytest.fixture
def dataset(lake_root: str, root: Path) -> lakehouse.Dataset:
    lake = lakehouse.connect(lake_root, media_root=root)
    return lake.create_project("cells", classes=["cell"]).create_dataset("hela")


def sensed(frame_id: str, name: str, checksum: str, **fields: Any) -> dict[str, Any]:
    sensor = {"sensor_id": "DEFAULT", "image_url": name, "checksum": checksum}
    return {"frame_id": frame_id, "sensors": [sensor | fields]}


def md5_of(path: Path) -> str:
    return f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"


def problems(dataset: lakehouse.Dataset) -> list[tuple[str, str, str]]:
    rows = dataset.verify(full=False, media=True).problems
    return rows.select("check", "table", "file").rows()


def test_missing_and_changed_media_are_listed(
    dataset: lakehouse.Dataset, root: Path
) -> None:
    rows = [
        frame("f1", image_url="a.png"),
        frame("f2", image_url="gone.png"),
        frame("f3", image_url="gone.png"),
        sensed("f4", "a.png", md5_of(root / "a.png")),
        sensed("f5", "b.png", md5_of(root / "b.png").upper().replace("MD5", "md5")),
        frame("f6", image_url=str(root / "b.png")),
    ]
    dataset.add(rows)
    assert problems(dataset) == [("media.missing", "frames", "gone.png")]

    (root / "b.png").write_bytes(b"other bytes")
    report = dataset.verify(full=False, media=True)

    assert sorted(report.problems["check"]) == ["media.changed", "media.missing"]
    messages = dict(report.problems.select("check", "message").rows())
    assert "f2, f3" in messages["media.missing"]
    assert "f5" in messages["media.changed"]
    assert report.checked["media"] == 5
    assert dataset.verify(full=False).is_sound  # nobody asked for media


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_every_checksum_is_held_against_the_bytes(
    dataset: lakehouse.Dataset, root: Path, algorithm: str
) -> None:
    data = (root / "a.png").read_bytes()
    digest = (
        xxhash.xxh3_64_hexdigest(data)
        if algorithm == "xxh3"
        else hashlib.new(algorithm, data).hexdigest()
    )
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    dataset.add(
        [
            sensed("good", "a.png", f"{algorithm}:{digest}"),
            sensed("bad", "a.png", f"{algorithm}:{wrong}"),
        ]
    )

    rows = dataset.verify(full=False, media=True).problems

    assert rows["check"].to_list() == ["media.changed"]
    assert "named by bad." in rows["message"][0]


@pytest.mark.parametrize("checksum", ["", "md5:", "md5:xyz", "crc:00", "0" * 32])
def test_a_malformed_checksum_rejects_the_frame(
    dataset: lakehouse.Dataset, checksum: str
) -> None:
    upload = dataset.add([sensed("bad", "a.png", checksum), frame("good")])

    (error,) = upload.errors().filter(severity="error").to_dicts()
    assert (error["frame_id"], error["rule"]) == ("bad", "sensor.invalid")
    assert "md5:…" in error["message"]


def test_a_checksum_goes_when_the_image_becomes_another(
    dataset: lakehouse.Dataset, root: Path
) -> None:
    dataset.add([sensed("f1", "a.png", md5_of(root / "a.png"))])

    def checksum() -> str | None:
        row, _ = dataset.latest().frame("f1")
        stored: str | None = row["sensors"][0]["checksum"]
        return stored

    dataset.modify([{"frame_id": "f1", "width": 8}])
    assert checksum() == md5_of(root / "a.png")
    dataset.modify([{"frame_id": "f1", "image_url": "b.png"}])
    assert checksum() is None
    assert problems(dataset) == []


def test_masks_and_other_sensors_are_media_too(dataset: lakehouse.Dataset) -> None:
    sensors = [
        {"sensor_id": "lidar", "sensor_type": "POINTCLOUD_PCD_V0", "pcd_url": "x.pcd"},
        {"sensor_id": "note", "sensor_type": "TEXT", "text": "no medium"},
    ]
    mask = {"frame_id": "f1", "label_id": "m", "label_type": "SEMANTIC_LABEL_URL_2D"}
    dataset.add(
        [{"frame_id": "f1", "sensors": sensors}],
        [
            mask | {"mask_url": "mask.png"},
            mask | {"label_id": "n", "mask_url": "no.png"},
        ],
    )

    assert problems(dataset) == [
        ("media.missing", "frames", "x.pcd"), ("media.missing", "labels", "no.png"),
    ]  # fmt: skip


def test_relative_names_are_resolved_for_pictures_and_metrics(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add([frame("f1", image_url="a.png", width=8, height=4)], [box("f1", "a")])

    picture = dataset.latest().plot("f1")

    assert picture.getpixel((7, 25)) == (255, 0, 0)


def test_masks_are_read_from_below_the_media_root(lake_root: str, root: Path) -> None:
    lake = lakehouse.connect(lake_root, media_root=root)
    project = lake.create_project("seg", classes=["back"], task="2D_SEMSEG")
    dataset = project.create_dataset("hela")
    key = {"frame_id": "f1", "label_id": "m", "label_type": "SEMANTIC_LABEL_URL_2D"}
    dataset.add([frame("f1", image_url="a.png")], [key | {"mask_url": "mask.png"}])
    model = dataset.create_inference_set("model_a")
    model.add([key | {"mask_url": str(root / "mask.png")}])

    assert model.metrics()["pixels"] == 32


@pytest.mark.s3
def test_media_on_s3_are_read_with_the_lakes_settings(
    s3_root: str, s3_options: dict[str, str]
) -> None:
    files = s3fs.S3FileSystem(
        key="test",
        secret="testtest",
        endpoint_url=s3_options["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    files.pipe_file(f"{s3_root}/images/a.png", b"abc")
    media = Media(f"{s3_root}/images", s3_options)

    assert media.read("a.png") == b"abc"
    assert media.exists("a.png")
    assert not media.exists("b.png")
    assert media.checksum("a.png", "md5") == "md5:900150983cd24fb0d6963f7d28e17f72"
    with pytest.raises(NotFoundError):
        media.read("b.png")


def test_a_medium_of_an_unknown_scheme_raises_a_storage_error() -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        Media().read("nowhere://a.png")


def test_the_command_lists_them_and_exits_with_1(
    dataset: lakehouse.Dataset, lake_root: str, root: Path
) -> None:
    dataset.add([frame("f1", image_url="a.png"), frame("f2", image_url="gone.png")])
    options = ["--media-root", str(root), "run", "verify", "cells/hela", "--quick"]

    report = as_json(lake_root, *options, "--media")

    (problem,) = report["cells/hela"]["problems"]
    assert (problem["check"], problem["file"]) == ("media.missing", "gone.png")
    assert run(lake_root, *options, "--media").exit_code == 1
    assert run(lake_root, *options).exit_code == 0
