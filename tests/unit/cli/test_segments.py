"""Segments on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import lakehouse
from lakehouse.cli import app
from tests.rows import box, frame


@pytest.fixture
def root(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> str:
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "b")])
    dataset.create_inference_set("model").add([box("f1", "x", confidence=0.9)])
    return lake.root


def run(root: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--root", root, "segment", *arguments])


def as_json(root: str, *arguments: str) -> Any:
    result = CliRunner().invoke(app, ["--root", root, "--json", "segment", *arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_segment_lives_on_the_command_line(
    root: str, dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    where = ("cells", "loose boxes")
    made = as_json(
        root, "create", *where, "--type", "label_quality", "--holds", "label"
    )
    assert made["state"] == "triage"
    added = as_json(root, "add", *where, "cells/hela@1", "--id", "f1/a", "--id", "f2/b")
    assert added == {"added": 2, "elements": 2}
    dataset.upsert_labels([box("f1", "a", width=9.0)])

    (stale,) = as_json(root, "out-of-date", *where)
    assert (stale["label_id"], stale["fields"]) == ("a", ["width"])
    shown = as_json(root, "show", *where)
    assert (shown["elements"], shown["out_of_date"]) == (2, 1)
    assert as_json(root, "refresh", *where, "--id", "f2/b")["moved"] == 0
    assert as_json(root, "refresh", *where) == {"moved": 1, "out_of_date": 0}
    assert as_json(root, "state", *where, "resolved")["state"] == "resolved"
    (listed,) = as_json(
        root, "list", "cells", "--state", "resolved", "--dataset", "hela"
    )
    assert (listed["name"], listed["elements"]) == ("loose boxes", 2)
    out = tmp_path / "loose.json"
    assert as_json(root, "export", *where, "-o", str(out))["elements"] == 2
    assert json.loads(out.read_text(encoding="utf-8"))["elements"][0]["width"] == 9.0
    assert as_json(root, "remove", *where, "--id", "f1/a")["removed"] == 1
    assert as_json(root, "archive", *where)["archived"]
    assert as_json(root, "list", "cells") == []
    assert as_json(root, "list", "cells", "--archived")[0]["archived"]
    assert not as_json(root, "archive", *where, "--undo")["archived"]


def test_files_inference_sets_and_whole_versions_are_added(
    root: str, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"frame_id": "f1", "label_id": "x"}\n', encoding="utf-8")
    as_json(root, "create", "cells", "misses", "--holds", "inference")
    as_json(
        root, "create", "cells", "all", "--holds", "frame",
        "--type", "split", "--threshold", "AP=0.5",
    )  # fmt: skip

    model = "cells/hela/model"
    assert as_json(root, "add", "cells", "misses", model, "--from", str(rows)) == {
        "added": 1,
        "elements": 1,
    }
    assert as_json(root, "add", "cells", "all", "cells/hela", "--all")["added"] == 2
    assert as_json(root, "show", "cells", "all")["thresholds"] == {"AP": 0.5}
    assert run(root, "show", "cells", "all").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "cells", "all", "cells/hela"),
        ("add", "cells", "all", "cells/hela", "--id", "f1", "--all"),
        ("add", "cells", "all", "cells/hela", "--id", "f1", "--from", "rows.csv"),
        ("add", "cells", "all", "cells/hela", "--id", "f1/a"),
        ("remove", "cells", "all"),
        ("create", "cells", "x", "--holds", "frame", "--threshold", "AP"),
    ],
    ids=lambda arguments: " ".join(arguments[3:]),
)
def test_wrong_use_exits_with_2(root: str, arguments: tuple[str, ...]) -> None:
    as_json(root, "create", "cells", "all", "--holds", "frame")

    assert run(root, *arguments).exit_code == 2


def test_what_is_refused_raises(root: str) -> None:
    as_json(root, "create", "cells", "all", "--holds", "frame")

    result = run(root, "add", "cells", "all", "cells/hela", "--id", "f9")

    assert isinstance(result.exception, lakehouse.InvalidInputError)
    assert "'f9' is not in version 1 of hela" in str(result.exception)
