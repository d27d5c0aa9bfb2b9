"""Files that tables of their own name no more: registries, segments, metrics."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.ledger import single_table
from lakehouse.storage import Store
from lakehouse.testing.faults import FaultyStore
from tests.rows import frame

NOW = timedelta(0)
DAY = timedelta(days=1)


@pytest.fixture
def worked(project: lakehouse.Project, dataset: lakehouse.Dataset) -> lakehouse.Segment:
    """A segment that was worked on."""
    dataset.add([frame(f"f{n}") for n in range(6)])
    segment = project.create_segment("blurred", element_type="frame")
    segment.add(dataset)
    project.create_dataset("other")
    for name in ("f0", "f1", "f2"):
        segment.set_status([name], "done")
    for state in ("in_review", "in_progress"):
        segment.set_state(state)
    segment.set_status(None, "unstarted")
    segment.set_status(["f0", "f1", "f2"], "done")
    return segment


def files(store: Store, folder: str) -> set[str]:
    files = store.files(folder)
    return {file.path for file in files if file.path.endswith(".parquet")}


def named(lake: lakehouse.Lake, table: str) -> set[str]:
    """The files of the newest state, as deltalake sees them."""
    import deltalake  # noqa: PLC0415

    uris = deltalake.DeltaTable(f"{lake.root}/{table}").file_uris()
    return {uri.removeprefix(f"{lake.root}/").removeprefix("file://") for uri in uris}


def test_only_what_is_named_is_left(
    lake: lakehouse.Lake, worked: lakehouse.Segment
) -> None:
    before = worked.tracking(), worked.elements(), worked.to_dict()
    planned = lake.collect_garbage(retention=NOW, grace=NOW)

    removed = lake.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert planned.to_frame().equals(removed.to_frame())
    assert {one.folder for one in removed.folders} >= {
        "cells/segments",
        "cells/registry",
    }
    for table in ("segments", "segment_elements", "registry"):
        left = {
            path for path in files(lake.store, f"cells/{table}") if "_delta" not in path
        }
        assert {path.rpartition("/")[2] for path in left} == {
            path.rpartition("/")[2] for path in named(lake, f"cells/{table}")
        }
    assert not lake.collect_garbage(retention=NOW, grace=NOW, dry_run=False).folders
    again = lakehouse.connect(lake.root, author="noor").project("cells")
    segment = again.segment("blurred")
    assert segment.tracking().equals(before[0])
    assert segment.elements().equals(before[1])
    assert segment.to_dict() == before[2]
    segment.set_status(["f5"], "done")
    assert segment.tracking()["status"].to_list().count("done") == 4


def test_young_files_and_those_named_lately_are_let_be(
    lake: lakehouse.Lake, worked: lakehouse.Segment
) -> None:
    assert lake.collect_garbage(retention=NOW, grace=NOW).files > 4
    assert not lake.collect_garbage(retention=NOW, grace=DAY).files
    assert not lake.collect_garbage(retention=DAY, grace=NOW).files
    assert not lake.collect_garbage(dry_run=False).files


def test_states_within_the_retention_time_stay_readable(
    lake: lakehouse.Lake, worked: lakehouse.Segment
) -> None:
    since = datetime.now(UTC)
    worked.set_state("in_review")
    worked.set_state("resolved")
    log = single_table.SingleTableLog(
        lake.store, "cells/segments", single_table_contract()
    )
    now = datetime.now(UTC)

    for file in log.garbage(retention=now - since, grace=NOW, now=now):
        lake.store.delete(file.path)

    uri, head = f"{lake.root}/cells/segments", log.newest()
    assert head is not None
    states = [
        pl.scan_delta(uri, version=head.version - back).collect()["state"].item()
        for back in range(3)
    ]
    assert states == ["resolved", "in_review", "in_progress"]
    with pytest.raises(Exception, match="part-"):
        pl.scan_delta(uri, version=head.version - 3).collect()


def single_table_contract() -> Any:
    from lakehouse.model.contracts import contract  # noqa: PLC0415

    return contract("segments")


def test_files_of_dead_writers_go(
    lake: lakehouse.Lake, worked: lakehouse.Segment
) -> None:
    lake.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    lake.store.put("cells/segments/part-dead.parquet", b"nobody names this file")
    lake.store.put("cells/segments/.tmp-dead", b"nor this")

    assert lake.collect_garbage(retention=NOW, grace=NOW, dry_run=False).files == 2
    assert worked.state == "in_progress"


def test_a_project_called_projects_keeps_its_files(lake: lakehouse.Lake) -> None:
    odd = lake.create_project("projects", classes=["x"]).create_dataset("d")
    odd.add([frame("f")])

    lake.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    again = lakehouse.connect(lake.root).project("projects").dataset("d")
    assert again.latest().frames().collect().height == 1


def test_a_writer_that_was_held_up_makes_its_change_anew(
    lake: lakehouse.Lake, worked: lakehouse.Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_table, "_SLOWEST_COMMIT", timedelta(seconds=-1))
    before = files(lake.store, "cells/segments")

    with pytest.raises(lakehouse.ConflictError):
        worked.set_state("resolved")

    assert files(lake.store, "cells/segments") == before
    monkeypatch.undo()
    worked.set_state("resolved")


def test_a_collection_that_failed_is_repeated(
    lake: lakehouse.Lake, worked: lakehouse.Segment
) -> None:
    counted = FaultyStore(lake.store)
    lakehouse.connect(store=counted).collect_garbage(retention=NOW, grace=NOW)
    calls = len(counted.calls)
    before = worked.tracking()

    failed = 0
    for at in range(calls + 2):
        worked.rename(f"blurred {at}")
        try:
            faulty = lakehouse.connect(store=FaultyStore(lake.store, at))
            faulty.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
        except lakehouse.LakehouseError:
            failed += 1
        assert worked.tracking().equals(before)
        assert worked.name == f"blurred {at}"
    assert failed > calls / 2
    lake.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    assert not lake.collect_garbage(retention=NOW, grace=NOW).files
