"""Files as they were written, and yet wrong: what only the rows themselves tell."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import lakehouse
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.verify import spool
from tests.unit.verify.forgery import file_of, forge_header, forge_rows
from tests.unit.verify.prepared import opened

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def dataset(copied: Path) -> lakehouse.Dataset:
    return opened(copied)


def verified(dataset: lakehouse.Dataset) -> pl.DataFrame:
    """The problems, found by whoever opens the lake now."""
    root = dataset._collection.store.root
    return opened(root).verify().problems


def reported(problems: pl.DataFrame, check: str) -> list[tuple[str, int, str]]:
    return list(
        problems.filter(check=check).select("table", "version", "file").iter_rows()
    )


def forged(
    dataset: lakehouse.Dataset, table: str, change: Change, **having: str
) -> tuple[str, pl.DataFrame]:
    path = file_of(dataset, table, **having)
    forge_rows(dataset, path, change)
    return path, verified(dataset)


def doubled(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows, rows.filter(frame_id="g3")])


def without_g3(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("frame_id") != "g3")


@pytest.mark.parametrize("table", ["frames", "labels_changes"])
def test_a_value_that_does_not_have_its_hash(
    dataset: lakehouse.Dataset, table: str
) -> None:
    name = "image_url" if table == "frames" else "class_name"
    path, problems = forged(
        dataset, table, lambda rows: rows.with_columns(pl.lit("x").alias(name)),
        frame_id="f20",
    )  # fmt: skip

    assert reported(problems, "row.hash")[0][::2] == (table, path)
    assert "live.unlogged" in problems["check"]


def test_a_key_that_a_live_table_has_twice(dataset: lakehouse.Dataset) -> None:
    path, problems = forged(dataset, "frames", doubled, frame_id="g3")

    (twice,) = reported(problems, "key.twice")
    assert twice[::2] == ("frames", path)
    assert "g3" in problems.filter(check="key.twice")["message"].item()
    ((table, version, _),) = reported(problems, "live.fingerprint")
    assert (table, version) == ("frames", twice[1])


def test_a_row_that_a_live_table_lacks(dataset: lakehouse.Dataset) -> None:
    _, problems = forged(dataset, "frames", without_g3, frame_id="g3")

    (missing,) = reported(problems, "live.lacking")
    assert missing[0] == "frames_changes"
    assert missing[2] == file_of(dataset, "frames_changes", frame_id="g3")
    assert [table for table, *_ in reported(problems, "live.fingerprint")] == ["frames"]
    (orphan,) = reported(problems, "frame.lacking")
    assert orphan[0] == "labels"


def test_a_row_that_the_change_log_lacks(dataset: lakehouse.Dataset) -> None:
    _, problems = forged(dataset, "labels_changes", without_g3, frame_id="g3")

    (unlogged,) = reported(problems, "live.unlogged")
    assert unlogged[0] == "labels"
    ((table, version, _),) = reported(problems, "change_log.fingerprint")
    assert (table, version) == ("labels_changes", unlogged[1])


def test_a_row_that_the_change_log_has_twice(dataset: lakehouse.Dataset) -> None:
    path, problems = forged(dataset, "labels_changes", doubled, frame_id="g3")

    ((table, _, file),) = reported(problems, "change_log.twice")
    assert (table, file) == ("labels_changes", path)


def test_a_row_of_an_upload_that_never_was(dataset: lakehouse.Dataset) -> None:
    path, problems = forged(
        dataset, "labels", lambda rows: rows.with_columns(upload_id=pl.lit("nobody")),
        frame_id="g3",
    )  # fmt: skip

    assert reported(problems, "row.upload")[0][::2] == ("labels", path)
    assert "nobody" in problems.filter(check="row.upload")["message"].item()


def test_a_change_with_an_unknown_operation(dataset: lakehouse.Dataset) -> None:
    path, problems = forged(
        dataset, "frames_changes", lambda rows: rows.with_columns(op=pl.lit("SWAP")),
        frame_id="g3",
    )  # fmt: skip

    assert reported(problems, "row.op") == [("frames_changes", 12, path)]


@pytest.mark.parametrize("version", [3, 13])
@pytest.mark.parametrize("table", LIVE_TABLES)
def test_a_fingerprint_that_is_not_its_versions(
    dataset: lakehouse.Dataset, table: str, version: int
) -> None:
    """Both live table and change log say otherwise."""
    entry = dataset._collection.ledger.read(version)
    forge_header(dataset, version, fingerprint={**entry.fingerprint, table: "ab" * 16})

    problems = verified(dataset)

    for check, name in (("live", table), ("change_log", f"{table}_changes")):
        ((where, at, _),) = reported(problems, f"{check}.fingerprint")
        assert (where, at) == (name, version)


def test_rows_that_are_not_as_many_as_the_entry_says(
    dataset: lakehouse.Dataset,
) -> None:
    forge_header(dataset, 13, rows=dict.fromkeys(LIVE_TABLES, 1))

    quick = opened(dataset._collection.store.root).verify(full=False)

    assert quick.problems["check"].to_list().count("live.fingerprint") == 4
    assert "not 1 and" in quick.problems["message"][-1]


@pytest.mark.parametrize("in_memory", [True, False])
def test_large_tables_are_compared_in_parts(
    dataset: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    monkeypatch.setattr(spool, "PART_ROWS", 40)
    if not in_memory:
        monkeypatch.setattr(spool, "IN_MEMORY_ROWS", 0)
    part_counts: list[int] = []
    assert spool.parts_for(200) == 8

    sound = dataset.verify(
        progress=lambda stage, _, total: (
            part_counts.append(total) if stage == "keys" else None
        )
    )

    assert sound.is_sound, sound.problems
    assert part_counts[0] > 1
    _, problems = forged(dataset, "frames", doubled, frame_id="g3")
    assert reported(problems, "key.twice")
