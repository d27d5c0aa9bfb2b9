"""Versions, history and snapshots."""

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def changed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add(
        [frame("f1", user__n=1), frame("f2")],
        [box("f1", "a"), box("f2", "a")],
        message="first",
    )
    dataset.modify([{"frame_id": "f1", "user__n": 2}], [box("f1", "a", width=8.0)])
    dataset.delete(["f1"])
    return dataset


def test_f03_versions_are_read_by_number_and_by_time(
    changed: lakehouse.Dataset,
) -> None:
    times = changed.versions()["time"].to_list()

    assert [changed.at(n).counts["frames"] for n in range(4)] == [0, 2, 2, 1]
    assert changed.at(times[2]).version == 2
    assert changed.at(times[2] + timedelta(microseconds=1)).version == 2
    assert changed.at(times[1].isoformat()).version == 1
    assert changed.at("latest").version == changed.version == 3


def test_references_that_mean_nothing_are_refused(changed: lakehouse.Dataset) -> None:
    with pytest.raises(lakehouse.NotFoundError, match="0 to 3"):
        changed.at(4)
    with pytest.raises(lakehouse.NotFoundError):
        changed.at(-1)
    with pytest.raises(lakehouse.NotFoundError, match="baseline"):
        changed.at("baseline")
    with pytest.raises(lakehouse.InvalidInputError, match="time zone"):
        changed.at(datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    with pytest.raises(lakehouse.NotFoundError, match="no version at"):
        changed.at(datetime(2020, 1, 1, tzinfo=UTC))


def test_f05_f06_history_tells_every_change_with_values(
    changed: lakehouse.Dataset,
) -> None:
    history = changed.history("f1")

    frames = history.filter(table="frames")
    assert frames["version"].to_list() == [1, 2, 3]
    assert frames["op"].to_list() == ["ADD", "MODIFY", "DELETE"]
    assert frames["message"].to_list() == ["first", None, None]
    assert frames["changed"][1].to_list() == [
        {"field": "user__n", "before": "1", "after": "2"}
    ]
    labels = changed.history("f1", label_id="a")
    assert labels["changed"][1].to_list() == [
        {"field": "width", "before": "3.0", "after": "8.0"}
    ]
    with pytest.raises(lakehouse.NotFoundError, match="never was"):
        changed.history("f9")


def test_f17_versions_have_time_author_and_message(changed: lakehouse.Dataset) -> None:
    versions = changed.versions()

    assert versions["version"].to_list() == [0, 1, 2, 3]
    assert versions["author"].to_list() == ["mira"] * 4
    assert versions["uploads"].list.len().to_list()[1:] == [1, 1, 1]
    assert versions["time"].is_sorted()


def test_a_snapshot_is_valid_in_another_process(
    changed: lakehouse.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "snapshot").write_bytes(pickle.dumps(changed.at(1)))
    changed.add([frame("f3")])
    code = (
        "import pickle, sys; s = pickle.load(open(sys.argv[1], 'rb'));"
        "print(s.version, s.frames().collect().height, s.fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "snapshot")]

    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert printed.split() == ["1", "2", changed.at(1).fingerprint]


def test_what_a_snapshot_returns_can_be_written_again(
    changed: lakehouse.Dataset,
) -> None:
    before = changed.latest()

    upload = changed.add(before.frames(provenance=True), before.labels(provenance=True))

    assert (upload.status, upload.counts["unchanged"]) == ("DONE", 1)
    assert changed.latest().fingerprint == before.fingerprint


def test_a_filtered_snapshot_filters_labels_and_vectors(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add(
        [
            frame("f1", user__split="train", embedding=[1.0, 2.0]),
            frame("f2", embedding=[3.0, 4.0]),
        ],
        [box("f1", "a"), box("f1", "b", width=9.0), box("f2", "a")],
    )

    part = dataset.latest().filter(
        frames=pl.col("user__split") == "train", labels=pl.col("width") > 5
    )

    assert part.counts == {"frames": 1, "labels": 1}
    assert part.frame_embeddings().collect()["frame_id"].to_list() == ["f1"]


def test_equal_content_has_an_equal_fingerprint(project: lakehouse.Project) -> None:
    one, two = project.create_dataset("one"), project.create_dataset("two")
    one.add([frame("f1"), frame("f2")], [box("f1", "a")])
    two.add([frame("f2")])
    two.add([frame("f1")], [box("f1", "a", width=9.0)])
    assert one.latest().fingerprint != two.latest().fingerprint

    two.modify(labels=[box("f1", "a")])

    assert one.latest().fingerprint == two.latest().fingerprint
