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
    path = str(tmp_path / "lake")
    assert run(path, "project", "create", "cells", "--class", "cell").exit_code == 0
    assert run(path, "dataset", "create", "cells/hela").exit_code == 0
    return path


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
        leaf
        for name, inner in command.commands.items()
        for leaf in commands(inner, (*path, name))
    ]


def test_every_command_has_help() -> None:
    leaves = commands(typer.main.get_command(app))

    assert len(leaves) > 15
    for path, command in leaves:
        assert command.help, path
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0, path


def test_a_partly_rejected_upload_exits_with_3_and_lists_errors(
    loaded: str,
) -> None:
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


def test_a_diff_is_printed_for_people_and_for_machines(moved: str) -> None:
    shown = run(moved, "diff", "cells/hela@1", "--rows").stdout
    facts = as_json(moved, "diff", "cells/hela@2", "cells/hela@1", "--rows")

    assert "version 1 → 2" in shown
    assert "width: 3.0 → 6.0" in shown
    assert (facts["from"], facts["to"]) == (2, 1)
    assert facts["counts"]["labels"] == {"added": 0, "removed": 0, "changed": 1}
    assert facts["labels"][0]["iou"] == 0.5
    assert facts["frames"] == []
    assert "labels" not in as_json(moved, "diff", "cells/hela@1")


def test_the_diff_of_an_upload_is_of_that_upload_alone(moved: str) -> None:
    newest, first = as_json(moved, "uploads", "cells/hela")

    facts = as_json(moved, "upload", "diff", "cells/hela", newest["upload_id"])
    assert facts["counts"]["labels"]["changed"] == 1
    shown = run(
        moved, "upload", "diff", "cells/hela", first["upload_id"], "--rows", "--limit=1"
    ).stdout
    assert "version 1" in shown


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


def test_checkpoints_are_made_listed_edited_and_archived(loaded: str) -> None:
    made = as_json(
        loaded, "checkpoint", "create", "cells/hela@1", "base", "-m", "first"
    )
    assert made == {"name": "base", "version": 1, "message": "first"}
    assert run(loaded, "checkpoint", "create", "cells/hela@0", "base").exit_code == 1
    edit = ["checkpoint", "edit", "cells/hela", "base", "--metadata"]
    assert as_json(loaded, *edit, '{"by": "me"}')["metadata"] == {"by": "me"}
    assert run(loaded, *edit, "[1]").exit_code == run(loaded, *edit, "{").exit_code == 2

    (row,) = as_json(loaded, "checkpoint", "list", "cells/hela")
    assert (row["name"], row["frames"], row["created"]) == ("base", 1, 1)
    assert run(loaded, "checkpoint", "archive", "cells/hela", "base").exit_code == 0
    assert as_json(loaded, "checkpoint", "list", "cells/hela") == []
    assert as_json(loaded, "show", "cells/hela@base")["frames"] == 1


def test_restore_and_revert(loaded: str) -> None:
    run(loaded, "delete", "cells/hela", "--frame", "f1")

    assert as_json(loaded, "restore", "cells/hela@1")["created"] == 1
    assert run(loaded, "restore", "cells/hela").exit_code == 2
    assert as_json(loaded, "revert", "cells/hela", "3", "-m", "no")["deleted"] == 1
    assert run(loaded, "revert", "cells/hela", "1", "--conflicts", "x").exit_code == 2
    messages = [row["message"] for row in as_json(loaded, "versions", "cells/hela")]
    assert messages[-2:] == ["restore of version 1", "no"]


def test_sql_asks_a_version(loaded: str) -> None:
    query = "select frame_id, count(*) as n from labels group by frame_id"

    assert as_json(loaded, "sql", query, "cells/hela@1") == [{"frame_id": "f1", "n": 1}]
    assert as_json(loaded, "sql", query, "cells/hela@0") == []
    csv = run(loaded, "sql", query, "cells/hela", "--format", "csv")
    assert csv.stdout == "frame_id,n\nf1,1\n"
    assert run(loaded, "sql", "select nothing from labels", "cells/hela").exit_code == 2
    assert run(loaded, "sql", query, "cells/hela", "--format", "x").exit_code == 2


def test_garbage_is_listed_before_it_is_removed(loaded: str) -> None:
    now = ["run", "collect-garbage", "cells/hela", "--retention", "0", "--grace", "0"]
    run(loaded, "restore", "cells/hela@0")
    run(loaded, "run", "compact")

    shown = as_json(loaded, *now)
    assert sum(row["files"] for row in shown) > 0
    assert as_json(loaded, *now) == shown
    assert as_json(loaded, *now, "--remove") == shown
    assert as_json(loaded, *now) == []
    assert as_json(loaded, "show", "cells/hela@1")["frames"] == 1
    assert as_json(loaded, "run", "collect-garbage") == []


