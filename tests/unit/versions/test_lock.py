"""A lock names exactly one content, wherever and whenever it is opened."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import lakehouse
from lakehouse.cli import app
from lakehouse.errors import FormatError, InvalidInputError, NotFoundError
from tests.rows import box, frame


@pytest.fixture
def dataset(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add(
        [frame(f"f{n}", user__split="train" if n % 2 else "val") for n in range(6)],
        [box(f"f{n}", "a", width=n + 1.0) for n in range(6)],
    )
    dataset.upsert_labels([box("f1", "b")])
    dataset.delete(["f2"])
    return dataset


def rows(snapshot: lakehouse.Snapshot) -> pl.DataFrame:
    return snapshot.labels().sort("frame_id", "label_id").collect()


def test_a_lock_says_what_the_content_is(dataset: lakehouse.Dataset) -> None:
    snapshot = dataset.at(2)

    lock = snapshot.lock()

    assert json.loads(json.dumps(lock)) == lock
    assert lock["format"] == 1
    assert (lock["project"], lock["dataset"], lock["version"]) == ("cells", "hela", 2)
    assert (lock["inference_set"], lock["author"]) == (None, "mira")
    assert lock["fingerprint"] == snapshot.fingerprint
    assert lock["root"] == dataset._collection.store.root
    entry = dataset._collection.ledger.read(2)
    assert lock["tables"]["labels"] == {
        "rows": 7,
        "fingerprint": entry.fingerprint["labels"],
    }
    assert lock["filters"] == lock["selected"] == {}


def test_what_was_locked_is_opened(dataset: lakehouse.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "hela.lock.json"
    lock = dataset.at(1).lock(path)

    for source in (lock, path, str(path)):
        snapshot = lakehouse.open_lock(source)
        assert snapshot.version == 1
        assert rows(snapshot).equals(rows(dataset.at(1)))


def test_a_part_of_a_version_is_locked_with_the_conditions(
    dataset: lakehouse.Dataset,
) -> None:
    part = dataset.at(1).filter(
        frames=(pl.col("user__split") == "train")
        & pl.col("frame_id").is_in(["f1", "f3", "f4"]),
        labels=pl.col("width") > 2.0,
    )

    snapshot = lakehouse.open_lock(json.loads(json.dumps(part.lock())))

    assert snapshot.counts == {"frames": 2, "labels": 1}
    assert_frame_equal(snapshot.frames().collect(), part.frames().collect())
    assert_frame_equal(rows(snapshot), rows(part))


def test_conditions_that_call_python_are_refused(dataset: lakehouse.Dataset) -> None:
    part = dataset.at(1).filter(
        frames=pl.col("frame_id").map_batches(lambda names: names == "f1")
    )

    with pytest.raises(InvalidInputError, match="calls a function of Python"):
        part.lock()


def test_code_in_a_lock_is_never_run(dataset: lakehouse.Dataset) -> None:
    lock = dataset.at(1).lock()
    hidden = {"AnonymousFunction": {"input": [{"Column": "a"}], "function": [80, 76]}}
    lock["filters"] = {"frames": json.dumps({"Alias": [hidden, "x"]})}

    with pytest.raises(FormatError, match="never holds"):
        lakehouse.open_lock(lock)


def test_a_condition_that_this_polars_cannot_read(dataset: lakehouse.Dataset) -> None:
    lock = dataset.at(1).lock() | {"filters": {"labels": "[]"}, "polars": "9.9.9"}

    with pytest.raises(FormatError, match=r"written by 9\.9\.9"):
        lakehouse.open_lock(lock)


def test_conditions_that_select_something_else_are_refused(
    dataset: lakehouse.Dataset,
) -> None:
    lock = dataset.at(1).filter(labels=pl.col("width") > 2.0).lock()
    lock["selected"]["labels"] = 5

    with pytest.raises(NotFoundError, match="select") as refused:
        lakehouse.open_lock(lock)

    assert refused.value.kind == "lock.differs"


def test_the_error_names_each_table_that_differs(dataset: lakehouse.Dataset) -> None:
    lock = dataset.at(2).lock()
    lock["tables"]["labels"] = {"rows": 9, "fingerprint": "ab" * 16}

    with pytest.raises(NotFoundError) as refused:
        lakehouse.open_lock(lock)

    assert refused.value.kind == "lock.differs"
    message = str(refused.value)
    assert "labels has 7 rows" in message
    assert "locked were 9" in message
    assert "frames has" not in message
    assert "No version here" in message


def test_the_version_that_has_the_content_is_named(dataset: lakehouse.Dataset) -> None:
    lock = dataset.at(2).lock() | {"version": 3}

    with pytest.raises(NotFoundError, match="Version 2 has exactly what was locked"):
        lakehouse.open_lock(lock)


@pytest.mark.parametrize(
    "change", [{"version": 99}, {"dataset": "nothing"}, {"project": "nothing"}]
)
def test_a_missing_version_raises_not_found(
    dataset: lakehouse.Dataset, change: dict[str, Any]
) -> None:
    with pytest.raises(NotFoundError, match="is not there") as refused:
        lakehouse.open_lock(dataset.at(2).lock() | change)

    assert refused.value.kind == "lock.missing"


def test_a_lock_of_a_newer_release_is_refused(dataset: lakehouse.Dataset) -> None:
    with pytest.raises(FormatError, match="Upgrade") as refused:
        lakehouse.open_lock(dataset.at(2).lock() | {"format": 99})

    assert refused.value.kind == "format.newer"


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"format": 1}'])
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(FormatError, match="no lock"):
        lakehouse.open_lock(path)


def test_a_lock_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no lock"):
        lakehouse.open_lock(tmp_path / "nothing.json")


def test_a_lake_that_was_moved_is_named(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    lock, before = dataset.at(2).lock(), rows(dataset.at(2))
    shutil.move(dataset._collection.store.root, tmp_path / "elsewhere")

    with pytest.raises(NotFoundError, match="give open_lock"):
        lakehouse.open_lock(lock)

    assert rows(lakehouse.open_lock(lock, root=tmp_path / "elsewhere")).equals(before)


def test_a_lock_outlives_compaction_and_collection(dataset: lakehouse.Dataset) -> None:
    lock, before = dataset.at(1).lock(), rows(dataset.at(1))
    dataset.compact()
    shutil.rmtree(f"{dataset._collection.store.root}/{dataset._collection.path}/leases")
    collected = dataset.collect_garbage(
        retention=timedelta(0), grace=timedelta(0), dry_run=False
    )
    assert 1 in collected.closed

    snapshot = lakehouse.open_lock(lock)

    assert rows(snapshot).equals(before)
    assert snapshot.lock() == lock


def heights(snapshot: lakehouse.Snapshot) -> tuple[int, int, dict[str, Any]]:
    return (
        snapshot.frames().collect().height,
        snapshot.labels().collect().height,
        snapshot.lock(),
    )


def test_an_opened_lock_goes_to_another_process(dataset: lakehouse.Dataset) -> None:
    part = dataset.at(1).filter(frames=pl.col("user__split") == "train")
    snapshot = lakehouse.open_lock(part.lock())

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        frames, labels, lock = pool.apply(heights, [snapshot])

    assert (frames, labels) == (3, 3)
    assert lock == part.lock()


def test_a_lock_is_opened_by_another_process(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "lock.json"
    dataset.at(2).lock(path)
    code = f"import lakehouse; print(lakehouse.open_lock({str(path)!r}).counts)"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == str({"frames": 6, "labels": 7})


def test_an_inference_set_is_locked_too(dataset: lakehouse.Dataset) -> None:
    inferences = dataset.create_inference_set("model_a")
    inferences.add([box("f1", "a", confidence=0.5)])

    lock = inferences.latest().lock()

    assert lock["inference_set"] == "model_a"
    assert lock["tables"]["inferences"]["rows"] == 1
    assert lakehouse.open_lock(lock).inferences().collect().height == 1


def test_the_command_writes_a_lock(dataset: lakehouse.Dataset, tmp_path: Path) -> None:
    path, root = tmp_path / "hela.lock.json", dataset._collection.store.root

    result = CliRunner().invoke(
        app, ["--root", root, "--json", "lock", "cells/hela@2", "-o", str(path)]
    )

    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(path.read_text(encoding="utf-8"))
    assert lakehouse.open_lock(path).version == 2


@pytest.mark.s3
def test_a_lock_on_s3_holds_no_credentials(
    s3_root: str, s3_options: dict[str, str]
) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame("f1")], [box("f1", "a")])

    lock = dataset.latest().lock()

    assert lock["root"] == s3_root
    assert "testtest" not in json.dumps(lock)
    snapshot = lakehouse.open_lock(lock, storage_options=s3_options)
    assert snapshot.counts == {"frames": 1, "labels": 1}
