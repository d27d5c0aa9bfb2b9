"""Media are looked for where they are, and held against their checksums."""

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
import xxhash
from PIL import Image

import lakehouse
from lakehouse.errors import InvalidInputError, NotFoundError, StorageError
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


# -------------------------- WHAT NAMES IN DATA REACH ------------------------- #

REFUSED = [
    "file:///etc/passwd", "/etc/passwd", "/proc/self/environ", "FILE:///etc/passwd",
    "../secret.png", "x/../../secret.png", "%2e%2e/secret.png", "link.png",
    "reference://x::http://127.0.0.1/a", "filecache::http://127.0.0.1/a",
    "tar://x::http://127.0.0.1/a", "tar://x::tar://y::file:///a.tar",
    "tar://x::file:///etc/passwd", "simplecache::file:///etc/passwd",
    "ftp://127.0.0.1/a", "memory://a", "github://a:b@/c", "reference://x",
    "http://127.0.0.1/a", "http://169.254.169.254/latest/meta-data/",
    "http://localhost/a", "http://[::1]/a", "http://[::ffff:10.0.0.1]/a",
    "http://2130706433/a", "http://0/a", "https://192.168.0.1/a",
    "s3://", "s3://a", "s3:///a", "http://", "http://:80/x", "a\0b.png", "pipe",
]  # fmt: skip
UNREADABLE = [*REFUSED, "data:,x", "tar://x::broken.tar", "://", "."]


@pytest.fixture
def guarded(root: Path) -> Path:
    """A media root with what names could get out by: a link, a pipe, a broken archive."""
    (root.parent / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "broken.tar").write_bytes(b"no archive")
    os.mkfifo(root / "pipe")
    return root


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_no_name_reads_what_is_outside_of_the_policy(
    guarded: Path, name: str, *, http: bool
) -> None:
    media = Media(str(guarded), allows_http=http)

    for read in (media.read, media.exists, lambda one: media.checksum(one, "md5")):
        with pytest.raises(StorageError, match="cannot be read"):
            read(name)


def test_each_bad_name_is_one_row_of_the_report(
    lake_root: str, guarded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    lake = lakehouse.connect(lake_root, media_root=guarded)
    dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
    names = [name for name in UNREADABLE if "\0" not in name]
    rows = [frame(f"f{n}", image_url=name) for n, name in enumerate(names)]
    dataset.add([*rows, frame("good", image_url="a.png")]).raise_for_status()

    report = dataset.verify(full=False, media=True)

    assert sorted(report.problems["file"]) == sorted(names)
    for n in range(len(names)):  # a canvas that says so, and no error
        dataset.latest().plot(f"f{n}")


class _Server(http.server.BaseHTTPRequestHandler):
    server: http.server.HTTPServer

    def do_GET(self) -> None:
        if self.path == "/images/away":
            self.send_response(302)
            self.send_header(
                "Location", f"http://localhost:{self.server.server_port}/x"
            )
            self.end_headers()
            return
        self.send_response(200 if self.path == "/images/a.png" else 404)
        self.end_headers()
        self.wfile.write(b"abc")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_media_root_on_a_private_host_is_trusted_and_redirects_are_not(
    server: str,
) -> None:
    media = Media(f"{server}/images")

    assert media.read("a.png") == b"abc"
    assert media.read(f"{server}/images/a.png") == b"abc"
    assert not media.exists("b.png")
    for name in (f"{server}/a.png", "away", "../a.png"):
        with pytest.raises(StorageError, match="cannot be read"):
            media.read(name)


def test_the_size_of_what_is_read_is_bounded(
    server: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.storage.media.MAX_READ_BYTES", 2)

    for media in (Media(str(root)), Media(f"{server}/images")):
        with pytest.raises(StorageError, match="more than the 2 bytes"):
            media.read("a.png")


def test_an_export_copies_nothing_from_outside(
    dataset: lakehouse.Dataset, root: Path, tmp_path: Path
) -> None:
    dataset.add([frame("f1", image_url="/etc/passwd"), frame("f2", image_url="a.png")])

    with pytest.raises(InvalidInputError, match="media_root"):
        dataset.latest().export(tmp_path / "out", "imagefolder")
    assert not (tmp_path / "out").exists()


def test_a_media_root_of_another_scheme_is_refused(lake_root: str) -> None:
    with pytest.raises(InvalidInputError, match="media_root='ftp://x'"):
        lakehouse.connect(lake_root, media_root="ftp://x")
