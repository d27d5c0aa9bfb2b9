"""Key indexes find what a plain search finds, and survive their cache."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from lakehouse.delta.key_index import IndexCache, KeyIndex, key_lanes

KEY = ["frame_id", "label_id"]
IDS = st.sampled_from(["a", "b", "c", "d"])


def rows_of(keys: list[tuple[str, str]]) -> pl.DataFrame:
    rows = pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.String), orient="row")
    return rows.with_columns(row_hash=pl.int_range(rows.height, dtype=pl.Int64))


@given(
    st.lists(st.tuples(IDS, IDS), unique=True),
    st.lists(st.tuples(IDS, IDS), unique=True),
)
def test_it_finds_what_is_there(
    held: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    index = KeyIndex.of(rows_of(held), KEY)

    which, places = index.find(*key_lanes(rows_of(wanted), KEY))

    found = {wanted[i]: held[place] for i, place in zip(which, places, strict=True)}
    assert found == {key: key for key in wanted if key in held}


@given(st.lists(st.tuples(IDS, IDS), unique=True), st.sets(IDS))
def test_it_finds_the_rows_of_whole_frames(
    held: list[tuple[str, str]], wanted: set[str]
) -> None:
    names = sorted(wanted)
    index = KeyIndex.of(rows_of(held), KEY)
    frames = pl.DataFrame({"frame_id": names}, schema={"frame_id": pl.String})

    which, places = index.of_frames(key_lanes(frames, ["frame_id"])[0])

    found = sorted(
        (names[i], held[place]) for i, place in zip(which, places, strict=True)
    )
    assert found == sorted((key[0], key) for key in held if key[0] in wanted)


def test_it_is_read_back_as_it_was(tmp_path: Path) -> None:
    index = KeyIndex.of(rows_of([("a", "1"), ("a", "2"), ("b", "1")]), KEY)
    index.save(tmp_path / "x.keys")

    found = KeyIndex.load(tmp_path / "x.keys")

    assert found is not None
    for name in ("runs", "starts", "counts", "second", "row_hash", "buckets"):
        assert np.array_equal(getattr(found, name), getattr(index, name))


@pytest.mark.parametrize("damage", [b"", b"short", bytes(100)])
def test_a_damaged_file_is_no_index(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "x.keys").write_bytes(damage)

    assert KeyIndex.load(tmp_path / "x.keys") is None


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    cache = IndexCache()

    cache.put("t/part-1.parquet", KeyIndex.of(rows_of([("a", "1")]), KEY))

    assert cache.get("other/part-1.parquet") is not None
    assert IndexCache().get("t/part-1.parquet") is None


def test_what_was_saved_serves_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    IndexCache().put("t/part-1.parquet", KeyIndex.of(rows_of([("a", "1")]), KEY))

    assert IndexCache().get("t/part-1.parquet") is not None


def test_the_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    monkeypatch.setattr("lakehouse.storage.cache.FOLDER_BYTES", 200)
    cache = IndexCache()

    for number in range(20):
        cache.put(f"part-{number}", KeyIndex.of(rows_of([("a", str(number))]), KEY))

    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 200
