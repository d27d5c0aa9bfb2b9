"""A thousand later edits, compaction and collection: elements are as they were, bit by bit."""

import io
from datetime import timedelta

import polars as pl
import pytest

import lakehouse
from tests.rows import box, frame

EDITS = 1_000
FRAMES = [f"f{n:02}" for n in range(12)]
NOW = timedelta(0)


def bits(segment: lakehouse.Segment) -> bytes:
    """All that is read of a segment's elements, as bytes: −0.0 is not 0.0."""
    written = io.BytesIO()
    segment.elements().rechunk().write_ipc(written, compression="uncompressed")
    if segment.element_type == "frame":
        segment.labels().rechunk().write_ipc(written, compression="uncompressed")
    return written.getvalue()


@pytest.mark.slow
def test_elements_are_bit_equal_after_a_thousand_edits(
    lake: lakehouse.Lake, project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    odd = [-0.0, 0.1 + 0.2, 1e-300, 2.0**53 + 1]
    dataset.add(
        [frame(name, user__at=odd[n % 4]) for n, name in enumerate(FRAMES)],
        [
            box(name, label, left=odd[n % 4], user__tags=[label])
            for n, name in enumerate(FRAMES)
            for label in "ab"
        ],
    )
    model = dataset.create_inference_set("model")
    model.add([box(name, "x", confidence=1 / 3) for name in FRAMES])
    # The pin keeps version 1 open; elements are of the next, which is collected.
    dataset.modify([{"frame_id": FRAMES[0], "user__at": -1.5}])
    added = dataset.version
    segments = {
        "frame": project.create_segment("frames", element_type="frame"),
        "label": project.create_segment("labels", element_type="label"),
        "inference": project.create_segment("guesses", element_type="inference"),
    }
    for kind, segment in segments.items():
        segment.add(model if kind == "inference" else dataset)
    was = {kind: bits(segment) for kind, segment in segments.items()}

    for edit in range(EDITS):
        name = FRAMES[edit % len(FRAMES)]
        if edit % 50 == 10:
            dataset.delete([name])
        elif edit % 50 == 20:
            dataset.add([frame(name, user__new=edit)], [box(name, "c")])
        elif edit % 10 == 3:
            model.add([box(name, "x", confidence=edit / EDITS)])
        else:
            dataset.upsert_labels(
                [box(name, "a", width=float(edit + 1))], message="edit"
            )
        if edit % 250 == 249:
            for one in (dataset, model):
                one.compact()
                one.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert dataset._collection.is_closed(added)
    assert model._collection.is_closed(1)
    again = lakehouse.connect(store=lake.store).project("cells")
    for kind, segment in segments.items():
        assert bits(again.segment(segment.id)) == was[kind]
        assert segment.out_of_date().height
    assert segments["frame"].elements().select(pl.len()).item() == len(FRAMES)
