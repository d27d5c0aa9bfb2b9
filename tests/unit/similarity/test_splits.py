"""Splits stay: a group goes where its name falls, and what has one keeps it."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, strategies as st

import lakehouse
from lakehouse.similarity.splits import assign
from tests.rows import frame

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
FALLEN = ["train", "test", "train", "test", "train", "train"]
Rows = list[tuple[str, str | None, str | None]]


def table(rows: Rows) -> pl.DataFrame:
    names = ["frame_id", "group", "split"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def splits(dataset: lakehouse.Dataset) -> dict[str, str | None]:
    rows = dataset.latest().frames().select("frame_id", "user__split").collect()
    return dict(rows.iter_rows())


def test_a_name_falls_where_it_always_fell() -> None:
    # Were the hash another one day, new frames of old groups would change sides.
    rows = assign(table([(f"f{n}", None, None) for n in range(6)]), SHARES, "")
    other = assign(table([(f"f{n}", None, None) for n in range(6)]), SHARES, "7")

    assert rows["split"].to_list() == FALLEN
    assert other["split"].to_list() != FALLEN


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.tuples(st.none() | st.sampled_from("xyz"), st.none() | st.just("test")),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_a_group_is_never_torn_and_nothing_that_is_there_matters(
    given_rows: dict[str, tuple[str | None, str | None]], draw: Any
) -> None:
    rows: Rows = [(name, *rest) for name, rest in given_rows.items()]
    draw.shuffle(rows)

    assigned = dict(assign(table(rows), SHARES, "").iter_rows())

    groups = {name: group for name, group, _ in rows}
    homes = {group: split for _, group, split in rows if group and split}
    assert set(assigned) == {name for name, _, split in rows if split is None}
    for name, split in assigned.items():
        alone = assign(table([(name, groups[name], None)]), SHARES, "")
        own = homes.get(groups[name] or "", alone["split"].item())
        assert split == own


def test_shares_are_kept() -> None:
    rows = assign(table([(f"f{n}", None, None) for n in range(20_000)]), SHARES, "s")

    counts = dict(rows["split"].value_counts().iter_rows())
    for name, share in SHARES.items():
        assert counts[name] / 20_000 == pytest.approx(share, abs=0.01)


def test_frames_keep_their_split_and_their_group_follows(
    dataset: lakehouse.Dataset,
) -> None:
    rows = [frame(f"f{n}", user__patient=f"p{n % 7}") for n in range(40)]
    dataset.add([*rows, frame("odd", user__patient="new", user__split="other")])
    first = dataset.assign_splits(SHARES, by="user__patient", message="for training")
    before = splits(dataset)

    dataset.add([frame("late", user__patient="p3"), frame("new", user__patient="new")])
    again = dataset.assign_splits({"test": 1.0}, by="user__patient")

    after = splits(dataset)
    assert first.counts["modified"] == 40
    assert again.counts["modified"] == 2
    assert {name: after[name] for name in before} == before
    assert len({before[f"f{n}"] for n in range(0, 40, 7)}) == 1
    assert (after["late"], after["new"]) == (before["f3"], "other")
    parts = [
        dataset.latest().filter(frames=pl.col("user__split") == name)
        for name in ("train", "test")
    ]
    assert parts[0].leakage(parts[1], by="user__patient").groups.height == 0
    assert dataset.assign_splits(SHARES).counts["modified"] == 0


def test_a_torn_group_is_refused_and_nothing_is_written(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add(
        [
            frame("a", user__p="x", user__split="train"),
            frame("b", user__p="x", user__split="test"),
            frame("c", user__p="x"),
            frame("d", user__p="y"),
        ]
    )

    with pytest.raises(
        lakehouse.InvalidInputError, match=r"group x is in several .*'test', 'train'"
    ):
        dataset.assign_splits(SHARES, by="user__p")
    assert dataset.version == 1


def test_everything_wrong_is_reported_at_once(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("a", user__n=1)])

    with pytest.raises(lakehouse.InvalidInputError) as refusal:
        dataset.assign_splits({"train": -1, "test": 2.0}, by="user__m", field="user__n")
    assert [fault.path for fault in refusal.value.problems] == [
        "shares['train']",
        "by",
        "field",
    ]
    with pytest.raises(lakehouse.InvalidInputError, match=r"sum up to 0.9"):
        dataset.assign_splits({"train": 0.9})
    with pytest.raises(lakehouse.InvalidInputError, match="is no metadata field"):
        dataset.assign_splits({"train": 1.0}, field="split")
