"""The command line on vectors."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import lakehouse
from lakehouse.cli import app
from tests.rows import box, frame


@pytest.fixture
def root(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> str:
    rows = [
        frame(f"f{at}", embedding=[float(at), 0.0], user__patient=f"p{at % 2}")
        for at in (0, 1, 3)
    ]
    dataset.add(rows, [box("f0", "a", embedding=[1.0, 1.0])])
    segment = lake.project("cells").create_segment("blurred", element_type="frame")
    segment.add(dataset, frames=["f3"])
    return lake.root


def ran(root: str, *arguments: str) -> Any:
    done = CliRunner().invoke(app, ["--root", root, "--json", *arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_neighbours_are_printed(root: str) -> None:
    assert ran(root, "similar", "cells/hela", "f0", "-k", "1") == [
        {"frame_id": "f1", "distance": 1.0}
    ]
    within = ran(root, "similar", "cells/hela@1", "f0", "--within", "blurred")
    assert within == [{"frame_id": "f3", "distance": 3.0}]
    where = ("--where", "user__patient = 'p0'")
    assert ran(root, "similar", "cells/hela", "f1", *where)[0]["frame_id"] == "f0"
    assert ran(root, "similar", "cells/hela", "f0/a") == []


def test_duplicates_are_printed(root: str) -> None:
    (pair,) = ran(root, "duplicates", "cells/hela", "--threshold", "1")

    assert (pair["frame_id"], pair["other_frame_id"]) == ("f0", "f1")


def test_leakage_is_printed(root: str) -> None:
    sides = ("--where", "frame_id = 'f1'", "--other-where", "frame_id != 'f1'")

    result = ran(root, "leakage", "cells/hela", *sides, "--by", "user__patient")

    assert not result["is_clean"]
    assert result["groups"] == [{"group": "p1", "frames": 1, "other_frames": 1}]


def test_splits_are_assigned(root: str) -> None:
    shares = ("--share", "train=0.5", "--share", "test=0.5")
    done = ran(root, "assign-splits", "cells/hela", *shares, "--by", "user__patient")

    assert (done["status"], done["assigned"]) == ("DONE", 3)


def test_candidates_are_printed(root: str, project: lakehouse.Project) -> None:
    pool = project.create_dataset("pool")
    pool.add([frame("p", embedding=[4.0, 0.0])])

    (result,) = ran(root, "segment", "candidates", "cells", "blurred", "cells/pool")
    assert (result["frame_id"], result["like_frame_id"]) == ("p", "f3")


@pytest.mark.parametrize(
    "arguments",
    [
        ("leakage", "cells/hela"),
        ("duplicates", "cells/hela", "--where", "not sql at"),
        ("assign-splits", "cells/hela", "--share", "train"),
    ],
)
def test_wrong_use_exits_with_2(root: str, arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["--root", root, *arguments])

    assert done.exit_code == 2
