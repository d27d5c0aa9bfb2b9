"""Metrics of an inference set: against the pinned labels, whatever happens later."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

import lakehouse
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
    found: dict[str, Any] = metrics.to_dict()
    return found


def test_f49_metrics_are_those_of_the_pinned_labels(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    before = summary(model.metrics())

    labelled.upsert_labels([box("f0", "a", class_name="debris")])
    labelled.delete(["f1"])
    labelled.compact()
    labelled.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert exact(summary(model.metrics())) == exact(before)
    script = (
        "import json, lakehouse, sys\n"
        "dataset = lakehouse.connect(sys.argv[1]).project('cells').dataset('hela')\n"
        "print(repr(dataset.inference_set('model_a').metrics().to_dict()))"
    )
    root = labelled.collection.store.root
    done = subprocess.run(
        [sys.executable, "-c", script, root], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == repr(before)


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


def test_frames_that_the_model_did_not_see_are_left_out_unless_asked_for(
    model: lakehouse.InferenceSet,
) -> None:
    seen, every = model.metrics(), model.metrics(over="all")

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
    lake = lakehouse.connect(store=labelled.collection.store, merge="deferred")
    deferred = lake.project("cells").dataset("hela")
    deferred.add([frame("f9")])

    with pytest.raises(lakehouse.ConflictError, match="wait to be merged"):
        deferred.create_inference_set("early").metrics()
