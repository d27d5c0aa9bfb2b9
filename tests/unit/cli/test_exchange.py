"""`lakehouse import` and `lakehouse export`."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import as_json, run


@pytest.fixture
def root(tmp_path: Path, trees: Path) -> str:
    path = str(tmp_path / "lake")
    run(path, "project", "create", "trees", "--class", "Tree")
    run(path, "dataset", "create", "trees/a")
    made = as_json(
        path, "import", "trees/a", str(trees), "--format", "voc", "--add-classes"
    )
    assert (made["status"], made["frames"], made["labels"]) == ("DONE", 4, 951)
    assert made["classes_added"] == ["Dead", "Alive"]
    return path


def test_a_version_is_exported_in_part(root: str, tmp_path: Path) -> None:
    out = tmp_path / "dead.json"

    facts = as_json(
        root, "export", "trees/a@1", str(out), "--format", "coco",
        "--labels", "class_name = 'Dead'", "--frames", "width > 0",
    )  # fmt: skip

    assert (facts["labels"], facts["losses"]) == (28, [])
    assert len(json.loads(out.read_text())["annotations"]) == 28


def test_people_see_what_was_lost(root: str, tmp_path: Path) -> None:
    arguments = ["export", "trees/a", str(tmp_path / "y"), "--format", "yolo"]

    done = run(root, *arguments, "--no-media")

    assert done.exit_code == 0
    assert "Lost on the way" in done.stdout
    assert "image_url" in done.stdout


def test_a_rejected_class_exits_with_3(tmp_path: Path, trees: Path) -> None:
    root = str(tmp_path / "lake")
    run(root, "project", "create", "trees", "--class", "Tree")
    run(root, "dataset", "create", "trees/a")

    done = run(root, "import", "trees/a", str(trees), "--format", "voc")

    assert done.exit_code == 3
    assert "PARTIAL" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "cocoa"),
        ("--format", "coco", "--frames", "nope > 1"),
    ],
)
def test_wrong_use_exits_with_2(
    root: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = run(root, "export", "trees/a", str(tmp_path / "out"), *arguments)

    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()
