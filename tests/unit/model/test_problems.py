"""Problems are collected from rows, tables and one by one, and raised together."""

import polars as pl
import pytest

from lakehouse.errors import InvalidInputError, Problem
from lakehouse.model.problems import (
    PROBLEM_SCHEMA,
    UPLOAD_PROBLEM_SCHEMA,
    Problems,
)

LABELS = pl.DataFrame(
    {
        "frame_id": ["f1", "f1", "f2"],
        "label_id": ["l1", None, "l3"],
        "upload_id": ["u1", "u1", "u2"],
    }
)


def of_rows(rows: pl.DataFrame, *, limit: int | None = None) -> Problems:
    problems = Problems()
    problems.add_rows(
        rows, rule="box.degenerate", message="Flat.", hint="", field="top", limit=limit
    )
    return problems


def test_rows_give_a_problem_each_that_says_where_the_value_is() -> None:
    assert list(of_rows(LABELS)) == [
        Problem(frame, label, path, "box.degenerate", "Flat.", "", "error")
        for frame, label, path in (
            ("f1", "l1", "labels['l1'].top"),
            ("f1", None, "labels[''].top"),
            ("f2", "l3", "labels['l3'].top"),
        )
    ]


def test_the_upload_of_rows_is_kept_for_a_table_of_several_uploads() -> None:
    table = of_rows(LABELS).table(UPLOAD_PROBLEM_SCHEMA)
    assert table.schema == UPLOAD_PROBLEM_SCHEMA
    assert table["upload_id"].to_list() == ["u1", "u1", "u2"]
    assert of_rows(LABELS).table().schema == PROBLEM_SCHEMA


def test_no_rows_give_no_problem_and_a_table_with_all_columns() -> None:
    problems = of_rows(LABELS.clear())
    problems.extend(pl.DataFrame(schema=PROBLEM_SCHEMA))
    problems.raise_if_any()
    assert len(problems) == 0
    assert problems.table().schema == PROBLEM_SCHEMA
    assert problems.table(UPLOAD_PROBLEM_SCHEMA).schema == UPLOAD_PROBLEM_SCHEMA


def test_the_order_is_that_of_adding_whatever_is_added() -> None:
    problems = Problems([Problem("a", None, "p", "r.0", "m", "h")])
    problems.extend(of_rows(LABELS))
    problems.add("q", rule="r.1", message="m", hint="h", severity="warning")
    problems.add("q", rule="r.2", message="m", hint="h", frame_id="f9")
    rules = ["r.0", *["box.degenerate"] * 3, "r.1", "r.2"]
    assert [problem.rule for problem in problems] == rules
    assert problems.table()["rule"].to_list() == rules
    assert list(Problems(problems.table())) == list(problems)


def test_problems_over_the_limit_are_counted_and_not_kept() -> None:
    problems = of_rows(LABELS, limit=1)
    problems.extend(of_rows(LABELS, limit=2))
    assert (len(problems), len(list(problems))) == (6, 3)
    with pytest.raises(InvalidInputError, match="… and 3 more") as error:
        problems.raise_if_any("Refused.", kind="metrics.input")
    assert (error.value.kind, len(error.value.problems)) == ("metrics.input", 3)
    assert error.value.message.startswith("Refused.\n  labels['l1'].top: Flat.\n")


def test_twenty_problems_are_listed_and_the_error_has_all() -> None:
    many = [Problem(None, None, f"p{n}", "r", "m.", "h.") for n in range(25)]
    with pytest.raises(
        InvalidInputError, match=r"p19: m\. h\.\n  … and 5 more"
    ) as error:
        Problems(many).raise_if_any()
    assert (error.value.kind, error.value.problems) == ("r", tuple(many))
