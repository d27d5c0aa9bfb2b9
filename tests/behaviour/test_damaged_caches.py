"""Whatever happens to the local cache, uploads do to the data what they should."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

import lakehouse
from lakehouse.delta.key_index import KeyIndex
from lakehouse.transactions.background import finish
from tests.rows import box, frame

FRAMES = 40


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, which keeps the indexes of small files too."""
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    return tmp_path / "cache"


@pytest.fixture
def root(lake_root: str, place: Path) -> str:
    lake = lakehouse.connect(lake_root, compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    for half in (range(FRAMES // 2), range(FRAMES // 2, FRAMES)):
        dataset.add(
            [frame(f"f{n:03}", user__n=n) for n in half],
            [box(f"f{n:03}", "a") for n in half],
        )
    finish()
    return lake_root


def dataset_of(root: str) -> lakehouse.Dataset:
    """The dataset through a handle that remembers nothing."""
    return lakehouse.connect(root, compaction="manual").project("cells").dataset("hela")


def zeros_in_the_middle(files: list[Path]) -> None:
    for file in files:
        data = file.read_bytes()
        file.write_bytes(data[:48] + bytes(len(data) - 96) + data[-48:])


def all_zeros(files: list[Path]) -> None:
    for file in files:
        file.write_bytes(bytes(file.stat().st_size))


def cut_short(files: list[Path]) -> None:
    for file in files:
        file.write_bytes(file.read_bytes()[:-8])


def exchanged(files: list[Path]) -> None:
    first = files[0].read_bytes()
    for file, other in pairwise(files):
        shutil.copyfile(other, file)
    files[-1].write_bytes(first)


@pytest.mark.parametrize(
    "damage", [zeros_in_the_middle, all_zeros, cut_short, exchanged]
)
def test_uploads_over_a_damaged_cache_lose_and_double_nothing(
    root: str, place: Path, damage: Callable[[list[Path]], None]
) -> None:
    files = sorted(place.glob("*.keys"))
    assert len(files) >= 4
    damage(files)
    dataset = dataset_of(root)

    dataset.modify([{"frame_id": f"f{n:03}", "user__n": -n} for n in range(FRAMES)])
    dataset.upsert_labels([box(f"f{n:03}", "a", width=9.0) for n in range(FRAMES)])
    dataset.add([frame(f"f{n:03}", user__n=7) for n in range(3)])

    latest = dataset.latest()
    frames = latest.frames().sort("frame_id").collect()
    assert frames["user__n"].to_list() == [7] * 3 + [-n for n in range(3, FRAMES)]
    assert latest.labels().collect()["width"].to_list() == [9.0] * (FRAMES - 3)
    assert dataset.verify().is_sound


def test_an_index_of_other_keys_in_memory_is_met_before_anything_is_decided(
    root: str,
) -> None:
    dataset = dataset_of(root)
    collection = dataset._collection
    for file in collection.state("frames", collection.head().version).files.values():
        wrong = pl.DataFrame(
            {"frame_id": [f"f{(n * 7) % FRAMES:03}" for n in range(file.rows)]}
        ).with_columns(row_hash=pl.lit(1, pl.Int64))
        collection.indexes.put(file.path, KeyIndex.of(wrong, ["frame_id"]))
    version = dataset.version
    rows = [{"frame_id": f"f{n:03}", "user__n": -n} for n in range(FRAMES)]

    with pytest.raises(lakehouse.errors.StorageError, match="key index") as caught:
        dataset.modify(rows)

    assert caught.value.retryable
    assert dataset.version == version


def test_a_key_in_two_rows_is_refused_by_merges(root: str) -> None:
    dataset = dataset_of(root)
    collection = dataset._collection
    lookup = collection.lookup("frames", collection.head().version)
    state = collection.state("frames", collection.head().version)
    (first, *_) = state.files.values()
    # The same file under a second path: each of its keys is there twice.
    copy = f"{collection.table_path('frames')}/copy.parquet"
    collection.store.share(f"{collection.table_path('frames')}/{first.path}", copy)
    twice = state.apply(
        [{"add": first.action["add"] | {"path": "copy.parquet"}}], state.version
    )
    lookup._state = twice

    for count in (1, 5):
        wanted = pl.DataFrame({"frame_id": [f"f{n:03}" for n in range(count)]})
        with pytest.raises(lakehouse.errors.FormatError, match=r"f000.*two rows"):
            lookup.keys(wanted)
