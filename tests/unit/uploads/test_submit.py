"""Ids that callers choose: refused or settled, and each taken by one set of rows."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings, strategies as st

import lakehouse
from lakehouse.errors import FormatError, InvalidInputError, NotFoundError
from lakehouse.ledger.settled import settled_row
from lakehouse.model.ids import new_upload_id
from tests.rows import frame

ASKS = "lakehouse.uploads.submit.settled_row"

IDS = st.one_of(
    st.text(max_size=12),
    st.text("./\\\0 aZ0_-%:é\ud800", min_size=1, max_size=8),
    st.text("aZ09._-", min_size=126, max_size=130),
    st.integers() | st.binary(max_size=3) | st.booleans(),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> lakehouse.Dataset:
    lake = lakehouse.connect(tmp_path_factory.mktemp("a") / "deep" / "lake")
    return lake.create_project("cells", classes=["cell"]).create_dataset("hela")


def paths(dataset: lakehouse.Dataset) -> set[Path]:
    root = Path(dataset._collection.store.root)
    return set(root.parent.parent.rglob("*"))


@settings(max_examples=60, deadline=None)
@given(IDS)
@example("vendor/1")
@example("../../x")
@example("../../../../../../x")
@example(".")
@example("..")
@example("")
@example("a\0b")
@example("\ud800")
@example("x\n")
@example(7)
@example("vendor-7.batch_2")
def test_an_upload_id_is_refused_before_anything_is_written_or_settles(
    shared: lakehouse.Dataset, upload_id: Any
) -> None:
    before = paths(shared)
    version = shared.version
    refusal = None
    try:
        upload = shared.add([frame("f1")], upload_id=upload_id)
    except InvalidInputError as error:
        refusal = str(error)
    if refusal is None:
        assert (upload.id, upload.status) == (upload_id, "DONE")
        assert shared.upload(upload_id).status == "DONE"
    else:
        assert "letters, digits" in refusal
        assert paths(shared) == before
        assert shared.version == version
        with pytest.raises(NotFoundError):
            shared.upload(upload_id)
    assert not shared.is_processing


@pytest.mark.parametrize("verb", ["restore", "revert", "delete", "modify"])
def test_every_verb_refuses_an_id_that_is_a_path(
    dataset: lakehouse.Dataset, verb: str
) -> None:
    added = dataset.add([frame("f1")])
    calls = {
        "restore": lambda: dataset.restore(0, upload_id="../x"),
        "revert": lambda: dataset.revert(added, upload_id="../x"),
        "delete": lambda: dataset.delete(frames=["f1"], upload_id="../x"),
        "modify": lambda: dataset.modify(frames=[frame("f1")], upload_id="../x"),
    }

    with pytest.raises(InvalidInputError, match=r"'\.\./x' cannot be the id"):
        calls[verb]()

    assert dataset.version == 1


@pytest.mark.parametrize("load_id", ["../x", 7, "", "\ud800"])
def test_a_load_refuses_what_is_no_id_of_a_load(
    dataset: lakehouse.Dataset, load_id: Any
) -> None:
    with pytest.raises(InvalidInputError, match="no id of a load"):
        dataset.load(pl.LazyFrame([frame("f1")]), load_id=load_id)


def value_of(dataset: lakehouse.Dataset) -> int:
    rows = dataset.latest().frames().collect()
    return int(rows.get_column("user__n")[0])


def test_uploads_with_ids_of_the_caller_keep_the_order_in_which_they_came(
    lake_root: str, dataset: lakehouse.Dataset
) -> None:
    # Each upload comes from a process of its own, which remembers nothing.
    def send(n: int, upload_id: str | None = None) -> None:
        lake = lakehouse.connect(lake_root, merge="deferred")
        target = lake.project("cells").dataset(dataset.name)
        target.add([frame("f1", user__n=n)], upload_id=upload_id)

    hour_ahead = new_upload_id(after="0ffff0f0-0000-7000-8000-000000000000")
    send(1, hour_ahead)
    send(2)
    assert len(dataset.merge_pending()) == 2
    assert value_of(dataset) == 2

    send(3, "vendor7")
    send(4, "a-vendor")
    send(5, "00000000-0000-7000-8000-000000000000")
    send(6)
    send(7, "ffffffff-ffff-7fff-bfff-ffffffffffff")
    send(8)
    dataset.merge_pending()
    assert value_of(dataset) == 8
    versions = dataset.history("f1").sort("version").get_column("version")
    assert versions.to_list() == list(range(1, 9))


def test_an_upload_of_ours_comes_after_one_that_a_clock_ahead_made(
    lake_root: str, dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(n: int) -> None:
        lake = lakehouse.connect(lake_root, merge="deferred")
        lake.project("cells").dataset(dataset.name).add([frame("f1", user__n=n)])

    ahead = "7ffff0f0-0000-7000-8000-000000000000"
    with monkeypatch.context() as patch:
        patch.setattr(
            "lakehouse.ledger.staging.new_upload_id", lambda _: new_upload_id(ahead)
        )
        send(1)
    send(2)
    dataset.merge_pending()

    assert value_of(dataset) == 2


def test_a_taken_id_is_seen_though_its_rows_were_settled_and_swept_beside_the_call(
    lake_root: str, dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lakehouse.connect(lake_root).project("cells").dataset(dataset.name)
    asked = settled_row
    calls: list[Any] = []

    def beside(*arguments: Any) -> Any:
        row = asked(*arguments)
        calls.append(row)
        if len(calls) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(ASKS, asked)
                other.add([frame("f1", user__n=1)], upload_id="vendor7")
        return row

    monkeypatch.setattr(ASKS, beside)

    with pytest.raises(InvalidInputError, match="taken by an upload with other rows"):
        dataset.add([frame("f1", user__n=2)], upload_id="vendor7")

    assert len(calls) == 2
    assert value_of(dataset) == 1
    assert dataset._collection.staging.waiting() == []


def test_the_same_rows_sent_twice_side_by_side_leave_nothing_staged(
    lake_root: str, dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lakehouse.connect(lake_root).project("cells").dataset(dataset.name)
    asked = settled_row

    def beside(*arguments: Any) -> Any:
        row = asked(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(ASKS, asked)
            other.add([frame("f1", user__n=1)], upload_id="vendor7")
        return row

    monkeypatch.setattr(ASKS, beside)
    upload = dataset.add([frame("f1", user__n=1)], upload_id="vendor7")

    assert (upload.status, upload.version, dataset.version) == ("DONE", 1, 1)
    store = dataset._collection.store
    assert store.names(f"{dataset._collection.path}/staging") == []


@pytest.mark.parametrize("base", [9999, -1, 2, True, "1", 1.0])
def test_a_base_that_is_no_version_is_refused(
    dataset: lakehouse.Dataset, base: Any
) -> None:
    dataset.add([frame("f1")])

    with pytest.raises(InvalidInputError, match="is no version of cells/hela"):
        dataset.add([frame("f1", user__n=1)], based_on=base)

    assert dataset.version == 1


def test_a_base_that_is_a_version_is_taken(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1")])

    assert dataset.add([frame("f1", user__n=1)], based_on=1).status == "DONE"


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"[]", b"\xff"])
def test_a_damaged_format_file_is_named(
    lake_root: str, dataset: lakehouse.Dataset, data: bytes
) -> None:
    dataset._collection.store.put("format.json", data)

    with pytest.raises(FormatError, match=r"format\.json of the lake at .* is damaged"):
        lakehouse.connect(lake_root).project("cells")
