"""What a merge does to files, and that nobody sees any of it in the rows."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.delta.table_state import DataFile
from lakehouse.testing.invariants import assert_plain_engine_agrees, assert_sound
from lakehouse.transactions import compact, merge as merger, plan
from lakehouse.transactions.background import finish
from tests.rows import box, frame


@pytest.fixture
def dataset(lake_root: str) -> lakehouse.Dataset:
    lake = lakehouse.connect(lake_root, compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame(f"f{n:03}") for n in range(100)], boxes(range(100)))
    return dataset


def boxes(numbers: Any, **fields: Any) -> list[dict[str, Any]]:
    return [box(f"f{n:03}", label_id, **fields) for n in numbers for label_id in "ab"]


def files(dataset: lakehouse.Dataset, table: str = "labels") -> list[DataFile]:
    head = dataset._collection.head().version
    return list(dataset._collection.state(table, head).files.values())


def labels(dataset: lakehouse.Dataset) -> pl.DataFrame:
    return dataset.latest().labels().sort("frame_id", "label_id").collect()


def test_a_sparse_change_leaves_the_file_and_marks_its_rows_dead(
    dataset: lakehouse.Dataset,
) -> None:
    (before,) = files(dataset)

    dataset.upsert_labels(boxes([7], width=9.0))

    old, new = files(dataset)
    assert (old.path, old.live_rows, old.dead.tolist()) == (before.path, 198, [14, 15])
    assert new.rows == 2
    assert labels(dataset).filter(width=9.0).height == 2
    assert_plain_engine_agrees(dataset.latest())


def test_dead_rows_add_up(dataset: lakehouse.Dataset) -> None:
    for number in (5, 3, 5):
        dataset.upsert_labels(boxes([number], width=float(number) + dataset.version))

    assert [file.dead_rows for file in files(dataset)] == [4, 0, 0]
    assert labels(dataset).height == 200
    assert_plain_engine_agrees(dataset.latest())
    assert_sound(dataset.latest())


def test_a_dense_change_writes_the_file_again(dataset: lakehouse.Dataset) -> None:
    (before,) = files(dataset)

    dataset.upsert_labels(boxes(range(60), width=9.0))

    (after,) = files(dataset)
    assert after.path != before.path
    assert (after.rows, after.dead_rows) == (200, 0)
    assert labels(dataset).filter(width=9.0).height == 120
    assert_plain_engine_agrees(dataset.latest())


def test_a_file_of_dead_rows_alone_goes(dataset: lakehouse.Dataset) -> None:
    dataset.upsert_labels(boxes([7], width=9.0))

    dataset.upsert_labels(boxes([7], width=8.0))

    assert sorted(file.rows for file in files(dataset)) == [2, 200]


def test_images_are_shared_with_the_change_log(dataset: lakehouse.Dataset) -> None:
    dataset.upsert_labels(boxes([7], width=9.0))
    dataset.delete(labels=[{"frame_id": "f008", "label_id": "a"}])

    sizes = {file.size for file in files(dataset, "labels_changes")}
    assert {file.size for file in files(dataset)} <= sizes


def test_compaction_changes_files_and_nothing_else(dataset: lakehouse.Dataset) -> None:
    for number in range(6):
        dataset.upsert_labels(boxes([number], width=9.0 + number))
    dataset.delete(["f050"])
    before, fingerprint = labels(dataset), dataset.latest().fingerprint
    versions = dataset.versions()

    done = dataset.compact()

    (after,) = files(dataset)
    assert (after.rows, after.dead_rows) == (198, 0)
    assert labels(dataset).equals(before)
    assert dataset.latest().fingerprint == fingerprint
    assert dataset.versions().equals(versions)
    report = done.to_frame().row(by_predicate=pl.col("table") == "labels", named=True)
    assert (report["files_before"], report["files_after"], report["dead_rows"]) == (
        7,
        1,
        14,
    )
    for version in versions["version"]:
        assert_plain_engine_agrees(dataset.at(version))


def test_compaction_again_has_nothing_to_do(dataset: lakehouse.Dataset) -> None:
    dataset.upsert_labels(boxes([7], width=9.0))
    dataset.compact()

    assert dataset.compact().entry is None


def test_history_is_whole_after_compaction(dataset: lakehouse.Dataset) -> None:
    dataset.upsert_labels(boxes([7], width=9.0))
    before = dataset.history("f007")

    dataset.compact()

    assert dataset.history("f007").equals(before)


def test_it_is_compacted_without_being_asked(lake_root: str) -> None:
    lake = lakehouse.connect(lake_root)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    for number in range(40):
        dataset.add([frame(f"f{number}")])
    finish()

    assert len(files(dataset, "frames")) < 24
    assert dataset.latest().counts["frames"] == 40
    assert dataset.versions().height == 41


@pytest.fixture
def interrupted(
    dataset: lakehouse.Dataset, lake_root: str, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Another writer comes between a merge's writing and its decision, once."""
    other = lakehouse.connect(lake_root).project("cells").dataset("hela")
    plan_entry = plan.plan_entry
    landed: list[str] = []

    def interrupting(*args: Any, **kwargs: Any) -> Any:
        planned = plan_entry(*args, **kwargs)
        if not landed:
            landed.append("")
            landed[0] = other.upsert_labels(boxes([60], width=6.0)).id
        return planned

    monkeypatch.setattr(merger, "plan_entry", interrupting)
    return landed


def test_a_lost_race_takes_no_file_that_was_there(
    dataset: lakehouse.Dataset, interrupted: list[str]
) -> None:
    dataset.upsert_labels(boxes([7], width=9.0))

    assert interrupted
    merged = labels(dataset)
    assert sorted(merged["width"].unique().to_list()) == [3.0, 6.0, 9.0]
    assert_plain_engine_agrees(dataset.latest())


def test_compaction_stands_back_from_files_that_changed(
    dataset: lakehouse.Dataset, lake_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lakehouse.connect(lake_root).project("cells").dataset("hela")
    dataset.upsert_labels(boxes([7], width=9.0))
    ledger, raced = dataset._collection.ledger, list[int]()
    decide = ledger.decide

    def late(entry: Any, **options: Any) -> bool:
        if not raced:
            raced.append(other.upsert_labels(boxes([60], width=6.0)).version or 0)
        return decide(entry, **options)

    monkeypatch.setattr(ledger, "decide", late)

    compact(dataset._collection, full=True)

    assert raced
    assert sorted(labels(dataset)["width"].unique().to_list()) == [3.0, 6.0, 9.0]
    assert labels(dataset).height == 200
    assert_plain_engine_agrees(dataset.latest())


@pytest.mark.parametrize("kept", [0, 100])
def test_a_truncated_data_file_is_no_verdict_on_an_upload(
    dataset: lakehouse.Dataset, kept: int
) -> None:
    (file,) = files(dataset, "frames")
    collection = dataset._collection
    path = Path(collection.store.uri(f"{collection.table_path('frames')}/{file.path}"))
    data = path.read_bytes()
    path.unlink()  # the change log has the same file, by a link
    path.write_bytes(data[:kept])

    with pytest.raises(lakehouse.LakehouseError):
        dataset.modify(frames=[frame("f001", user__n=1)], upload_id="vendor7")
    assert dataset.upload("vendor7").status == "PENDING"

    path.write_bytes(data)
    dataset.merge_pending()
    assert dataset.upload("vendor7").status == "DONE"
