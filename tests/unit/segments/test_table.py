"""Where elements lie: small files, dead rows, checkpoints; many writers, any engine."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

import lakehouse
from lakehouse.model.contracts import contract
from lakehouse.segments.table import MOST_FILES, Change, ElementTable
from lakehouse.storage import Store
from lakehouse.testing.faults import FaultyStore
from tests.rows import box, frame

PATH = "cells/segment_elements"


@pytest.fixture
def labelled(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    ids = [f"f{n:03}" for n in range(60)]
    dataset.add([frame(name) for name in ids], [box(name, "a") for name in ids])
    return dataset


def rows(segment: str, ids: list[str], **fields: Any) -> pl.DataFrame:
    schema = contract("segment_elements").schema()
    common: dict[str, Any] = {
        "segment": segment,
        "dataset": "hela",
        "inference_set": "",
    }
    common |= {"label_id": "", "version": 1, "status": "unstarted"}
    made = [common | {"frame_id": frame_id} | fields for frame_id in ids]
    return pl.DataFrame(made, schema=schema)


def put(table: ElementTable, new: pl.DataFrame) -> None:
    table.update(new["segment"].item(0), lambda old: Change(new, old.clear()))


def scanned(store: Store) -> pl.DataFrame:
    return pl.scan_delta(store.uri(PATH)).sort("segment", "frame_id").collect()


def test_a_change_writes_what_it_changes(lake: lakehouse.Lake) -> None:
    table = ElementTable(lake.store, PATH)
    put(table, rows("s1", [f"f{n:05}" for n in range(20_000)]))
    put(table, rows("s2", ["f00000"]))

    put(table, rows("s1", ["f00007"], status="done"))

    log = sorted(Path(lake.store.uri(PATH), "_delta_log").glob("*.json"))
    assert len(log) == 3
    sizes = [file.size for file in lake.store.files(PATH) if ".parquet" in file.path]
    assert sorted(sizes)[1] < 10_000
    assert table.rows("s1")["status"].value_counts(sort=True)["count"].to_list() == [
        19_999,
        1,
    ]
    assert table.rows("s2").height == 1
    assert scanned(lake.store).height == 20_001


def test_many_small_files_are_joined(lake: lakehouse.Lake) -> None:
    table = ElementTable(lake.store, PATH)
    put(table, rows("other", ["x"]))

    for number in range(3 * MOST_FILES):
        put(table, rows("s1", [f"f{number:02}", "same"], batch=f"b{number}"))

    joined = table.rows("s1")
    assert joined.height == 3 * MOST_FILES + 1
    same = joined.filter(frame_id="same")["batch"].to_list()
    assert same == [f"b{3 * MOST_FILES - 1}"]
    state = DeltaTable(lake.store.uri(PATH))
    assert len(state.file_uris()) <= MOST_FILES + 2
    afresh = ElementTable(lake.store, PATH)
    assert afresh.rows("s1").equals(joined)
    assert afresh.rows("other").height == 1
    names = lake.store.names(f"{PATH}/_delta_log")
    assert [name for name in names if "checkpoint.parquet" in name]


def test_a_table_with_many_commits_is_opened_at_the_newest(
    lake: lakehouse.Lake, project: lakehouse.Project
) -> None:
    segment = project.create_segment("one", element_type="frame")
    for number in range(45):
        segment.set_metadata({"n": number})
        opened = lakehouse.connect(lake.root).project("cells").segment("one")
        assert opened.metadata == {"n": number}

    names = lake.store.names("cells/segments/_delta_log")
    assert len([name for name in names if name.endswith(".checkpoint.parquet")]) == 2
    assert pl.scan_delta(lake.store.uri("cells/segments")).collect().height == 1


def test_plain_engines_read_elements_and_cannot_write_them(
    lake: lakehouse.Lake, project: lakehouse.Project, labelled: lakehouse.Dataset
) -> None:
    segment = project.create_segment("one", element_type="frame")
    segment.add(labelled)
    segment.set_status(["f001"], "done")
    segment.remove(["f002"])
    segment.comment("why", ["f003"])

    elements = scanned(lake.store)
    assert elements.height == 59
    assert elements.schema == contract("segment_elements").schema()
    assert elements.filter(status="done")["frame_id"].to_list() == ["f001"]
    assert pl.scan_delta(lake.store.uri(PATH), version=0).collect().height == 60
    named = pl.scan_delta(lake.store.uri("cells/segments")).collect()
    assert named["name"].to_list() == ["one"]
    with pytest.raises(Exception, match="lakehouseLedger"):
        DeltaTable(lake.store.uri(PATH)).delete()


def test_two_writers_add_to_one_segment(
    lake: lakehouse.Lake, project: lakehouse.Project, labelled: lakehouse.Dataset
) -> None:
    project.create_segment("one", element_type="frame")
    start = Barrier(3)

    def work(writer: int) -> int:
        own = lakehouse.connect(lake.root, author=f"w{writer}").project("cells")
        segment, source = own.segment("one"), own.dataset("hela")
        start.wait()
        added = 0
        for place in range(0, 60, 3):
            # Each frame is added by two of the three.
            part = [f"f{(place + 20 * writer + n) % 60:03}" for n in range(3)]
            added += segment.add(source, frames=part)
            added += segment.add(source, frames=[f"f{place:03}"])
            segment.comment(f"w{writer}", part[:1])
        return added

    with ThreadPoolExecutor(3) as pool:
        added = sum(pool.map(work, range(3)))

    kept = project.segment("one").tracking()
    assert added == kept.height == kept["frame_id"].n_unique() == 60
    assert kept["comments"].list.len().sum() == 60
    assert set(kept["added_by"]) == {"w0", "w1", "w2"}
    assert scanned(lake.store).height == 60


def test_two_writers_make_one_segment(
    lake: lakehouse.Lake, project: lakehouse.Project
) -> None:
    start = Barrier(2)

    def make(_: int) -> str:
        own = lakehouse.connect(lake.root).project("cells")
        start.wait()
        return own.create_segment("one", element_type="frame", exist_ok=True).id

    with ThreadPoolExecutor(2) as pool:
        ids = set(pool.map(make, range(2)))

    assert len(ids) == len(project.segments()) == 1


@pytest.mark.parametrize("fault", ["before", "lost"])
def test_a_call_that_failed_is_repeated(
    lake: lakehouse.Lake, labelled: lakehouse.Dataset, fault: Any
) -> None:
    lake.project("cells").create_segment("one", element_type="frame")

    def work(store: Store) -> None:
        segment = lakehouse.connect(store=store).project("cells").segment("one")
        segment.add(labelled, frames=["f001", "f002"])
        segment.set_status(["f001"], "done")

    counting = FaultyStore(lake.store)
    calls = len(counting.calls)
    work(counting)
    calls = len(counting.calls)
    segment = lake.project("cells").segment("one")
    for place in range(calls):
        segment.remove(["f001", "f002"])
        try:
            work(FaultyStore(lake.store, fault=fault, at=place))
        except lakehouse.LakehouseError:
            work(lake.store)
        kept = segment.tracking()
        assert kept.select("frame_id", "status").rows() == [
            ("f001", "done"),
            ("f002", "unstarted"),
        ]
    assert calls > 10


@pytest.mark.s3
def test_segments_live_on_s3(s3_root: str, s3_options: dict[str, str]) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options, author="mira")
    project = lake.create_project("cells", classes=["cell"])
    dataset = project.create_dataset("hela")
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "b")])
    segment = project.create_segment("loose boxes", element_type="label")
    segment.add(dataset)
    was = segment.elements()

    dataset.upsert_labels([box("f1", "a", width=9.0)])
    dataset.delete(["f2"])
    for number in range(MOST_FILES + 5):
        segment.comment(f"{number}", ["a"])
    segment.set_state("in_review")

    again = lakehouse.connect(s3_root, storage_options=s3_options).project("cells")
    opened = again.segment("loose boxes")
    assert opened.state == "in_review"
    assert opened.elements().equals(was)
    assert opened.out_of_date()["reason"].to_list() == ["changed", "deleted"]
    assert opened.refresh() == 1
    comments = opened.tracking()["comments"].to_list()[0]
    assert [comment["text"] for comment in comments] == [
        str(n) for n in range(MOST_FILES + 5)
    ]
    names = lake.store.names(f"{PATH}/_delta_log")
    assert [name for name in names if "checkpoint.parquet" in name]
