"""Work queues: elements go into batches of 100, which people take one by one."""

import json

import pytest
from typer.testing import CliRunner

import lakehouse
from lakehouse.cli import app
from tests.rows import frame


@pytest.fixture
def queue(project: lakehouse.Project, dataset: lakehouse.Dataset) -> lakehouse.Segment:
    dataset.add([frame(f"f{n:03}") for n in range(260)])
    return project.create_segment("relabel", type="work_queue", element_type="frame")


def sizes(segment: lakehouse.Segment) -> dict[str, int]:
    return dict(segment.batches().select("batch", "elements").iter_rows())


def names(start: int, end: int) -> list[str]:
    return [f"f{n:03}" for n in range(start, end)]


def test_elements_of_a_work_queue_go_into_batches_of_a_hundred(
    queue: lakehouse.Segment, dataset: lakehouse.Dataset
) -> None:
    queue.add(dataset, frames=names(0, 250))

    assert sizes(queue) == {"batch_1": 100, "batch_2": 100, "batch_3": 50}
    assert set(queue.batches()["status"]) == {"queued"}
    first = queue.tracking().filter(batch="batch_1")["frame_id"].to_list()
    assert first == names(0, 100)


def test_a_batch_is_filled_up_until_somebody_works_on_it(
    queue: lakehouse.Segment, dataset: lakehouse.Dataset
) -> None:
    queue.add(dataset, frames=names(0, 3), batch_size=4)
    queue.add(dataset, frames=names(2, 5), batch_size=4)
    assert sizes(queue) == {"batch_1": 4, "batch_2": 1}

    queue.assign_batch("batch_2", "noor")
    queue.add(dataset, frames=names(5, 50), batch_size=4)

    counts = sizes(queue)
    assert list(counts)[:3] == ["batch_1", "batch_2", "batch_3"]
    assert (counts["batch_2"], counts["batch_3"], counts["batch_14"]) == (1, 4, 1)
    assert list(counts)[-1] == "batch_14"


def test_a_batch_is_queued_then_assigned_then_done(
    queue: lakehouse.Segment, dataset: lakehouse.Dataset
) -> None:
    queue.add(dataset, frames=names(0, 4), batch_size=2)

    assert queue.assign_batch("batch_1", "noor") == 2
    assert queue.assign_batch("batch_1", "noor") == 0
    queue.set_status(["f000"], "done")
    batches = queue.batches().to_dicts()
    assert batches[0] == {
        "batch": "batch_1",
        "elements": 2,
        "done": 1,
        "assignees": ["noor"],
        "status": "assigned",
    }
    assert batches[1]["status"] == "queued"
    queue.set_status(["f001"], "done")
    assert queue.batches()["status"].to_list() == ["done", "queued"]
    queue.assign_batch("batch_1", None)
    assert queue.batches()["assignees"].to_list() == [[], []]


def test_other_segments_have_batches_when_asked(
    project: lakehouse.Project, queue: lakehouse.Segment, dataset: lakehouse.Dataset
) -> None:
    plain = project.create_segment("plain", element_type="frame")
    plain.add(dataset, frames=names(0, 3))
    assert not plain.batches().height
    plain.add(dataset, frames=names(3, 6), batch="mine")
    plain.add(dataset, frames=names(6, 9), batch_size=2)
    assert sizes(plain) == {"mine": 3, "batch_1": 2, "batch_2": 1}

    queue.add(dataset, frames=names(0, 2), batch="urgent")
    assert sizes(queue) == {"urgent": 2}


def test_an_unknown_batch_is_refused_with_the_nearest(
    queue: lakehouse.Segment, dataset: lakehouse.Dataset
) -> None:
    queue.add(dataset, frames=names(0, 2))

    with pytest.raises(lakehouse.InvalidInputError, match="Did you mean 'batch_1'"):
        queue.assign_batch("batch_2", "noor")
    for arguments in ({"batch_size": 0}, {"batch_size": 5, "batch": "x"}):
        with pytest.raises(lakehouse.InvalidInputError, match="give batch="):
            queue.add(dataset, frames=["f009"], **arguments)
    assert queue.count == 2


def test_batches_on_the_command_line(
    lake: lakehouse.Lake, queue: lakehouse.Segment, dataset: lakehouse.Dataset
) -> None:
    queue.add(dataset, frames=names(0, 2))
    start = ["--root", lake.root, "--json", "segment"]

    done = CliRunner().invoke(
        app, [*start, "assign", "cells", "relabel", "batch_1", "noor"]
    )
    assert json.loads(done.stdout)["changed"] == 2
    done = CliRunner().invoke(app, [*start, "batches", "cells", "relabel"])
    (batch,) = json.loads(done.stdout)
    assert (batch["assignees"], batch["status"]) == (["noor"], "assigned")
