"""A lake in the format of November 2026, and what is read out of one.

`format_1.tar.xz` holds the lake that `write` wrote on 29 November 2026, with the
code as it was then, and `format_1.json` what `facts` read out of it. Neither is
ever written again: lakes like this lie on disks, and code that cannot read them
is wrong. A format that comes later gets files of its own beside these, written by
`python tests/behaviour/lakes/format_1.py FOLDER` and renamed. Nearly all calls are
of the public API, so that the same script runs under old and new code.
"""

import json
import shutil
import sys
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

import lakehouse
from lakehouse.ledger import prepared

NOW = timedelta(0)
LARGE_ROWS = 100

Row = dict[str, Any]
Collection = lakehouse.Dataset | lakehouse.InferenceSet


def connect(root: Path | str, **options: Any) -> lakehouse.Lake:
    """The lake, opened so that nothing happens behind the caller's back."""
    return lakehouse.connect(root, author="mira", compaction="manual", **options)


# ----------------------------------- ROWS ----------------------------------- #


def frame(number: int, **fields: Any) -> Row:
    return {
        "frame_id": f"f{number:02}",
        "image_url": f"f{number:02}.png",
        "width": 640,
        "height": 480,
        "device_id": f"cam{number % 2}",
        "date_captured": f"2026-01-{number + 1:02}T12:00:00Z",
        "user__split": "train" if number % 3 else "test",
        "embedding": [float(number), 1.0, -0.5],
    } | fields


def box(number: int, label_id: str, **fields: Any) -> Row:
    return {
        "frame_id": f"f{number:02}",
        "label_id": label_id,
        "class_name": "cell" if number % 2 else "debris",
        "top": 10.0 + number,
        "left": 20.0,
        "width": 30.0,
        "height": 40.0,
    } | fields


def odd_labels() -> list[Row]:
    """A label of every other geometry, and values of every type."""
    polygon = [[[0, 0], [9, 0], [9, 9]], [[2, 2], [4, 2], [4, 4]]]
    keypoints = [{"x": 1.0, "y": 2.0, "name": "tip"}]
    cuboid = {
        "position": [1.0, 2.0, 3.0],
        "dimensions": [1.0, 1.0, 0.5],
        "rotation": [0.0, 0.0, 0.0, 1.0],
    }
    fields: list[Row] = [
        {"polygons": polygon},
        {"keypoints": keypoints},
        {"label_type": "LINE_SEGMENT_2D", "x1": 0.0, "y1": 1.0, "x2": 2.0, "y2": 3.0},
        {"label_type": "CLASSIFICATION_2D"},
        {"index": 2, "token": "é", "visible": True},
        {"label_type": "SEMANTIC_LABEL_URL_2D", "mask_url": "mask.png"},
        {"label_type": "CUBOID_3D"} | cuboid,
    ]
    return [
        {"frame_id": "f01", "label_id": f"odd{n}", "class_name": "cell"} | geometry
        for n, geometry in enumerate(fields)
    ]


# ----------------------------------- WRITE ---------------------------------- #


def write(root: Path) -> None:
    """Write the lake: some of everything that the format can hold."""
    project = connect(root).create_project(
        "cells", task="2D_OBJECT_DETECTION", classes=["cell", "debris"]
    )
    dataset = project.create_dataset(
        "hela",
        frame_metadata={"split": "str", "tags": "list[str]"},
        label_metadata={"sure": "bool"},
        frame_embedding_model="model of frames",
        metadata={"origin": "microscope"},
    )
    _change(project, dataset)
    _infer(dataset)
    _choose(project, dataset)
    batch = project.create_dataset("fixed", mode="BATCH")
    _land(batch.add([frame(n) for n in range(3)], [box(n, "a") for n in range(3)]))
    project.rename_class("debris", "dirt")
    _land(dataset.upsert_labels([box(11, "c", class_name="dirt")]))
    # Made by the one thread that writes checkpoints of logs too, so that those
    # are there once the clone is.
    copy = dataset.clone("copy", at="baseline").wait()
    _land(copy.modify([{"frame_id": "f02", "user__split": "val"}]))
    _leave_pending(connect(root, merge="deferred").project("cells"))


def _land(upload: lakehouse.Upload) -> lakehouse.Upload:
    assert upload.status == "DONE", upload.errors().rows()
    return upload


