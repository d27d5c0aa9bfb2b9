"""Verification beside writers, on S3, from the command line, and as a job."""

import io
import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import lakehouse
from lakehouse.cli import app
from lakehouse.cli.output import progress_bar
from lakehouse.jobs.verify import verify  # type: ignore[import-not-found]
from tests.rows import box, frame
from tests.unit.verify.forgery import file_of
from tests.unit.verify.prepared import opened


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--root", str(root), *arguments])


def corrupt_labels(root: Path) -> str:
    dataset = opened(root)
    path = file_of(dataset, "labels", frame_id="f11", width=5.0)
    dataset._collection.store.put(path, b"nonsense")
    return path


@pytest.mark.parametrize("quick", [(), ("--quick",)])
def test_the_command_exits_with_0_for_a_sound_dataset(
    prepared: Path, quick: tuple[str, ...]
) -> None:
    result = run(prepared, "run", "verify", "cells/hela", *quick)

    assert result.exit_code == 0
    assert "sound" in result.stdout


def test_the_command_exits_with_1_and_names_the_corrupt_file(copied: Path) -> None:
    path = corrupt_labels(copied)

    result = run(copied, "--json", "run", "verify")

    assert result.exit_code == 1
    printed = json.loads(result.stdout)["cells/hela"]
    assert not printed["sound"]
    assert [problem["file"] for problem in printed["problems"]] == [path]
    assert printed["checked"]["entries"] == 14
    shown = run(copied, "run", "verify", "cells/hela")
    assert shown.exit_code == 1
    assert "1 problem" in shown.stdout


def test_the_job_prints_dataset_by_dataset(copied: Path) -> None:
    path = corrupt_labels(copied)

    verifications: dict[str, lakehouse.Verification] = verify(
        lakehouse.connect(copied), full=False
    )

    assert verifications["cells/hela"].problems["file"].to_list() == [path]
    done = subprocess.run(
        [sys.executable, "-m", "lakehouse.jobs.verify", str(copied)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert path in done.stdout


def test_the_bar_is_shown_on_terminals_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar() as progress:
        progress("files", 1, 2)

    assert capsys.readouterr() == ("", "")
    screen = io.StringIO()
    with progress_bar(Console(file=screen, force_terminal=True, width=60)) as progress:
        progress("ledger", 2, 2)
        progress("files", 1, 2)
    assert "ledger" in screen.getvalue()


@pytest.mark.s3
def test_verification_on_s3(s3_root: str, s3_options: dict[str, str]) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options, compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add(
        [frame(f"f{n}") for n in range(9)], [box(f"f{n}", "a") for n in range(9)]
    )
    dataset.upsert_labels([box("f1", "a", width=9.0)])
    dataset.delete(["f2"])
    dataset.compact()
    for full in (True, False):
        verification = dataset.verify(full=full)
        assert verification.is_sound, verification.problems.to_dicts()

    store, table = dataset._collection.store, dataset._collection.table_path("labels")
    name = next(iter(dataset._collection.state("labels", 4).files))
    data = store.read(f"{table}/{name}")
    store.put(f"{table}/{name}", data[:99] + bytes([data[99] ^ 1]) + data[100:])

    (problem,) = dataset.verify().problems.to_dicts()
    assert (problem["check"], problem["file"]) == ("file.bytes", f"{table}/{name}")


@pytest.mark.slow
def test_verification_beside_writers(lake_root: str) -> None:
    """What is written, compacted and collected meanwhile is never called wrong."""
    lake = lakehouse.connect(lake_root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    stop, failed = threading.Event(), list[BaseException]()

    def work(step: Any) -> None:
        other = lakehouse.connect(lake_root).project("cells").dataset("hela")
        number = 0
        try:
            while not stop.is_set():
                step(other, number)
                number += 1
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)

    def write(other: lakehouse.Dataset, number: int) -> None:
        other.add([frame(f"f{number % 20}")], [box(f"f{number % 20}", f"l{number}")])

    def tidy(other: lakehouse.Dataset, _: int) -> None:
        other.compact()
        other.collect_garbage(
            retention=timedelta(0), grace=timedelta(milliseconds=100), dry_run=False
        )

    threads = [threading.Thread(target=work, args=[step]) for step in (write, tidy)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(12):
            verification = dataset.verify(full=turn % 2 == 0)
            assert verification.is_sound, verification.problems.to_dicts()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert dataset.verify().is_sound


def test_inference_sets_are_verified_by_their_own_names(copied: Path) -> None:
    dataset = opened(copied)
    inferences = dataset.create_inference_set("model_a")
    inferences.add([box(f"f0{n}", "a", confidence=0.5) for n in range(5)])
    inferences.upsert_inferences([box("f01", "a", confidence=0.75)])
    inferences.compact()
    assert inferences.verify().is_sound
    assert opened(copied).verify().is_sound  # with a pin among its tags
    collection = inferences._collection
    path = f"{collection.table_path('labels')}/"
    path += next(iter(collection.state("labels", collection.head().version).files))
    collection.store.put(path, b"nonsense")

    result = run(copied, "--json", "run", "verify")

    printed = json.loads(result.stdout)
    assert printed["cells/hela"]["sound"]
    (problem,) = printed["cells/hela/model_a"]["problems"]
    assert (problem["table"], problem["file"]) == ("inferences", path)
