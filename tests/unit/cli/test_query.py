"""`lakehouse sql` runs one SELECT on a version's tables, and nothing else."""

from pathlib import Path

import polars as pl
import pytest

import lakehouse
from lakehouse.cli.query import check_select
from lakehouse.errors import InvalidInputError
from tests.rows import box, frame
from tests.unit.cli.test_commands import as_json, run

TABLES = ("frames", "labels")


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "SELECT * FROM frames;",
        "-- all\nselect /* of */ frame_id from labels",
        "with a as (select * from frames) select * from a join labels using (frame_id)",
        "(select 1) union all (select 2)",
        "select 'read_csv(x); drop table frames' as note from frames",
        'select user__read_csv, deleted as "delete" from frames',
        "select f.update, load from frames f",
        "select * from frames where frame_id in ('a;b', 'it''s')",
        "select count(*) from labels where lower(class_name) = 'drop'",
    ],
)
def test_a_select_is_taken(query: str) -> None:
    check_select(query, TABLES)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "empty"),
        (" ; ", "empty"),
        ("create table x as select * from frames", "CREATE"),
        ("drop table frames", "DROP"),
        ("delete from frames", "DELETE"),
        ("truncate table frames", "TRUNCATE"),
        ("insert into frames values (1)", "INSERT"),
        ("update frames set a = 1", "UPDATE"),
        ("explain select 1", "EXPLAIN"),
        ("show tables", "SHOW"),
        ("/* x */ -- y\n drop table frames", "DROP"),
        ("select 1; drop table frames", "second statement"),
        ("with a as (select 1) delete from frames", "DELETE"),
        ("select * from read_csv('s.csv')", "read_csv"),
        ("select * from READ_PARQUET ('http://x/y')", "read_parquet"),
        ("select * from \"read_ipc\"('x')", "read_ipc"),
        ("select * from frames, read_json/**/('x')", "read_json"),
        ("select * from frames join scan_parquet('x') on true", "scan_parquet"),
        ("select * from 's.csv'", "s.csv"),
        ("select (select a from read_csv('s.csv'))", "read_csv"),
    ],
)
def test_anything_else_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(InvalidInputError, match="The query is not run") as caught:
        check_select(query, TABLES)

    assert named in str(caught.value)
    assert "frames, labels" in str(caught.value)


@pytest.fixture
def root(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> str:
    dataset.add([frame("f1")], [box("f1", "a")])
    return lake.root


@pytest.mark.parametrize("table", ["read_csv('{}')", "'{}'", '"{}"', "{}", "`{}`"])
def test_no_file_is_read_however_it_is_named(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"hush": ["secret words"]}).write_csv("secret.csv")

    done = run(root, "sql", f"select * from {table.format('secret.csv')}", "cells/hela")

    assert done.exit_code == 2
    assert "secret words" not in done.output


def test_a_refusal_writes_nothing_and_a_select_answers(root: str) -> None:
    before = sorted(Path(root).rglob("*"))

    assert run(root, "sql", "drop table frames", "cells/hela").exit_code == 2
    assert run(root, "sql", "create table x as select 1", "cells/hela").exit_code == 2
    assert sorted(Path(root).rglob("*")) == before
    assert as_json(root, "sql", "select count(*) as n from frames;", "cells/hela") == [
        {"n": 1}
    ]
