"""Key indexes find what a plain search finds, and survive their cache."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from lakehouse.delta.key_index import IndexCache, KeyIndex, key_hashes

KEY = ["frame_id", "label_id"]
IDS = st.sampled_from(["a", "b", "c", "d"])


def rows_of(keys: list[tuple[str, str]]) -> pl.DataFrame:
    rows = pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.String), orient="row")
    return rows.with_columns(row_hash=pl.int_range(rows.height, dtype=pl.Int64))


@given(
    st.lists(st.tuples(IDS, IDS), unique=True),
    st.lists(st.tuples(IDS, IDS), unique=True),
)
def test_an_index_finds_those_wanted_keys_that_the_file_holds(
    held: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    index = KeyIndex.of(rows_of(held), KEY)

    which, places, _ = index.find(*key_hashes(rows_of(wanted), KEY))

    matches = {wanted[i]: held[place] for i, place in zip(which, places, strict=True)}
    assert matches == {key: key for key in wanted if key in held}


@given(st.lists(st.tuples(IDS, IDS), unique=True), st.sets(IDS))
def test_an_index_finds_every_row_of_wanted_frames(
    held: list[tuple[str, str]], wanted: set[str]
) -> None:
    names = sorted(wanted)
    index = KeyIndex.of(rows_of(held), KEY)
    frames = pl.DataFrame({"frame_id": names}, schema={"frame_id": pl.String})

    which, places = index.of_frames(key_hashes(frames, ["frame_id"])[0])

    rows = sorted(
        (names[i], held[place]) for i, place in zip(which, places, strict=True)
    )
    assert rows == sorted((key[0], key) for key in held if key[0] in wanted)


def test_a_saved_index_is_loaded_with_equal_arrays() -> None:
    index = KeyIndex.of(rows_of([("a", "1"), ("a", "2"), ("b", "1")]), KEY)

    content = np.concatenate([part.view(np.uint8) for part in index.parts()])
    loaded = KeyIndex.from_content(content)

    for field in fields(KeyIndex):
        assert np.array_equal(getattr(loaded, field.name), getattr(index, field.name))


@pytest.mark.parametrize("content", [b"", b"short", bytes(100)])
def test_other_bytes_are_no_index(content: bytes) -> None:
    with pytest.raises(ValueError, match="no key index"):
        KeyIndex.from_content(np.frombuffer(content, np.uint8))


def test_indexes_are_kept_in_memory_where_the_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    cache = IndexCache()

    cache.put("t/part-1.parquet", KeyIndex.of(rows_of([("a", "1")]), KEY))

    assert cache.get("other/part-1.parquet") is not None
    assert IndexCache().get("t/part-1.parquet") is None


def test_a_saved_index_serves_a_cache_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    IndexCache().put("t/part-1.parquet", KeyIndex.of(rows_of([("a", "1")]), KEY))

    assert IndexCache().get("t/part-1.parquet") is not None


def test_saved_indexes_stay_within_the_bytes_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    monkeypatch.setattr("lakehouse.delta.key_index._SAVED_ROWS", 1)
    monkeypatch.setattr("lakehouse.storage.cache.FOLDER_BYTES", 200)
    cache = IndexCache()

    for number in range(20):
        cache.put(f"part-{number}", KeyIndex.of(rows_of([("a", str(number))]), KEY))

    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 200
