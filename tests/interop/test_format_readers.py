"""What is exported is opened by those whose formats they are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Made
from tests.rows import box, frame

pytestmark = [
    pytest.mark.readers,
    pytest.mark.filterwarnings("ignore"),  # they and what they import warn at will
]

FRAMES = [
    frame("f1", image_url="a.png", user__split="train", user__n=1),
    frame("f2", image_url="b.png", user__split="test"),
]
LABELS = [
    box("f1", "a"),
    box("f1", "b", class_name="debris", user__by="mira"),
    box("f2", "a", left=2.5),
]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "HF_HOME", str(tmp_path / "hugging_face"))
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    return iter(())


def test_datasets_opens_an_image_folder(made: Made, tmp_path: Path) -> None:
    from datasets import load_dataset  # noqa: PLC0415 - heavy, and not everywhere

    dataset = made("hela")
    dataset.add(FRAMES, LABELS)
    dataset.latest().export(tmp_path / "out", "imagefolder", split="split")

    opened = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))

    assert sorted(opened) == ["test", "train"]
    (row,) = opened["train"]
    assert row["image"].size == (64, 32)
    assert row["objects"]["bbox"] == [[2, 1, 3, 4], [2, 1, 3, 4]]
    assert row["objects"]["class_name"] == ["cell", "debris"]
    assert row["user__n"] == 1


@pytest.mark.parametrize(("table", "rows"), [("frames", 2), ("labels", 3)])
def test_datasets_opens_parquet(
    made: Made, tmp_path: Path, table: str, rows: int
) -> None:
    from datasets import load_dataset  # noqa: PLC0415 - heavy, and not everywhere

    dataset = made("hela")
    dataset.add(FRAMES, LABELS)
    dataset.latest().export(tmp_path / "out", "parquet")

    opened = load_dataset(
        str(tmp_path / "out"), table, cache_dir=str(tmp_path / "cache")
    )

    assert opened["train"].num_rows == rows
    assert opened["train"]["frame_id"][0] == "f1"


def test_webdataset_streams_the_shards(made: Made, tmp_path: Path) -> None:
    from webdataset import WebDataset  # noqa: PLC0415 - not everywhere

    dataset = made("hela")
    dataset.add(FRAMES, LABELS)
    dataset.latest().export(tmp_path / "out", "webdataset")

    shard = str(tmp_path / "out" / "shard-000000.tar")
    samples = list(WebDataset(shard, shardshuffle=False).decode("pil"))

    assert [sample["json"]["frame_id"] for sample in samples] == ["f1", "f2"]
    assert samples[0]["png"].size == (64, 32)
    assert [label["left"] for label in samples[1]["json"]["labels"]] == [2.5]
