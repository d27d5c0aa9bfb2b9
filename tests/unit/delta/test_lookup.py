"""Keys of data files: a search and an index give the same matches."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from lakehouse.delta import lookup
from lakehouse.delta.key_index import IndexCache, KeyIndex, key_hashes, search_file
from lakehouse.delta.lookup import FileKeys
from lakehouse.storage.local import LocalStore

KEY = ["frame_id", "label_id"]
PATH = "part-1.parquet"
SCHEMA = pl.Schema({"frame_id": pl.String, "label_id": pl.String, "row_hash": pl.Int64})

keys = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("123456")), unique=True
).map(sorted)


def rows_of(held: list[tuple[str, str]]) -> pl.DataFrame:
    rows = pl.DataFrame(held, schema=KEY, orient="row", schema_overrides=SCHEMA)
    return rows.with_columns(row_hash=pl.int_range(pl.len()) * 7)


@given(held=keys, wanted=keys)
def test_a_search_finds_what_an_index_finds(
    held: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    rows, hashes = rows_of(held), key_hashes(rows_of(wanted), KEY)
    index = KeyIndex.of(rows, KEY)

    searched, indexed = search_file(rows, KEY, *hashes), index.find(*hashes)

    assert sorted(zip(*searched, strict=True)) == sorted(zip(*indexed, strict=True))
    assert searched.row_hashes.tolist() == index.row_hashes[searched.places].tolist()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexCache:
    monkeypatch.setattr(lookup, "_SMALL_FILE_ROWS", 100)
    monkeypatch.setattr(lookup, "_SCAN_KEYS", 2)
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "cache"))
    return IndexCache()


@pytest.fixture
def files(tmp_path: Path, cache: IndexCache) -> FileKeys:
    store = LocalStore(tmp_path / "lake")
    held = [(f"f{number:04}", "l") for number in range(1_000)]
    store.write_table(PATH, rows_of(held))
    return FileKeys(store, SCHEMA, KEY, cache)


def places_of(files: FileKeys, count: int) -> list[int] | None:
    """The places of so many frames, from the 10th on; None if it is to be scanned."""
    wanted = rows_of([(f"f{number:04}", "l") for number in range(10, 10 + count)])
    matches = files.find(PATH, 1_000, *key_hashes(wanted, KEY))
    return None if matches is None else sorted(matches.places.tolist())


def test_many_keys_are_searched_for_once_and_the_index_is_made_after(
    files: FileKeys, cache: IndexCache
) -> None:
    first = places_of(files, 20)
    before = cache.get(PATH)
    cache.make_queued()
    second = places_of(files, 20)

    assert before is None
    assert cache.get(PATH) is not None
    assert first == second == list(range(10, 30))


def test_whoever_asks_again_makes_the_index(files: FileKeys, cache: IndexCache) -> None:
    places_of(files, 20)
    again = places_of(files, 20)

    assert again == list(range(10, 30))
    assert cache.get(PATH) is not None
    assert not cache.has_queued


def test_a_file_of_which_much_is_wanted_is_indexed_at_once(
    files: FileKeys, cache: IndexCache
) -> None:
    assert places_of(files, 500) == list(range(10, 510))
    assert cache.get(PATH) is not None


def test_an_index_of_other_rows_is_made_anew(
    files: FileKeys, cache: IndexCache
) -> None:
    cache.put(PATH, KeyIndex.of(rows_of([("f0001", "l")]), KEY))

    assert places_of(files, 500) == list(range(10, 510))


def test_few_keys_leave_a_large_file_to_a_scan(
    files: FileKeys, cache: IndexCache
) -> None:
    assert places_of(files, 2) is None
    assert cache.get(PATH) is None
    assert np.all(np.array(places_of(files, 3)) == [10, 11, 12])