def _change(project: lakehouse.Project, dataset: lakehouse.Dataset) -> None:
    """Every verb, then a collection of the files that only old versions need."""
    _land(
        dataset.add(
            [frame(n) for n in range(12)],
            [box(n, k, embedding=[0.5, float(n)]) for n in range(12) for k in "ab"],
            message="the first batch",
            metadata={"batch": 1},
        )
    )
    sensors = [
        {"sensor_id": "left", "sensor_type": "IMAGE_V0", "image_url": "left.png"},
        {"sensor_id": "note", "sensor_type": "TEXT", "text": "é"},
    ]
    tagged = {"frame_id": "s01", "sensors": sensors, "user__tags": ["a", "b"]}
    _land(dataset.add([tagged]))
    _land(dataset.upsert_labels(odd_labels()))
    dataset.checkpoint("baseline", message="before changes", metadata={"kind": 1})
    cleared = {"frame_id": "f02", "user__split": None, "user__n": 3}
    _land(dataset.modify([cleared], nulls="clear"))
    fields = [
        {"frame_id": "f03", "label_id": "a", "width": 31.5, "user__sure": True},
        {"frame_id": "f04", "label_id": "b", "user__any": [1, 2]},
    ]
    _land(dataset.modify(labels=fields))
    project.add_classes(["nucleus"])
    upserted = [box(5, "a", width=9.0), box(5, "new", class_name="nucleus")]
    _land(dataset.upsert_labels(upserted))
    dataset.compact()
    _land(dataset.delete(["f06"], message="out of focus"))
    _land(dataset.delete(labels=[{"frame_id": "f07", "label_id": "a"}]))
    partial = dataset.add(
        [frame(12), {"frame_id": "f13"}, frame(14, width=0)],
        [box(12, "a"), box(14, "a"), box(15, "a", class_name="cel")],
    )
    assert partial.status == "PARTIAL", partial.errors()
    failed = dataset.add([frame(16, width=0)])
    assert failed.status == "FAILED", failed.errors()
    _land(dataset.restore("baseline", message="all of it again"))
    with dataset.open_upload(message="many verbs") as draft:
        draft.add([frame(20, embedding=[8.0, 8.0, 8.0])], [box(20, "a")])
        draft.delete(["f08"])
    height = {"frame_id": "f09", "label_id": "a", "height": 1.5}
    undone = _land(dataset.modify(labels=[height]))
    _land(dataset.modify(labels=[height | {"frame_id": "f10"}]))
    _land(dataset.revert(undone))
    dataset.compact()
    collected = dataset.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    assert collected.closed, collected
    # Rows of files that stay die one by one: deletion vectors. Version 20 is among
    # these, and its logs get a checkpoint.
    for number in range(6):
        fields = [{"frame_id": f"f0{number}", "label_id": "b", "left": 5.0 + number}]
        _land(dataset.modify(labels=fields))


def _infer(dataset: lakehouse.Dataset) -> None:
    """An inference set whose pin is moved, with metrics kept."""
    model = dataset.create_inference_set("model_a", at="baseline", metadata={"by": 1})
    guesses = [
        box(n, f"i{n}", confidence=0.4 + n / 20, left=20.0 + n)
        for n in range(12)
        if n != 4
    ]
    _land(model.add(guesses, frames=[f"f{n:02}" for n in range(12)]))
    _land(model.upsert_inferences([box(1, "i1", confidence=0.9, left=21.0)]))
    fields = {"frame_id": "f02", "label_id": "i2", "confidence": 0.3}
    _land(model.modify(inferences=[fields]))
    model.metrics(iou=0.5)
    model.repin("latest")
    model.metrics(iou=0.5)
    model.metrics(iou=0.3, confidence=0.5)


def _choose(project: lakehouse.Project, dataset: lakehouse.Dataset) -> None:
    """A segment of labels, one of which is changed afterwards, and one of frames."""
    labels = project.create_segment(
        "loose boxes", type="label_quality", element_type="label"
    )
    chosen = [{"frame_id": f"f0{n}", "label_id": "a"} for n in (1, 2, 3)]
    labels.add(dataset, labels=chosen)
    labels.set_state("in_progress")
    labels.comment("too loose")
    frames = project.create_segment("odd frames", element_type="frame")
    frames.add(dataset, frames=["f01", "s01"])
    width = {"frame_id": "f02", "label_id": "a", "width": 60.0}
    _land(dataset.modify(labels=[width]))


