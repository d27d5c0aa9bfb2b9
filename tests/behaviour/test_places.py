"""A place without a lake is told, by every call and every command but the first write."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lakehouse
from lakehouse.cli import app
from lakehouse.errors import NotFoundError, StorageError

CALLS: dict[str, Callable[[lakehouse.Lake], object]] = {
    "projects": lambda lake: lake.projects(),
    "project": lambda lake: lake.project("cells"),
    "collections": lambda lake: list(lake.collections()),
    "a target": lambda lake: list(lake.collections("cells/hela")),
    "collect_garbage": lambda lake: lake.collect_garbage(),
}
COMMANDS = [
    ("project", "list"),
    ("dataset", "list", "cells"),
    ("dataset", "create", "cells/hela"),
    ("versions", "cells/hela"),
    ("uploads", "cells"),
    ("segment", "list", "cells"),
    ("inference-set", "list", "cells/hela"),
    ("run", "merge"),
    ("run", "merge", "cells/hela"),
    ("run", "clone"),
    ("run", "compact"),
    ("run", "collect-garbage"),
    ("run", "verify"),
    ("run", "verify", "--quick"),
]


@pytest.fixture(params=["nothing", "empty folder", "file", "dangling link"])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    place = tmp_path / "laek"
    if request.param == "empty folder":
        place.mkdir()
    elif request.param == "file":
        place.write_text("x", encoding="utf-8")
    elif request.param == "dangling link":
        place.symlink_to(tmp_path / "gone")
    return str(place)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_says_that_there_is_no_lake(nowhere: str, call: str) -> None:
    lake = lakehouse.connect(nowhere)

    with pytest.raises(NotFoundError, match=r"There is no lake at .*laek") as caught:
        CALLS[call](lake)

    assert caught.value.kind == "lake.missing"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_so_and_fails(
    nowhere: str, command: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(app, ["--root", nowhere, *command])

    assert done.exit_code == 1
    assert isinstance(done.exception, NotFoundError)
    assert f"There is no lake at {nowhere}" in str(done.exception)
    assert not done.stdout


def test_a_lake_that_is_made_later_is_seen(tmp_path: Path) -> None:
    early = lakehouse.connect(tmp_path / "lake")

    lakehouse.connect(tmp_path / "lake").create_project("cells", classes=["cell"])

    assert [project.name for project in early.projects()] == ["cells"]


def test_a_lake_that_lost_its_format_file_is_still_one(lake: lakehouse.Lake) -> None:
    lake.create_project("cells", classes=["cell"])
    Path(lake.root, "format.json").unlink()

    assert len(lakehouse.connect(lake.root).projects()) == 1


@pytest.mark.parametrize("nowhere", ["file", "dangling link"], indirect=True)
def test_a_first_write_that_fails_names_the_root(nowhere: str) -> None:
    lake = lakehouse.connect(nowhere)

    with pytest.raises(StorageError, match=f"cannot be made at {nowhere}"):
        lake.create_project("cells", classes=["cell"])


@pytest.mark.s3
def test_a_bucket_that_is_not_there_is_named(
    s3_root: str, s3_options: dict[str, str]
) -> None:
    lake = lakehouse.connect("s3://no-such-bucket/x", storage_options=s3_options)

    with pytest.raises(
        NotFoundError, match="There is no lake at s3://no-such-bucket/x"
    ):
        lake.projects()
    with pytest.raises(StorageError, match="s3://no-such-bucket/x") as caught:
        lake.create_project("cells", classes=["cell"])
    assert not caught.value.retryable


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a{}b", "ünï"])
def test_the_first_write_says_where_plain_engines_cannot_follow(
    tmp_path: Path, name: str
) -> None:
    lake = lakehouse.connect(tmp_path / name)

    with pytest.warns(UserWarning, match="Plain engines open"):
        lake.create_project("cells", classes=["cell"])
    # Said once, and reading says nothing: warnings are errors in this suite.
    assert lakehouse.connect(tmp_path / name).projects()[0].name == "cells"
