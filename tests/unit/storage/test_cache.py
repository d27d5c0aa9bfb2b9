"""The local cache: where its folder is, and what it does with files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.testing import assert_array_equal

from lakehouse.storage import cache

EIGHT = np.arange(8, dtype=np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LAKEHOUSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="where caches lie on Linux")
def test_without_settings_the_folder_is_in_the_users_cache(home: Path) -> None:
    assert cache.folder() == home / ".cache" / "lakehouse"


@pytest.mark.skipif(sys.platform != "linux", reason="where caches lie on Linux")
def test_the_folder_follows_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))

    assert cache.folder() == tmp_path / "other" / "lakehouse"


def test_the_packages_own_variable_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "mine"))

    assert cache.folder() == tmp_path / "mine"


def test_files_of_others_in_the_folder_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "FOLDER_BYTES", 50)
    (tmp_path / "notes.txt").write_bytes(bytes(100))

    cache.keep("a.keys", [EIGHT])
    cache.keep("b.keys", [EIGHT])

    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.keys", "notes.txt"]


def test_a_file_that_cannot_be_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    cache.keep("a.keys", [EIGHT])

    assert cache.cached("missing.keys", np.copy) is None
    assert cache.cached("a.keys", lambda content: int(content.tobytes(), 2)) is None
    assert_array_equal(cache.cached("a.keys", np.copy), EIGHT)


@pytest.mark.parametrize("size", [0, 1, 1_000, 2 << 20])
def test_content_comes_back_as_it_was_kept(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    parts: list[npt.NDArray[Any]] = [
        np.arange(size, dtype=np.uint64),
        np.arange(size, dtype=np.uint8),
    ]

    cache.keep("a.keys", parts)

    content = cache.cached("a.keys", np.copy)
    assert_array_equal(content, np.concatenate([one.view(np.uint8) for one in parts]))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_counts_as_missing(data: st.DataObject, home: Path) -> None:
    """Bits flipped, zeros as a power cut leaves them, cut short, or grown."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_CACHE", str(home))
        cache.keep("a.keys", [np.arange(1, 100, dtype=np.uint8)])
        file = home / "a.keys"
        whole = file.read_bytes()
        start = data.draw(st.integers(0, len(whole) - 1))
        stop = data.draw(st.integers(start + 1, len(whole)))
        length = stop - start
        middle = data.draw(
            st.one_of(
                st.just(bytes(length)),
                st.binary(min_size=length, max_size=length),
                st.just(b""),
                st.just(whole[start:stop] * 2),
            )
        )
        damaged = whole[:start] + middle + whole[stop:]
        file.write_bytes(damaged)

        content = cache.cached("a.keys", np.copy)

    assert (content is not None) == (damaged == whole)


def test_a_file_under_the_name_of_another_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    cache.keep("a.keys", [EIGHT])
    (tmp_path / "a.keys").rename(tmp_path / "b.keys")

    assert cache.cached("b.keys", np.copy) is None
