"""Metrics of an inference set: against the pinned labels, whatever happens later."""

import random
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.ledger.single_table import SingleTable
from lakehouse.testing.rows import exact
from tests.rows import box, frame

NOW = timedelta(0)


def guess(frame_id: str, label_id: str, **fields: Any) -> dict[str, Any]:
    return box(frame_id, label_id, **({"confidence": 0.9} | fields))


@pytest.fixture
def labelled(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    frames = [frame(f"f{n}", width=100, height=100) for n in range(3)]
    dataset.add(frames, [box(f"f{n}", "a", width=10.0, height=10.0) for n in range(3)])
    return dataset


@pytest.fixture
def model(labelled: lakehouse.Dataset) -> lakehouse.InferenceSet:
    """One hit, one miss by class, one frame that was not seen."""
    made = labelled.create_inference_set("model_a")
    sides = {"width": 10.0, "height": 10.0}
    made.add(
        [
            guess("f0", "x", **sides),
            guess("f1", "x", **sides | {"class_name": "debris"}),
        ]
    )
    return made


def summary(metrics: Any) -> dict[str, Any]:
    record: dict[str, Any] = metrics.to_dict()
    return record


def forget(dataset: lakehouse.Dataset, name: str = "model_a") -> None:
    """Empty the table of what was computed before."""
    where = Path(dataset._collection.store.root) / dataset._collection.path
    shutil.rmtree(where / "inference_sets" / name / "metrics", ignore_errors=True)


def in_another_process(dataset: lakehouse.Dataset) -> str:
    """The metrics as text, computed by a process that knows nothing."""
    script = (
        "import json, lakehouse, sys\n"
        "dataset = lakehouse.connect(sys.argv[1]).project('cells').dataset('hela')\n"
        "print(repr(dataset.inference_set('model_a').metrics().to_dict()))"
    )
    root = dataset._collection.store.root
    done = subprocess.run(
        [sys.executable, "-c", script, root], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def edit(dataset: lakehouse.Dataset, draw: random.Random) -> None:
    """One change of any kind to frames and labels, those of the pin too."""
    frame_id = f"f{draw.randrange(5)}"
    label = {"frame_id": frame_id, "label_id": "a", "width": draw.uniform(1, 50)}
    draw.choice(
        [
            lambda: dataset.add([frame(frame_id)], [box(frame_id, "a")]),
            lambda: dataset.modify(labels=[label]),
            lambda: dataset.upsert_labels([box(frame_id, "b", class_name="debris")]),
            lambda: dataset.delete([frame_id]),
            lambda: dataset.delete(labels=[{"frame_id": frame_id, "label_id": "a"}]),
            lambda: dataset.restore(draw.randrange(dataset.version + 1)),
            dataset.compact,
        ]
    )()


def test_f02_f49_metrics_stay_bit_equal_whatever_is_done_to_the_dataset(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    before = summary(model.metrics())

    draw = random.Random(7)
    for _ in range(100):
        edit(labelled, draw)
    labelled.compact()
    labelled.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    forget(labelled)

    assert exact(summary(model.metrics())) == exact(before)
    forget(labelled)
    assert in_another_process(labelled) == repr(before)
    assert in_another_process(labelled) == repr(before)


def test_better_labels_are_asked_with_at(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    labelled.upsert_labels(
        [box("f1", "a", class_name="debris", width=10.0, height=10.0)]
    )

    at_pin, mended = model.metrics(), model.metrics(at="latest")

    assert at_pin.compare(mended).changes().height > 0
    assert summary(model.metrics()) == summary(at_pin)
    model.repin("latest")
    assert summary(model.metrics()) == summary(mended)
    (move,) = model.pins().to_dicts()
    figures = {row["metric"]: (row["before"], row["after"]) for row in move["metrics"]}
    assert figures["tp"] == (1.0, 2.0)
    assert figures["precision"] == (0.5, 1.0)
    (cause,) = (
        at_pin.compare(mended).causes().filter(cause="label class changed").to_dicts()
    )
    assert (cause["class_this"], cause["class_other"], cause["count"]) == (
        "cell",
        "debris",
        1,
    )


def test_frames_that_the_model_did_not_see_are_left_out_unless_asked_for(
    model: lakehouse.InferenceSet,
) -> None:
    seen, every = model.metrics(), model.metrics(frames="all")

    assert (seen.counts["frames"], every.counts["frames"]) == (2, 3)
    assert seen.counts["frames that the model did not see"] == 1


def test_metrics_of_an_earlier_version_of_the_set(
    model: lakehouse.InferenceSet,
) -> None:
    before = summary(model.metrics())
    model.delete(["f0"])

    assert summary(model.metrics(version=1)) == before
    assert summary(model.metrics()) != before


def test_metrics_refuse_while_the_pin_waits(labelled: lakehouse.Dataset) -> None:
    lake = lakehouse.connect(store=labelled._collection.store, merge="deferred")
    deferred = lake.project("cells").dataset("hela")
    deferred.add([frame("f9")])

    with pytest.raises(lakehouse.ConflictError, match="wait to be merged"):
        deferred.create_inference_set("early").metrics()


# --------------------------------- REMEMBERED --------------------------------- #


def kept(model: lakehouse.InferenceSet) -> pl.DataFrame:
    """What a table reads of metrics that were computed."""
    collection = model._collection
    path = f"{collection.path}/metrics"
    return SingleTable(collection.store, path, "metrics").rows()


def test_metrics_are_computed_once_for_each_question(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    first = model.metrics()
    again = model.metrics()
    model.metrics(iou=0.7)
    model.metrics(confidence=0.95)

    assert repr(again) == repr(first)
    rows = kept(model)
    assert rows.height == 3
    assert set(rows["labels_version"]) == {model.pin}
    labelled.upsert_labels([box("f0", "z")])
    model.metrics()
    assert kept(model).height == 3
    model.metrics(at="latest")
    model.add([guess("f2", "x")])
    model.metrics()
    assert kept(model).height == 5


def test_cached_metrics_have_everything_that_was_computed(
    model: lakehouse.InferenceSet,
) -> None:
    fresh = model.metrics(cached=False)
    assert kept(model).height == 0
    model.metrics()
    again = model.metrics()

    assert repr(again.to_dict()) == repr(fresh.to_dict())
    assert again.per_class().equals(fresh.per_class())
    assert again.confusion().equals(fresh.confusion())
    assert again.no_ground_truth.equals(fresh.no_ground_truth)
    assert again.matches().equals(fresh.matches())
    assert again.per_frame().equals(fresh.per_frame())
    assert again.frames.equals(fresh.frames)
    assert again.slices("width").equals(fresh.slices("width"))
    assert again.curve().equals(fresh.curve())
    assert fresh.compare(again).changes().height == 0


def test_a_class_that_is_added_or_renamed_asks_anew(
    project: lakehouse.Project, model: lakehouse.InferenceSet
) -> None:
    before = model.metrics()

    project.rename_class("debris", "dirt")

    assert before.per_class()["class_name"].to_list() == ["cell", "debris"]
    assert model.metrics().per_class()["class_name"].to_list() == ["cell", "dirt"]
    assert model.metrics()["tp"] == before["tp"]


def test_plain_engines_read_what_was_computed(
    model: lakehouse.InferenceSet,
) -> None:
    metrics = model.metrics()

    store, path = model._collection.store, model._collection.path
    rows = pl.scan_delta(store.uri(f"{path}/metrics")).collect()
    figures = rows["figures"].str.json_path_match("$.tp").cast(pl.Int64)
    assert figures.to_list() == [metrics["tp"]]
    assert model.verify().is_sound
    model.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    assert kept(model).height == 1


def test_a_binary_task_knows_its_negative_class(lake: lakehouse.Lake) -> None:
    project = lake.create_project(
        "binary",
        classes=["fine", "broken"],
        task="BINARY_CLASSIFICATION",
        metadata={"binary_classification_negative_class": "fine"},
    )
    dataset = project.create_dataset("parts")
    kind = {"label_id": "a", "label_type": "CLASSIFICATION_2D"}
    truth = {"f0": "fine", "f1": "broken"}
    dataset.add(
        [frame(name) for name in truth],
        [
            kind | {"frame_id": name, "class_name": answer}
            for name, answer in truth.items()
        ],
    )
    model = dataset.create_inference_set("model")
    model.add(
        [kind | {"frame_id": "f1", "class_name": "broken", "confidence": 0.9}],
        ["f0", "f1"],
    )

    assert model.metrics()["accuracy"] == 1.0


def test_metrics_of_a_segment_are_those_of_its_frames(
    project: lakehouse.Project,
    labelled: lakehouse.Dataset,
    model: lakehouse.InferenceSet,
) -> None:
    segment = project.create_segment("night", type="scenario", element_type="frame")
    with pytest.raises(lakehouse.InvalidInputError, match="no frames"):
        model.metrics(segment=segment)
    segment.add(labelled, frames=["f0"])
    segment.set_thresholds({"precision": 0.9, "recall": 0.9})

    metrics = model.metrics(segment=segment)

    assert (metrics["tp"], metrics["fn"], metrics.counts["frames"]) == (1, 0, 1)
    assert repr(model.metrics(segment=segment)) == repr(metrics)
    assert segment.passes(metrics)["passed"].all()
    assert not segment.passes(model.metrics())["passed"].all()
    segment.add(labelled, frames=["f1", "f2"])
    assert model.metrics(segment=segment)["tp"] == 1
    assert model.metrics(segment=segment).counts["frames"] == 2
    every = model.metrics(segment=segment, frames="all")
    assert every.counts["frames"] == 3
