"""Uploads are watched: which there are, how they stand, what became of each item."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def deferred(lake_root: str, dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    later = lakehouse.connect(lake_root, author="noor", merge="deferred")
    return later.project("cells").dataset(dataset.name)


def outcomes(upload: lakehouse.Upload) -> list[tuple[str, str | None, str, int]]:
    return upload.items().drop("op").rows()


# ---------------------------------- LISTS ----------------------------------- #


def test_a_project_lists_uploads_to_everything_in_it_newest_first(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    first = dataset.add([frame("f1")], [box("f1", "a")], message="one")
    model = dataset.create_inference_set("model_a")
    second = model.add([box("f1", "x", confidence=0.5)])

    rows = project.uploads()

    assert rows["upload_id"].to_list() == [second.id, first.id]
    assert rows["target"].to_list() == ["cells/hela/model_a", "cells/hela"]
    first_row = rows.row(1, named=True)
    assert (first_row["author"], first_row["message"], first_row["status"]) == (
        "mira",
        "one",
        "DONE",
    )
    assert (
        first_row["frame_count"],
        first_row["label_count"],
        first_row["accepted"],
    ) == (1, 1, 1)
    assert first_row["submitted_at"] < first_row["settled_at"]
    assert project.upload(second.id).id == second.id


def test_batches_and_streams_are_listed_apart(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    streamed = dataset.add([frame("f1")])
    batch = project.create_dataset("fixed", mode="BATCH").add([frame("f1")])

    ids = {
        mode: project.uploads(mode=mode)["upload_id"].to_list()
        for mode in ("STREAMING", "BATCH")
    }

    assert ids == {"STREAMING": [streamed.id], "BATCH": [batch.id]}


def test_uploads_are_listed_by_status(
    project: lakehouse.Project, deferred: lakehouse.Dataset, dataset: lakehouse.Dataset
) -> None:
    partial = dataset.add([frame("f1"), frame("f2", latitude=91.0)])
    failed = dataset.add([frame("f3", latitude=91.0)])
    waiting = deferred.add([frame("f4")], message="later")

    def listed(status: Any) -> list[str]:
        assert dataset.uploads(status=status).equals(
            project.uploads(status=status), null_equal=True
        )
        return project.uploads(status=status)["upload_id"].to_list()

    assert [listed(one) for one in ("PARTIAL", "FAILED", "PENDING", "DONE")] == [
        [partial.id],
        [failed.id],
        [waiting.id],
        [],
    ]
    (row,) = project.uploads(status="PENDING").to_dicts()
    assert (row["author"], row["message"], row["mode"]) == (
        "noor",
        "later",
        "STREAMING",
    )
    assert row["version"] is None
    with pytest.raises(lakehouse.InvalidInputError, match="PENDING, DONE"):
        project.uploads(status="GOOD")  # type: ignore[arg-type]
    with pytest.raises(lakehouse.InvalidInputError, match="STREAMING"):
        project.uploads(mode="FAST")  # type: ignore[arg-type]


def test_a_dataset_is_processing_until_what_waits_is_merged(
    deferred: lakehouse.Dataset, dataset: lakehouse.Dataset
) -> None:
    waiting = deferred.add([frame("f1")])

    seen = [(dataset.is_processing, outcomes(waiting))]
    dataset.merge_pending()
    seen.append((dataset.is_processing, outcomes(waiting)))

    assert seen == [
        (True, [("f1", None, "pending", 0)]),
        (False, [("f1", None, "landed", 0)]),
    ]


# ---------------------------------- ITEMS ----------------------------------- #


def test_every_item_has_its_outcome(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("same"), frame("gone")], [box("gone", "z")])

    with dataset.open_upload() as draft:
        draft.add(
            [frame("new"), frame("same"), frame("bad")],
            [
                box("new", "a"),
                box("bad", "b", width=0.0),
                box("bad", "c"),
            ],
        )
        draft.delete(["gone", "never"])
    assert draft.upload is not None

    assert outcomes(draft.upload) == [
        ("bad", None, "rejected", 0),
        ("bad", "b", "rejected", 1),
        ("bad", "c", "rejected", 0),
        ("gone", None, "landed", 0),
        ("gone", "z", "landed", 0),
        ("never", None, "unchanged", 1),
        ("new", None, "landed", 0),
        ("new", "a", "landed", 0),
        ("same", None, "unchanged", 0),
    ]


def test_what_was_left_out_is_an_item_when_the_rows_are_gone(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add([frame("f1")], [box("f1", "a")])

    sent = dataset.modify(
        labels=[
            {"frame_id": "f1", "label_id": "a", "width": 9.0},
            {"frame_id": "f1", "label_id": "none", "width": 9.0},
        ]
    )

    assert sent.status == "DONE"
    assert outcomes(sent) == [
        ("f1", "a", "landed", 0),
        ("f1", "none", "unchanged", 1),
    ]


def test_a_new_vector_is_an_item_that_landed(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", embedding=[1.0, 2.0])])

    sent = dataset.modify([{"frame_id": "f1", "embedding": [3.0, 4.0]}])

    assert outcomes(sent) == [("f1", None, "landed", 0)]


# ----------------------------- PROBLEMS AND VALUES --------------------------- #


@pytest.mark.parametrize(
    ("fields", "path", "value"),
    [
        ({"latitude": 91.0, "longitude": 0.0}, "latitude", 91.0),
        ({"width": "wide"}, "width", "wide"),
        ({"date_captured": "yesterday"}, "date_captured", "yesterday"),
        ({"user__split": {"a": 1}}, "user__split", {"a": 1}),
        ({"embedding": [1.0]}, "embedding", [1.0]),
        (
            {"sensors": [{"sensor_type": "RADAR"}]},
            "sensors",
            [{"sensor_type": "RADAR"}],
        ),
    ],
)
def test_an_error_shows_the_value_at_fault(
    dataset: lakehouse.Dataset, fields: dict[str, Any], path: str, value: object
) -> None:
    (row,) = dataset.add([frame("f1") | fields]).errors().to_dicts()

    assert row["path"] == f"frames['f1'].{path}"
    assert json.loads(row["value"]) == value


def test_values_of_problems_of_the_merge_are_shown_too(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add([frame("f0", user__split="train")])

    sent = dataset.add(
        [frame("f1", user__split=3), frame("f2"), frame("f3", user__split="test")],
        [box("f2", "a", class_name="celery")],
    )

    values = sent.errors().select("path", "value").rows()
    assert values == [
        ("frames['f1'].user__split", "3"),
        ("labels['a'].class_name", '"celery"'),
    ]


def test_a_problem_of_a_whole_item_has_no_value(dataset: lakehouse.Dataset) -> None:
    errors = dataset.modify([{"frame_id": "none", "device_id": "cam"}]).errors()

    assert errors.select("path", "value", "severity").rows() == [
        ("frames['none']", None, "error")
    ]


def test_values_go_with_the_rows_and_problems_stay(dataset: lakehouse.Dataset) -> None:
    sent = dataset.add([frame("f1", latitude=91.0, longitude=0.0)])
    assert sent.errors()["value"].to_list() == ["91.0"]

    staging = dataset._collection.staging
    staging.remove(staging.manifest(sent.id))

    assert sent.errors().select("path", "value").rows() == [
        ("frames['f1'].latitude", None)
    ]


def test_two_problems_of_one_value_both_show_it(
    dataset: lakehouse.Dataset,
) -> None:
    sent = dataset.add(
        [frame("f1"), frame("f2")],
        [box("f1", "a", width=0.0, height=-1.0), box("f2", "a", width=0.0)],
    )

    assert sent.errors().select("frame_id", "path", "value").rows() == [
        ("f1", "labels['a'].width", "0.0"),
        ("f1", "labels['a'].height", "-1.0"),
        ("f2", "labels['a'].width", "0.0"),
    ]


def test_downloaded_errors_say_what_to_send_again(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    good, bad = frame("f1"), frame("f2", latitude=91.0, longitude=7.0)
    sent = dataset.add([good, bad])
    sent.errors().write_csv(tmp_path / "errors.csv")
    sent.errors().write_ndjson(tmp_path / "errors.jsonl")

    stored = pl.read_csv(tmp_path / "errors.csv", infer_schema=False)
    assert stored.rows() == pl.read_ndjson(tmp_path / "errors.jsonl").rows()
    again = [
        row | {"latitude": 9.1}
        for row in (good, bad)
        if row["frame_id"] in stored["frame_id"]
    ]
    retry = sent.retry(again)

    assert (retry.status, retry.retry_of) == ("DONE", sent.id)
    assert dataset.latest().counts["frames"] == 2


# --------------------------------- PROGRESS --------------------------------- #


class Heard:
    """What a writing call reports of its progress."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.calls.append((stage, done, total))

    def of(self, stage: str) -> Sequence[tuple[int, int]]:
        return [(done, total) for one, done, total in self.calls if one == stage]


def test_a_write_tells_how_far_it_is(dataset: lakehouse.Dataset) -> None:
    heard = Heard()

    dataset.add([frame("f1")], [box("f1", "a"), box("f1", "b")], progress=heard)

    assert heard.of("staging") == [(0, 3), (1, 3), (3, 3)]
    assert heard.of("merging") == [(0, 1), (1, 1)]


def test_a_merge_tells_how_many_uploads_are_left(
    deferred: lakehouse.Dataset, dataset: lakehouse.Dataset
) -> None:
    for number in range(3):
        deferred.add([frame("f1", device_id=str(number))])
    heard = Heard()

    dataset.merge_pending(progress=heard)

    assert heard.of("merging") == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_large_upload_reports_progress_file_by_file(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.ledger.staging.file_rows", lambda _: 4_000)
    rows = pl.DataFrame({"frame_id": [f"f{n:05}" for n in range(10_000)]})
    heard = Heard()

    dataset.add(rows.with_columns(image_url=pl.col("frame_id")), progress=heard)

    total = 10_000
    assert [done for done, _ in heard.of("staging")] == [0, 4_000, 8_000, total]
    assert {all_ for _, all_ in heard.of("staging")} == {total}
