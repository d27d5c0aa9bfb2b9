"""After many edits, compactions and collections, every element is as it was added.

Two hundred random edits; `EDITS=5000` makes more.
"""

import os
import random
from datetime import timedelta

import pytest

import lakehouse
from lakehouse.testing.invariants import assert_ledger_linear, assert_sound
from tests.rows import box, frame
from tests.unit.segments.expected import ExpectedSegment, rows_of

EDITS = int(os.environ.get("EDITS", "200"))
NOW = timedelta(0)
Source = lakehouse.Dataset | lakehouse.InferenceSet


def edit(
    dataset: lakehouse.Dataset, model: lakehouse.InferenceSet, draw: random.Random
) -> None:
    """One random change of the dataset or the inference set."""
    frames = [f"f{draw.randrange(8)}" for _ in range(draw.randint(1, 3))]
    frames = list(dict.fromkeys(frames))
    labels = [
        box(name, draw.choice("abc"), width=float(draw.randint(1, 4)))
        for name in frames
        if draw.random() < 0.8
    ]
    match draw.randrange(8):
        case 0:
            split = draw.choice(["train", "test", None])
            dataset.add([frame(name, user__split=split) for name in frames], labels)
        case 1 | 2:
            dataset.modify(
                [{"frame_id": name, "user__n": draw.randint(0, 2)} for name in frames],
                [row | {"user__by": draw.choice("xy")} for row in labels],
            )
        case 3 | 4:
            dataset.upsert_labels(labels)
        case 5:
            dataset.delete(frames[:1], message="out of focus")
        case 6:
            guesses = [row | {"confidence": draw.random()} for row in labels]
            model.add(guesses)
        case _:
            versions = dataset.versions()["version"].to_list()
            dataset.restore(draw.choice(versions))


def keep_house(
    dataset: lakehouse.Dataset, model: lakehouse.InferenceSet, draw: random.Random
) -> None:
    one = draw.choice([dataset, model])
    if draw.random() < 0.5:
        one.compact()
    else:
        one.collect_garbage(retention=NOW, grace=NOW, dry_run=False)


def touch(expected: ExpectedSegment, source: Source, draw: random.Random) -> None:
    """Add to a segment, and now and then remove from it, or refresh it."""
    version = source.version
    if draw.random() < 0.3:
        version = draw.choice(source.versions()["version"].to_list())
    snapshot = source.at(version)
    rows = rows_of(expected, snapshot)
    if draw.random() < 0.6 and rows:
        expected.add(snapshot, draw.sample(rows, min(3, len(rows))))
    if draw.random() < 0.1 and expected.rows:
        expected.remove(draw.choice(list(expected.rows)))
    if draw.random() < 0.1:
        expected.refresh(source.latest())


@pytest.mark.slow
def test_every_element_reads_as_it_was_added(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    draw = random.Random(20261125)
    dataset.add([frame(f"f{n}") for n in range(8)], [box("f1", "a")])
    model = dataset.create_inference_set("model")
    segments: list[tuple[ExpectedSegment, Source]] = [
        (
            ExpectedSegment(project.create_segment("frames", element_type="frame")),
            dataset,
        ),
        (
            ExpectedSegment(project.create_segment("labels", element_type="label")),
            dataset,
        ),
        (
            ExpectedSegment(
                project.create_segment("guesses", element_type="inference")
            ),
            model,
        ),
    ]

    for number in range(EDITS):
        edit(dataset, model, draw)
        expected, source = draw.choice(segments)
        touch(expected, source, draw)
        if draw.random() < 0.1:
            keep_house(dataset, model, draw)
        if number % 25 == 0:
            expected.check()
    dataset.compact()
    for one in (dataset, model):
        one.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    again = lakehouse.connect(store=dataset._collection.store).project("cells")
    for expected, source in segments:
        assert expected.rows
        expected.check()
        expected.segment = again.segment(expected.segment.id)
        expected.check()
        expected.refresh(source.latest())
        expected.check()
        assert set(expected.segment.out_of_date()["reason"]) <= {"deleted"}
    versions = dataset.versions()["version"].to_list()
    closed = [one for one in versions if dataset._collection.is_closed(one)]
    assert len(closed) > EDITS / 10
    for one in (dataset, model):
        assert_sound(one.latest())
        assert_ledger_linear(one)
