"""Row hashes never change, and depend on values alone."""

from datetime import UTC, datetime

import polars as pl
from hypothesis import given, strategies as st

from lakehouse.model.row_hash import Fingerprint, row_hash

ROWS = pl.DataFrame(
    {
        "text": ["a", "é", ""],
        "whole": [0, -1, 2**62],
        "real": [0.0, -0.0, float("nan")],
        "truth": [True, False, None],
        "when": [datetime(2026, 1, 1, tzinfo=UTC), None, None],
        "list": [[1.0, 2.0], [], None],
        "nested": [[{"x": 1.0, "name": "tip"}], [{"x": None, "name": ""}], None],
    },
    schema_overrides={"when": pl.Datetime("us", "UTC")},
)


def test_the_hashes_of_known_rows_are_what_they_always_were() -> None:
    assert row_hash(ROWS, ROWS.columns).to_list() == GOLDEN


def test_order_of_columns_chunks_and_new_null_columns_do_not_matter() -> None:
    hashes = row_hash(ROWS, ROWS.columns)
    chunked = pl.concat([ROWS[:1], ROWS[1:]], rechunk=False)
    wider = ROWS.with_columns(new=pl.lit(None, dtype=pl.String))

    assert row_hash(ROWS, ROWS.columns[::-1]).equals(hashes)
    assert row_hash(chunked, ROWS.columns).equals(hashes)
    assert row_hash(wider, wider.columns).equals(hashes)
    assert row_hash(ROWS.reverse(), ROWS.columns).equals(hashes.reverse())


def test_signs_of_zero_and_kinds_of_nan_are_one() -> None:
    zeros = pl.DataFrame({"x": [0.0, -0.0, float("nan"), -float("nan")]})
    hashes = row_hash(zeros, ["x"]).to_list()

    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8)
)
def test_equal_rows_hash_alike_and_others_do_not(pairs: list[tuple[int, int]]) -> None:
    rows = pl.DataFrame(pairs, schema=["a", "b"], orient="row")
    hashes = row_hash(rows, ["a", "b"]).to_list()

    for first, one in zip(pairs, hashes, strict=True):
        for second, two in zip(pairs, hashes, strict=True):
            assert (first == second) == (one == two)


def test_values_swapped_between_rows_change_the_fingerprint() -> None:
    rows = pl.DataFrame({"key": ["a", "b"], "value": [1, 2]})
    swapped = rows.with_columns(value=pl.Series([2, 1]))

    one, two = (
        Fingerprint.of(row_hash(part, part.columns)) for part in (rows, swapped)
    )

    assert one.first != two.first
    assert one.second != two.second


GOLDEN = [6108453510131091054, -8359536631865512955, -2455578474485432206]


@given(st.lists(st.none() | st.text(), min_size=1, max_size=8))
def test_few_and_many_rows_are_hashed_alike(texts: list[str | None]) -> None:
    few = pl.DataFrame({"a": pl.Series(texts, dtype=pl.String)})
    many = pl.concat([few] * (300 // len(texts) + 1))

    hashes = row_hash(many, ["a"])

    assert hashes.head(len(texts)).equals(row_hash(few, ["a"]))
