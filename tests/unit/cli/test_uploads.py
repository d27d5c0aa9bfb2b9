"""Uploads from the command line: lists, live lists, items, errors, downloads."""

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import lakehouse
from lakehouse.cli import app
from lakehouse.cli.output import progress_bar, upload_tables, watch
from tests.rows import box, frame


def run(lake: lakehouse.Lake, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "400"}).invoke(
        app, ["--root", lake.root, *arguments]
    )


def as_json(lake: lakehouse.Lake, *arguments: str) -> Any:
    result = run(lake, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def partial(dataset: lakehouse.Dataset) -> lakehouse.Upload:
    return dataset.add(
        [frame("f1"), frame("f2", latitude=91.0, longitude=0.0)],
        [box("f1", "a"), box("f2", "b", class_name="celery")],
    )


def test_people_see_streams_and_batches_in_lists_of_their_own(
    lake: lakehouse.Lake, project: lakehouse.Project, partial: lakehouse.Upload
) -> None:
    batch = project.create_dataset("fixed", mode="BATCH").add([frame("f1")])

    shown = run(lake, "uploads", "cells").stdout

    streams, batches = shown.split("Batch uploads to cells")
    assert partial.id in streams
    assert batch.id not in streams
    assert batch.id in batches
    assert "none" in run(lake, "uploads", "cells", "--status", "pending").stdout


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ([], ["DONE", "PARTIAL"]),
        (["--status", "partial"], ["PARTIAL"]),
        (["--mode", "batch"], ["DONE"]),
        (["--mode", "streaming", "--status", "failed"], []),
    ],
)
def test_lists_are_narrowed(
    lake: lakehouse.Lake,
    project: lakehouse.Project,
    partial: lakehouse.Upload,
    options: list[str],
    statuses: list[str],
) -> None:
    project.create_dataset("fixed", mode="BATCH").add([frame("f1")])

    rows = as_json(lake, "uploads", "cells", *options)

    assert [row["status"] for row in rows] == statuses
    of_dataset = as_json(lake, "uploads", "cells/hela", *options)
    assert of_dataset == [row for row in rows if row["target"] == "cells/hela"]


def test_an_option_that_cannot_be_names_those_that_can(
    lake: lakehouse.Lake, partial: lakehouse.Upload
) -> None:
    for options, shown in (
        (["--status", "good"], "'pending', 'done', 'partial', 'failed'"),
        (["--mode", "fast"], "'streaming', 'batch'"),
    ):
        result = run(lake, "uploads", "cells", *options)
        assert (result.exit_code, shown in result.output) == (2, True), result.output


def test_a_watched_list_follows_until_ctrl_c(
    lake: lakehouse.Lake, project: lakehouse.Project
) -> None:
    later = lakehouse.connect(lake.root, merge="deferred").project("cells")
    dataset = later.create_dataset("hela")
    dataset.add([frame("f1")])
    looks: list[str] = []
    screen = Console(file=io.StringIO(), force_terminal=True, width=400)

    def wait(seconds: float) -> None:
        looks.append(project.uploads()["status"].item())
        if len(looks) > 1:
            raise KeyboardInterrupt
        dataset.merge_pending()

    watch(
        lambda: upload_tables(project.uploads(), "cells"),
        1.0,
        console=screen,
        wait=wait,
    )

    assert looks == ["PENDING", "DONE"]
    assert isinstance(screen.file, io.StringIO)
    before, after = screen.file.getvalue().rsplit("PENDING", 1)
    assert "DONE" not in before
    assert "DONE" in after


def test_ctrl_c_ends_a_watched_list_with_success(
    lake: lakehouse.Lake, partial: lakehouse.Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rich.live.Live.update", interrupted)

    result = run(lake, "uploads", "cells/hela", "--watch")

    assert result.exit_code == 0
    assert run(lake, "--json", "uploads", "cells", "--watch").exit_code == 2


def test_an_upload_is_shown_with_the_retries_of_it(
    lake: lakehouse.Lake, partial: lakehouse.Upload
) -> None:
    mended = partial.retry([frame("f2")], [box("f2", "b")], message="mended")

    shown = as_json(lake, "upload", "show", "cells/hela", partial.id)
    assert (shown["status"], shown["mode"], shown["author"]) == (
        "PARTIAL",
        "STREAMING",
        "mira",
    )
    assert (shown["frames"]["created"], shown["frames"]["rejected"]) == (1, 1)
    assert (shown["problems"], shown["retried_by"]) == (2, [mended.id])
    again = as_json(lake, "upload", "show", "cells/hela", mended.id)
    assert (again["retry_of"], again["message"]) == (partial.id, "mended")


def test_items_are_listed_by_outcome(
    lake: lakehouse.Lake, partial: lakehouse.Upload
) -> None:
    place = ("cells/hela", partial.id, "--outcome", "rejected")
    result = run(lake, "upload", "items", *place, "--format", "jsonl")

    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["frame_id"], row["label_id"], row["problems"]) for row in rows] == [
        ("f2", None, 1),
        ("f2", "b", 1),
    ]
    assert run(lake, "upload", "items", *place[:-1], "lost").exit_code == 2


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_errors_are_downloaded_with_their_values(
    lake: lakehouse.Lake, partial: lakehouse.Upload, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"errors.{ending}"

    shown = as_json(lake, "upload", "errors", "cells/hela", partial.id, "-o", str(out))

    assert shown == {"written": str(out), "rows": 2}
    rows = getattr(pl, "read_ndjson" if ending == "jsonl" else f"read_{ending}")(out)
    assert rows["path"].to_list() == ["frames['f2'].latitude", "labels['b'].class_name"]
    assert rows["value"].cast(pl.String).to_list() == ["91.0", '"celery"']


def test_a_download_that_cannot_be_is_wrong_use(
    lake: lakehouse.Lake, partial: lakehouse.Upload, tmp_path: Path
) -> None:
    place = ("upload", "errors", "cells/hela", partial.id)
    for options in (
        ["-o", str(tmp_path / "errors.xlsx")],
        ["-o", str(tmp_path / "no" / "folder.csv")],
        ["--format", "xml"],
    ):
        result = run(lake, *place, *options)
        assert result.exit_code == 2, result.output
    assert list(tmp_path.glob("errors*")) == []


def test_lists_of_datasets_and_a_version_show_that_uploads_wait(
    lake: lakehouse.Lake, dataset: lakehouse.Dataset
) -> None:
    def processing() -> list[bool]:
        (listed,) = as_json(lake, "dataset", "list", "cells")
        return [listed["processing"], as_json(lake, "show", "cells/hela")["processing"]]

    later = lakehouse.connect(lake.root, merge="deferred").project("cells")
    later.dataset("hela").add([frame("f1")])

    assert processing() == [True, True]
    dataset.merge_pending()
    assert processing() == [False, False]


def test_a_terminal_sees_a_bar_and_a_pipe_does_not(dataset: lakehouse.Dataset) -> None:
    drawn: list[str] = []
    for is_terminal in (True, False):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=is_terminal, width=100)
        with progress_bar(console) as progress:
            dataset.add([frame(f"f{is_terminal}")], progress=progress)
        drawn.append(screen.getvalue())

    assert "staging" in drawn[0]
    assert "merging" in drawn[0]
    assert not drawn[1]
