"""Checkpoints: names for versions, which never come to name another."""

from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest
from duckdb_extensions import import_extension

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def changed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "a")])
    dataset.checkpoint("baseline", message="as they came", metadata={"by": "hand"})
    dataset.upsert_labels([box("f1", "a", width=9.0), box("f1", "b")])
    dataset.delete(["f2"])
    return dataset


def test_f07_a_checkpoint_freezes_frames_and_labels(changed: lakehouse.Dataset) -> None:
    snapshot = changed.at("baseline")

    assert snapshot.version == 1
    assert snapshot.counts == {"frames": 2, "labels": 2}
    assert snapshot.labels().collect()["width"].to_list() == [3.0, 3.0]
    assert changed.latest().counts == {"frames": 1, "labels": 2}


def test_f08_checkpoints_are_listed_by_time_with_what_changed_between(
    changed: lakehouse.Dataset,
) -> None:
    changed.checkpoint("relabelled")

    rows = changed.checkpoints()

    assert rows["name"].to_list() == ["baseline", "relabelled"]
    # The checkpoint's own entry has a number, and is no version.
    assert rows["version"].to_list() == [1, 4]
    assert rows["frames"].to_list() == [2, 1]
    assert rows["created"].to_list() == [2, 0]
    assert rows["deleted"].to_list() == [0, 1]
    assert rows["label_created"].to_list() == [2, 1]


def test_f08_checkpoints_are_edited_and_archived(changed: lakehouse.Dataset) -> None:
    checkpoint = changed.get_checkpoint("baseline")

    checkpoint.set_metadata({"by": "model"})
    checkpoint.set_message("from the vendor")
    checkpoint.archive()

    again = changed.get_checkpoint("baseline")
    assert (again.metadata, again.message) == ({"by": "model"}, "from the vendor")
    assert again.is_archived
    assert again.snapshot().version == again.version == 1
    assert not changed.checkpoints().height
    assert changed.checkpoints(archived=True)["name"].to_list() == ["baseline"]
    assert changed.at("baseline").version == 1
    again.archive(archived=False)
    assert changed.checkpoints().height == 1


def test_a_checkpoint_is_made_at_a_version_a_time_or_a_checkpoint(
    changed: lakehouse.Dataset,
) -> None:
    time = changed.at(3).time

    assert changed.checkpoint("a", 3).version == 3
    assert changed.checkpoint("b", time).version == 3
    assert changed.checkpoint("c", "baseline").version == 1
    assert changed.checkpoint("d").version == changed.version == 4
    assert changed.at(changed.at("d").time).version == 4


def test_a_checkpoint_is_no_version(changed: lakehouse.Dataset) -> None:
    before = changed.versions()

    changed.checkpoint("x")

    assert changed.versions().equals(before)
    assert changed.at(changed._collection.head().version).version == changed.version


def test_the_same_call_again_is_fine_and_another_is_refused(
    changed: lakehouse.Dataset,
) -> None:
    changed.checkpoint("baseline", 1, message="as they came", metadata={"by": "hand"})

    with pytest.raises(lakehouse.AlreadyExistsError, match="of version 1"):
        changed.checkpoint("baseline")
    assert changed.checkpoints().height == 1


@pytest.mark.parametrize("name", ["latest", "1st", "", "a b", "a/b", "ä"])
def test_names_that_cannot_be_are_refused(
    changed: lakehouse.Dataset, name: str
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="start with a letter"):
        changed.checkpoint(name)


def test_an_unknown_name_raises_and_names_the_nearest(
    changed: lakehouse.Dataset,
) -> None:
    with pytest.raises(lakehouse.NotFoundError, match="Did you mean 'baseline'"):
        changed.at("base-line")
    with pytest.raises(lakehouse.NotFoundError, match="lists them"):
        changed.get_checkpoint("nothing")
    with pytest.raises(lakehouse.NotFoundError, match="no version 99"):
        changed.checkpoint("x", 99)
    with pytest.raises(lakehouse.NotFoundError, match="no version at"):
        changed.checkpoint("x", datetime(2020, 1, 1, tzinfo=UTC))


def test_duckdb_reads_a_checkpoint_without_this_package(
    changed: lakehouse.Dataset,
) -> None:
    folder = changed._collection.store.uri(changed._collection.path)
    connection = duckdb.connect()
    import_extension("delta", con=connection)
    connection.execute("load delta")

    row = connection.execute(
        f"select version from delta_scan('{folder}/tags') where name = 'baseline'"
    ).fetchone()
    assert row is not None
    rows = connection.execute(
        f"select * from delta_scan('{folder}/labels', version => {row[0]})"
    )

    ours = changed.at("baseline").labels().collect()
    read = pl.DataFrame(rows.to_arrow_table())
    assert read["width"].sort().to_list() == ours["width"].sort().to_list()
