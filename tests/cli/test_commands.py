"""The command line on real lakes: what it prints, and how it exits."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from lakehouse.cli import app
from tests.rows import box, frame


@pytest.fixture
def root(tmp_path: Path) -> str:
    found = str(tmp_path / "lake")
    assert run(found, "project", "create", "cells", "--class", "cell").exit_code == 0
    assert run(found, "dataset", "create", "cells/hela").exit_code == 0
    return found


def run(root: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--root", root, *arguments])


def as_json(root: str, *arguments: str) -> Any:
    result = CliRunner().invoke(app, ["--root", root, "--json", *arguments])
    return json.loads(result.stdout)


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def loaded(root: str, tmp_path: Path) -> str:
    frames = written(tmp_path / "f.jsonl", [frame("f1"), frame("f2")])
    labels = written(
        tmp_path / "l.jsonl", [box("f1", "a"), box("f2", "b", class_name="x")]
    )
    result = run(root, "add", "cells/hela", "--frames", frames, "--labels", labels)
    assert result.exit_code == 3
    return root


def commands(
    command: Any, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        return [(path, command)]
    return [
        found
        for name, inner in command.commands.items()
        for found in commands(inner, (*path, name))
    ]


def test_every_command_has_help() -> None:
    found = commands(typer.main.get_command(app))

    assert len(found) > 15
    for path, command in found:
        assert command.help, path
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0, path


def test_a_partly_rejected_upload_exits_with_3_and_is_told(loaded: str) -> None:
    (upload,) = as_json(loaded, "uploads", "cells/hela")

    assert upload["status"] == "PARTIAL"
    (error,) = as_json(loaded, "upload", "errors", "cells/hela", upload["upload_id"])
    assert (error["frame_id"], error["rule"]) == ("f2", "class.unknown")


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "table"])
def test_errors_come_in_every_format(loaded: str, kind: str) -> None:
    (upload,) = as_json(loaded, "uploads", "cells/hela")

    result = run(
        loaded, "upload", "errors", "cells/hela", upload["upload_id"], "--format", kind
    )

    assert result.exit_code == 0
    assert "f2" in result.stdout


def test_a_retry_lands_the_rejected_frame(loaded: str, tmp_path: Path) -> None:
    (upload,) = as_json(loaded, "uploads", "cells/hela")
    labels = written(tmp_path / "mended.jsonl", [box("f2", "b")])

    result = run(
        loaded, "upload", "retry", "cells/hela", upload["upload_id"], "--labels", labels
    )

    assert result.exit_code == 0
    assert as_json(loaded, "show", "cells/hela")["labels"] == 2


def test_modify_delete_versions_show_and_history(loaded: str, tmp_path: Path) -> None:
    pl.DataFrame({"frame_id": ["f1"], "user__split": ["train"]}).write_csv(
        tmp_path / "m.csv"
    )
    assert (
        run(
            loaded, "modify", "cells/hela", "--frames", str(tmp_path / "m.csv")
        ).exit_code
        == 0
    )
    assert (
        run(loaded, "delete", "cells/hela", "--frame", "f1", "-m", "gone").exit_code
        == 0
    )

    assert [row["version"] for row in as_json(loaded, "versions", "cells/hela")] == [
        0,
        1,
        2,
        3,
    ]
    assert as_json(loaded, "show", "cells/hela@2")["frames"] == 1
    assert as_json(loaded, "show", "cells/hela@2", "f1")["user__split"] == "train"
    ops = [row["op"] for row in as_json(loaded, "history", "cells/hela", "f1")]
    assert ops == ["ADD", "ADD", "MODIFY", "DELETE", "DELETE"]


@pytest.fixture
def moved(loaded: str, tmp_path: Path) -> str:
    labels = written(tmp_path / "moved.jsonl", [box("f1", "a", width=6.0)])
    assert run(loaded, "modify", "cells/hela", "--labels", labels).exit_code == 0
    return loaded


def test_a_diff_is_told_to_people_and_to_machines(moved: str) -> None:
    told = run(moved, "diff", "cells/hela@1", "--rows").stdout
    said = as_json(moved, "diff", "cells/hela@2", "cells/hela@1", "--rows")

    assert "version 1 → 2" in told
    assert "width: 3.0 → 6.0" in told
    assert (said["from"], said["to"]) == (2, 1)
    assert said["counts"]["labels"] == {"added": 0, "removed": 0, "changed": 1}
    assert said["labels"][0]["iou"] == 0.5
    assert said["frames"] == []
    assert "labels" not in as_json(moved, "diff", "cells/hela@1")


def test_an_uploads_diff_is_its_own(moved: str) -> None:
    newest, first = as_json(moved, "uploads", "cells/hela")

    said = as_json(moved, "upload", "diff", "cells/hela", newest["upload_id"])
    assert said["counts"]["labels"]["changed"] == 1
    told = run(
        moved, "upload", "diff", "cells/hela", first["upload_id"], "--rows", "--limit=1"
    ).stdout
    assert "version 1" in told


def test_diffs_of_different_datasets_are_wrong_use(moved: str) -> None:
    assert run(moved, "diff", "cells/hela").exit_code == 2
    result = run(moved, "diff", "cells/hela@1", "cells/other@1")
    assert result.exit_code == 2
    assert "different datasets" in result.output
    assert run(moved, "diff", "cells/hela@9").exit_code == 1


def test_deferred_uploads_wait_for_the_merge(root: str, tmp_path: Path) -> None:
    frames = written(tmp_path / "f.jsonl", [frame("f1")])
    assert (
        run(root, "add", "cells/hela", "--frames", frames, "--deferred").exit_code == 0
    )
    assert as_json(root, "dataset", "show", "cells/hela")["processing"] is True

    (merged,) = as_json(root, "run", "merge")

    assert merged["status"] == "DONE"
    assert as_json(root, "dataset", "show", "cells/hela")["frames"] == 1


def test_wrong_use_exits_with_2(root: str) -> None:
    assert run(root, "add", "cells/hela").exit_code == 2
    assert run(root, "show", "nonsense").exit_code == 2
    assert run(root, "no-such-command").exit_code == 2


def test_lists_and_pictures(loaded: str, tmp_path: Path) -> None:
    assert as_json(loaded, "project", "list")[0]["name"] == "cells"
    assert as_json(loaded, "dataset", "list", "cells")[0]["labels"] == 1
    picture = tmp_path / "out.png"
    assert run(loaded, "plot", "cells/hela", "f1", "-o", str(picture)).exit_code == 0
    assert picture.stat().st_size > 0
