"""Roots and settings: what is opened, and what is refused before it is."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

import lakehouse
from lakehouse.errors import InvalidInputError, StorageError
from lakehouse.storage import open_store


@pytest.mark.parametrize(
    "root",
    [
        "", " ", "s3:/b/x", "s3:b", "s3:b/x", "file:/x", "file:x", "file://x/y",
        "http://x/y", "gs://b/x", "s3a://b/x", "S3://b/x", "s3://", "s3:///x",
        "s3://b//lake", "s3://b/x//y", "s3://b/../x", "s3://b/./x", "s3://b/a%20b",
        "s3://b/a\\b", "lake\\x", "/data/a%20b", "~/%2e", "file:///a%20b", "a\0b",
        "a\nb", "s3://b/a\tb", "s3:// /x",
    ],
)  # fmt: skip
def test_malformed_roots_are_refused_and_named(root: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        lakehouse.connect(root)

    assert repr(root) in str(caught.value)
    assert caught.value.kind == "lake.root"


@pytest.mark.parametrize("root", [5, b"lake", 1.5, ["lake"]])
def test_a_root_that_is_no_text_is_refused(root: object) -> None:
    with pytest.raises(InvalidInputError, match="is no root"):
        lakehouse.connect(root)  # type: ignore[arg-type]


def test_the_folder_that_a_relative_root_lies_in_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a%20b").mkdir()
    monkeypatch.chdir(tmp_path / "a%20b")

    with pytest.raises(InvalidInputError, match="%20"):
        lakehouse.connect("lake")


@pytest.mark.parametrize(
    ("root", "opened"),
    [
        ("s3://b", "s3://b"),
        ("s3://b/", "s3://b"),
        ("s3://b/x/", "s3://b/x"),
        ("s3://b/x//", "s3://b/x"),
        ("/x/y/", "/x/y"),
        ("file:///x/y", "/x/y"),
        ("./s3:b", f"{os.getcwd()}/s3:b"),  # noqa: PTH109
        ("/x/50% off", "/x/50% off"),
        ("~/x", os.path.expanduser("~/x")),  # noqa: PTH111
    ],
)
def test_roots_are_read_one_way(root: str, opened: str) -> None:
    assert open_store(root).root == opened


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aws_region": "x"}, "did you mean AWS_REGION"),
        ({"AWS_ENDPOINT": "x"}, "did you mean AWS_ENDPOINT_URL"),
        ({"key": "x"}, "'key' is unknown"),
        ({"AWS_REGION": 5}, "AWS_REGION is no text but int"),
    ],
)
@pytest.mark.parametrize("root", ["lake", "s3://b/x"])
def test_settings_that_are_not_used_are_refused(
    root: str, options: Mapping[str, str], words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        lakehouse.connect(root, storage_options=options)


def test_all_unknown_settings_are_named_and_no_secret_is() -> None:
    options = {"a": "hush", "b": "hush", "AWS_SECRET_ACCESS_KEY": b"hush"}

    with pytest.raises(InvalidInputError) as caught:
        lakehouse.connect("s3://b/x", storage_options=options)  # type: ignore[arg-type]

    text = str(caught.value)
    assert all(word in text for word in ("'a'", "'b'", "AWS_SECRET_ACCESS_KEY is"))
    assert "hush" not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}, "AWS_ENDPOINT_URL"),
    ],
)
def test_settings_that_cannot_work_are_told_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], words: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    options |= {"AWS_ENDPOINT_URL": "not an url" if options else "http://127.0.0.1:9"}

    with pytest.raises(StorageError, match=words) as caught:
        lakehouse.connect("s3://b/x", storage_options=options)

    assert not caught.value.retryable
