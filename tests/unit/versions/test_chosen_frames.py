"""A choice of frames bounds what is read of the tables that hang on frames."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.delta.scan import scan_files
from lakehouse.delta.table_state import DataFile
from tests.rows import box, frame

FILES = 8
FRAMES = 5  # of each file
CHILDREN = ("labels", "frame_embeddings", "label_embeddings")


@pytest.fixture
def wide(lake_root: str) -> lakehouse.Dataset:
    """Eight files of a table, of frames that lie one behind the other."""
    lake = lakehouse.connect(lake_root, compaction="manual")
    dataset = lake.create_project("p", classes=["cell"]).create_dataset("d")
    for file in range(FILES):
        ids = [f"f{file}{n}" for n in range(FRAMES)]
        frames = [frame(one, user__file=file, embedding=[1.0, file]) for one in ids]
        labels = [
            box(one, label, embedding=[file, 1.0]) for one in ids for label in "ab"
        ]
        dataset.add(frames, labels).raise_for_status()
    return dataset


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Rows of the data files that scans were given, by table."""
    counts: dict[str, int] = {}

    def counting(store: Any, path: str, files: Sequence[DataFile], *rest: Any) -> Any:
        table = path.rpartition("/")[2]
        counts[table] = counts.get(table, 0) + sum(file.rows for file in files)
        return scan_files(store, path, files, *rest)

    monkeypatch.setattr("lakehouse.ledger.collection.scan_files", counting)
    return counts


CHOICES: dict[str, pl.Expr] = {
    "ids": pl.col("frame_id").is_in(["f10", "f12"]),
    "metadata": pl.col("user__file") == 1,
    "none": pl.col("user__file") == 99,
}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("table", CHILDREN)
def test_only_files_of_chosen_frames_are_read(
    wide: lakehouse.Dataset, rows_read: dict[str, int], table: str, choice: str
) -> None:
    snapshot = wide.latest()
    part = snapshot.filter(frames=CHOICES[choice])
    chosen = part.frames().collect()["frame_id"]
    whole: pl.DataFrame = getattr(snapshot, table)().collect()
    rows_read.clear()

    rows: pl.DataFrame = getattr(part, table)().collect()

    assert rows.equals(whole.filter(pl.col("frame_id").is_in(chosen.implode())))
    most = 0 if choice == "none" else whole.height // FILES
    assert rows_read.get(table, 0) <= most


def test_vectors_of_chosen_labels_are_read_alone(
    wide: lakehouse.Dataset, rows_read: dict[str, int]
) -> None:
    part = wide.latest().filter(labels=pl.col("frame_id") == "f30")

    rows = part.label_embeddings().collect()

    assert rows.select("frame_id", "label_id").rows() == [("f30", "a"), ("f30", "b")]
    assert rows_read["label_embeddings"] == 2 * FRAMES


READS: dict[str, Callable[[lakehouse.Snapshot, Path], object]] = {
    "export": lambda part, folder: part.export(folder / "out", "parquet"),
    "counts": lambda part, _: part.counts,
    "frames_of": lambda part, _: part.frames_of(["f10", "f14"]),
}


@pytest.mark.parametrize("read", READS)
def test_what_is_made_of_a_part_reads_its_labels_alone(
    wide: lakehouse.Dataset, rows_read: dict[str, int], read: str, tmp_path: Path
) -> None:
    part = wide.latest().filter(frames=CHOICES["metadata"])

    READS[read](part, tmp_path)

    labels_of_a_file = 2 * FRAMES
    assert 0 < rows_read["labels"] <= labels_of_a_file


def test_a_filter_of_a_filter_chooses_anew(wide: lakehouse.Dataset) -> None:
    part = wide.latest().filter(frames=pl.col("user__file") < 3)
    assert part.labels().collect().height == 3 * FRAMES * 2

    smaller = part.filter(frames=pl.col("user__file") > 1)

    assert set(smaller.labels().collect()["frame_id"]) == {f"f2{n}" for n in range(5)}


def test_several_frames_come_with_their_labels(wide: lakehouse.Dataset) -> None:
    frames, labels = wide.latest().frames_of(iter(["f30", "f01", "f30"]))

    assert frames["frame_id"].to_list() == ["f01", "f30"]
    keys = [("f01", "a"), ("f01", "b"), ("f30", "a"), ("f30", "b")]
    assert labels.select("frame_id", "label_id").rows() == keys
    with pytest.raises(lakehouse.NotFoundError, match=r"1 of 2 frames .* 'nobody'"):
        wide.latest().frames_of(["f30", "nobody"])
    with pytest.raises(lakehouse.InvalidInputError, match="takes several ids"):
        wide.latest().frames_of("f30")


def test_a_snapshot_shows_where_it_is_from_and_its_conditions(
    wide: lakehouse.Dataset,
) -> None:
    snapshot = wide.latest()
    part = snapshot.filter(frames=pl.col("user__file") == 1)

    assert repr(snapshot) == "<Snapshot of p/d at version 8: 40 frames, 80 labels>"
    assert "user__file" in repr(part)
    assert "only frames where" in repr(part)