def _leave_pending(project: lakehouse.Project) -> None:
    """Uploads that are staged and wait: small ones, and a large one.

    The rows of the large one are staged in their table's own form, as 10,000 rows
    and more are; fewer are taken to be large here, because row hashes do not compress.
    """
    dataset = project.dataset("hela")
    dataset.add(
        [frame(28), frame(29)], [box(28, "a", class_name="no class"), box(29, "a")]
    )
    width = {"frame_id": "f03", "label_id": "a", "width": 77.0}
    dataset.modify(labels=[width])
    names = pl.select(pl.format("f{}", pl.int_range(LARGE_ROWS))).to_series()
    large = project.create_dataset("large")
    with mock.patch.object(prepared, "PREPARED_ROWS", LARGE_ROWS):
        large.add(pl.DataFrame({"frame_id": names, "image_url": names}))


# ----------------------------------- FACTS ---------------------------------- #


def facts(root: Path) -> Row:
    """What readers see, as JSON holds it; nothing is written to the lake."""
    project = connect(root, merge="deferred").project("cells")
    dataset = project.dataset("hela")
    model = dataset.inference_set("model_a")
    collections: list[Collection] = [
        dataset,
        project.dataset("fixed"),
        project.dataset("copy"),
        model,
    ]
    facts = {
        "project": [project.task, json.loads(project.class_map.to_json())],
        "collections": {one.name: _facts_of(one) for one in collections},
        "checkpoints": dataset.checkpoints().to_dicts(),
        "histories": {
            "f03": dataset.history("f03").to_dicts(),
            "f03/a": dataset.history("f03", label_id="a").to_dicts(),
            "f09/a": dataset.history("f09", label_id="a").to_dicts(),
        },
        "collected": [
            version
            for version in dataset.versions()["version"]
            if _is_collected(dataset, version)
        ],
        "pins": model.pins().to_dicts(),
        "metrics": [
            model.metrics(iou=0.5).to_dict(),
            model.metrics(iou=0.3, confidence=0.5).to_dict(),
            model.metrics(at="baseline", iou=0.5).to_dict(),
        ],
        "segments": {
            segment.name: {
                "segment": segment.to_dict(),
                "elements": segment.elements().to_dicts(),
                "comments": segment.comments.to_dicts(),
                "out of date": segment.out_of_date().to_dicts(),
            }
            for segment in project.segments()
        },
    }
    return _as_json(facts)


def merged_facts(root: Path) -> Row:
    """Merge what waits, in a copy of the lake, and read what became of it."""
    project = connect(root).project("cells")
    facts: Row = {}
    for name in ("hela", "large"):
        dataset = project.dataset(name)
        uploads = dataset.merge_pending()
        facts[name] = {
            "statuses": [upload.status for upload in uploads],
            "counts": dataset.latest().counts,
            "fingerprint": dataset.latest().fingerprint,
        }
    return _as_json(facts)


def _as_json(facts: Row) -> Row:
    text = json.dumps(facts, default=str, ensure_ascii=False)
    return dict(json.loads(text))


def _facts_of(one: Collection) -> Row:
    versions, uploads, latest = one.versions(), one.uploads(), one.latest()
    labels = latest.labels if isinstance(one, lakehouse.Dataset) else latest.inferences
    return {
        "mode": one.mode,
        "versions": versions.to_dicts(),
        "fingerprints": {v: one.at(v).fingerprint for v in versions["version"]},
        "counts": {v: one.at(v).counts for v in versions["version"]},
        "uploads": uploads.to_dicts(),
        "errors": {
            upload_id: one.upload(upload_id).errors().to_dicts()
            for upload_id in uploads["upload_id"]
        },
        "frames": latest.frames().sort("frame_id").collect().to_dicts(),
        "labels": labels().sort("frame_id", "label_id").collect().to_dicts(),
    }


def _is_collected(dataset: lakehouse.Dataset, version: int) -> bool:
    """Whether a version's files went, so that plain engines cannot read it."""
    try:
        _ = dataset.at(version).tables
    except lakehouse.NotFoundError:
        return True
    return False


# ------------------------------------ PACK ---------------------------------- #


def pack(folder: Path) -> None:
    """Write the lake and its facts into a folder, the lake compressed."""
    root, copy = folder / "format_1", folder / "merged"
    write(root)
    with tarfile.open(folder / "format_1.tar.xz", "w:xz", preset=9) as tar:
        tar.add(root, "format_1")
    shutil.copytree(root, copy)
    known = {"before": facts(root), "merged": merged_facts(copy)}
    text = json.dumps(known, indent=1, ensure_ascii=False)
    (folder / "format_1.json").write_text(f"{text}\n")


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
