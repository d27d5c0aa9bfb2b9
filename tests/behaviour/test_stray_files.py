"""Files that are not ours lie in every folder: nothing stops, and nothing removes them."""

import os
from pathlib import Path

import pytest

import lakehouse
from tests.rows import box, frame

STRAYS = {".DS_Store": b"\0\0\0\1Bud1\xff", "Thumbs.db": b"", "notes.json": b"not json"}


def strew(root: str) -> list[Path]:
    """One stray file of each kind in every folder of a lake."""
    folders = [Path(place) for place, _, _ in os.walk(root)]
    strays = [folder / name for folder in folders for name in STRAYS]
    for stray in strays:
        stray.write_bytes(STRAYS[stray.name])
    return strays


def operate(lake: lakehouse.Lake) -> None:
    """Every kind of call on a dataset."""
    dataset = lake.project("cells").dataset("hela")
    assert [one.name for one in lake.projects()] == ["cells"]
    dataset.add([frame("f1")], [box("f1", "a")])
    dataset.upsert_labels([box("f1", "a", width=9.0)], upload_id="vendor7")
    sent = dataset.add([frame("f2", latitude=91.0, longitude=0.0)])
    assert sent.status == "FAILED"
    assert sent.rejected()[0].height == 1
    base = f"base{dataset.version}"
    dataset.checkpoint(base)
    dataset.restore(0)
    dataset.merge_pending()
    dataset.compact()
    assert dataset.at(base).labels().collect().height == 1
    assert dataset.uploads().height
    assert not dataset.is_processing
    model = dataset.create_inference_set("model_a", exist_ok=True)
    model.add([box("f1", "x", confidence=0.5)])
    dataset.collect_garbage(dry_run=False)
    assert dataset.verify().is_sound
    dataset.delete(frames=["f1"])


@pytest.mark.parametrize("when", ["before the first write", "in a lake that is used"])
def test_every_operation_ignores_stray_files_and_leaves_them(
    lake_root: str, when: str
) -> None:
    lake = lakehouse.connect(lake_root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    path = Path(lake_root, dataset._collection.path)
    for folder in ("staging", "leases"):
        (path / folder).mkdir(exist_ok=True)
    if when == "in a lake that is used":
        operate(lake)
        dataset.at(1).labels().collect()
    strays = strew(lake_root)

    operate(lakehouse.connect(lake_root))

    report = lake.project("cells").dataset("hela").verify()
    assert report.is_sound
    assert any("staging/.DS_Store" in note for note in report.notes)
    assert any("leases/notes.json" in note for note in report.notes)
    # What lies in a folder of an upload may go with it.
    left = [stray for stray in strays if stray.parent.parent.name != "staging"]
    assert [stray for stray in left if not stray.exists()] == []
