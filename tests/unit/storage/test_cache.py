"""The local cache: where its folder is, and what it does with files."""

import sys
from pathlib import Path

import pytest

from lakehouse.storage import cache


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
    monkeypatch.setattr(cache, "FOLDER_BYTES", 10)
    (tmp_path / "notes.txt").write_bytes(bytes(100))

    def write(path: Path) -> None:
        path.write_bytes(bytes(8))

    cache.keep("a.keys", write)
    cache.keep("b.keys", write)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.keys", "notes.txt"]


def test_a_file_that_cannot_be_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path))
    (tmp_path / "a.keys").write_bytes(b"x")

    assert cache.cached("missing.keys", Path.read_bytes) is None
    assert cache.cached("a.keys", lambda path: int(path.read_bytes(), 2)) is None
    assert cache.cached("a.keys", Path.read_bytes) == b"x"