def test_inference_sets_are_created_filled_listed_and_repinned(
    loaded: str, tmp_path: Path
) -> None:
    path = "cells/hela/model_a"
    made = as_json(loaded, "inference-set", "create", path, "--at", "1")
    assert made == {"name": "model_a", "pin": 1}
    rows = written(tmp_path / "i.jsonl", [box("f1", "x") | {"confidence": 0.5}])
    added = as_json(loaded, "inference-set", "add", path, "--inferences", rows)
    assert (added["status"], added["created"]) == ("DONE", 1)

    (row,) = as_json(loaded, "inference-set", "list", "cells/hela")
    assert (row["pin"], row["frames"], row["inferences"]) == (1, 1, 1)
    assert as_json(loaded, "show", f"{path}@1", "f1")["labels"][0]["confidence"] == 0.5
    assert [one["version"] for one in as_json(loaded, "versions", path)] == [0, 1]
    run(loaded, "delete", "cells/hela", "--frame", "f1")
    moved = as_json(loaded, "inference-set", "repin", path, "latest")
    assert (moved["from"], moved["pin"]) == (1, 3)
    query = "select confidence from labels"
    assert as_json(loaded, "sql", query, path) == [{"confidence": 0.5}]


def test_models_are_measured_and_compared(loaded: str, tmp_path: Path) -> None:
    for name, width in (("good", 3.0), ("bad", 30.0)):
        path = f"cells/hela/{name}"
        run(loaded, "inference-set", "create", path)
        guess = box("f1", "x", width=width) | {"confidence": 0.5}
        rows = written(tmp_path / f"{name}.jsonl", [guess])
        run(loaded, "inference-set", "add", path, "--inferences", rows)
    curve, matrix = tmp_path / "curve.svg", tmp_path / "matrix.png"

    shown = as_json(
        loaded,
        *("metrics", "cells/hela/good", "--by", "device_id"),
        *("--precision-recall", str(curve), "--confusion", str(matrix)),
    )

    assert (shown["summary"]["tp"], shown["summary"]["fp"]) == (1, 0)
    assert [row["frames"] for row in shown["slices"]] == [1]
    assert curve.read_bytes().startswith(b"<?xml")
    assert matrix.read_bytes().startswith(b"\x89PNG")
    compared = as_json(loaded, "compare", "cells/hela/good", "cells/hela/bad", "--rows")
    figures = {row["metric"]: row["delta"] for row in compared["summary"]}
    assert (figures["tp"], figures["fn"]) == (-1, 1)
    assert {row["outcome_other"] for row in compared["changes"]} == {"FN", "FP"}
    shown = run(loaded, "compare", "cells/hela/good", "--at", "latest")
    assert "precision" in shown.stdout
    assert run(loaded, "compare", "cells/hela/good").exit_code == 2
    assert (
        "Metrics of cells/hela/bad" in run(loaded, "metrics", "cells/hela/bad").stdout
    )


def test_targets_must_name_what_a_command_is_about(loaded: str) -> None:
    run(loaded, "inference-set", "create", "cells/hela/m")

    assert run(loaded, "inference-set", "create", "cells/hela").exit_code == 2
    assert run(loaded, "inference-set", "add", "cells/hela/m").exit_code == 2
    assert run(loaded, "delete", "cells/hela/m", "--frame", "f1").exit_code == 2
    assert run(loaded, "show", "cells/hela/m/x").exit_code == 2


def test_a_load_is_sent_in_parts_and_continued(root: str, tmp_path: Path) -> None:
    frames = written(tmp_path / "f.jsonl", [frame(f"f{n:03}") for n in range(50)])
    boxes = [box(f"f{n:03}", "a") for n in range(50)] + [box("f007", "b", width=-1.0)]
    labels = written(tmp_path / "l.jsonl", boxes)
    sent = ("load", "cells/hela", "--frames", frames, "--labels", labels)

    made = as_json(root, *sent)

    assert (made["status"], made["created"], made["rejected"]) == ("PARTIAL", 49, 1)
    again = as_json(root, *sent, "--load-id", made["id"])
    assert (again["known"], again["version"]) == (1, made["version"])
    shown = run(root, *sent, "--load-id", made["id"])
    assert shown.exit_code == 3
    assert "1 frames" in shown.stdout


@pytest.mark.parametrize(
    ("classes", "code", "summary"),
    [
        (["cell"], 0, "1 uploads: 1 DONE"),
        (["cell", "x"], 3, "1 uploads: 1 PARTIAL"),
        (["x"], 1, "1 uploads: 1 FAILED"),
    ],
)
def test_a_merge_exits_by_the_worst_upload(
    root: str, tmp_path: Path, classes: list[str], code: int,
    summary: str,
) -> None:  # fmt: skip
    frames = written(
        tmp_path / "f.jsonl", [frame(f"f{n}") for n in range(len(classes))]
    )
    boxes = [box(f"f{n}", "a", class_name=name) for n, name in enumerate(classes)]
    labels = written(tmp_path / "l.jsonl", boxes)
    sent = ("add", "cells/hela", "--frames", frames, "--labels", labels)
    assert run(root, *sent, "--deferred").exit_code == 0

    done = run(root, "run", "merge")

    assert (done.exit_code, summary in done.stdout) == (code, True)
    # Nothing is left to merge, so nothing fails.
    assert run(root, "run", "merge").exit_code == 0
