"""Delta logs that lost files, ledgers that lost entries, and lakes that moved away."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lakehouse
from lakehouse.catalog import Repair
from lakehouse.errors import FormatError, LakehouseError, StorageError
from lakehouse.ledger.ledger import entry_name
from lakehouse.model.contracts import COLLECTION_TABLES
from lakehouse.testing.invariants import assert_plain_engine_agrees
from tests.rows import box, frame

UPLOADS = 5


@pytest.fixture
def root(lake_root: str) -> str:
    lake = lakehouse.connect(lake_root, compaction="manual")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    for n in range(UPLOADS):
        dataset.add([frame(f"f{n}")], [box(f"f{n}", "a")])
    return lake_root


def opened(root: str) -> lakehouse.Dataset:
    return lakehouse.connect(root, compaction="manual").project("cells").dataset("hela")


def logs(root: str, *versions: int) -> list[Path]:
    collection = opened(root)._collection
    return [
        Path(root, collection.table_path(table), "_delta_log", entry_name(version))
        for table in COLLECTION_TABLES
        for version in versions
    ]


def entry(root: str, version: int) -> Path:
    return Path(root, opened(root)._collection.path, "ledger", entry_name(version))


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def of_another_version(file: Path) -> None:
    shutil.copyfile(file.with_name(entry_name(2)), file)


DAMAGES = [emptied, zeros, cut_short, of_another_version, Path.unlink]


@pytest.mark.parametrize("versions", [(UPLOADS,), (4, UPLOADS), (1, 3)])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_log_files_change_nothing_and_are_written_again(
    root: str, damage: Callable[[Path], None], versions: tuple[int, ...]
) -> None:
    files = logs(root, *versions)
    before = {file: file.read_bytes() for file in files}
    for file in files:
        damage(file)

    dataset = opened(root)
    frames = dataset.latest().frames().collect()["frame_id"].sort().to_list()
    upload = dataset.add([frame("f0")], [box("f0", "a")])

    assert frames == [f"f{n}" for n in range(UPLOADS)]
    assert not upload.counts.get("created", 0)
    assert {file: file.read_bytes() for file in files} == before
    assert_plain_engine_agrees(dataset.latest())
    assert dataset.verify().is_sound


@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_writes_damaged_log_files_again(
    root: str, damage: Callable[[Path], None]
) -> None:
    fingerprint = opened(root).latest().fingerprint
    files = logs(root, 1, 4)
    before = {file: file.read_bytes() for file in files}
    for file in files[::2]:
        damage(file)

    repaired = opened(root).repair()

    assert repaired.done == ("entry 1 was published again",)
    assert not repaired.lost
    assert {file: file.read_bytes() for file in files} == before
    assert opened(root).latest().fingerprint == fingerprint
    assert opened(root).repair() == Repair((), ())


@pytest.mark.parametrize("remembers", [True, False])
def test_a_last_entry_that_is_gone_is_told_and_nothing_is_written(
    root: str, *, remembers: bool
) -> None:
    dataset = opened(root)
    if remembers:
        dataset.latest()
    entry(root, UPLOADS).unlink()
    before = sorted(Path(root).rglob("*"))

    with pytest.raises(StorageError, match=f"entry {UPLOADS} is missing"):
        dataset.add([frame("new")])

    assert sorted(Path(root).rglob("*")) == before
    assert f"entry {UPLOADS} is missing" in opened(root).repair().lost[0]


def test_an_entry_in_the_place_of_another_is_told(root: str) -> None:
    shutil.copyfile(entry(root, 1), entry(root, 0))

    with pytest.raises(FormatError, match=r"00\.json says that it is entry 1"):
        opened(root).at(0)


@pytest.mark.parametrize("damage", [emptied, zeros, cut_short])
def test_a_damaged_entry_is_an_error_that_names_the_file(
    root: str, damage: Callable[[Path], None]
) -> None:
    damage(entry(root, UPLOADS))

    with pytest.raises(FormatError, match=entry_name(UPLOADS)):
        opened(root).latest()


def renamed(root: str) -> None:
    Path(root).rename(root + "-moved")


def made_anew(root: str) -> None:
    shutil.rmtree(root)
    lake = lakehouse.connect(root, compaction="manual")
    lake.create_project("cells", classes=["cell"]).create_dataset("hela")


@pytest.mark.parametrize("staged", [True, False])
@pytest.mark.parametrize("move", [renamed, shutil.rmtree, made_anew])
def test_a_handle_that_outlives_its_lake_writes_nothing(
    root: str, move: Callable[[str], None], *, staged: bool
) -> None:
    dataset = opened(root)
    dataset.add([frame("before")])
    move(root)
    before = sorted(Path(root).rglob("*"))
    rows = [frame(f"n{n}") for n in range(500 if staged else 1)]

    with pytest.raises(LakehouseError) as caught:
        dataset.add(rows)

    assert isinstance(caught.value, StorageError)
    assert sorted(Path(root).rglob("*")) == before
