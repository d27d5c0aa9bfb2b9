"""Whether the rows that came back are those that went out, but for counted losses."""

from collections import Counter

import polars as pl

import lakehouse
from lakehouse.formats.content import plain

__all__ = ["rows_of", "unexplained"]

Rows = dict[tuple[str, ...], dict[str, object]]
KEYS = {"frames": ("frame_id",), "labels": ("frame_id", "label_id")}


def rows_of(snapshot: lakehouse.Snapshot, table: str) -> Rows:
    """Rows by key, vectors included, without nulls."""
    key = list(KEYS[table])
    rows = snapshot.frames() if table == "frames" else snapshot.labels()
    vectors = (
        snapshot.frame_embeddings()
        if table == "frames"
        else snapshot.label_embeddings()
    )
    joined = rows.join(vectors, on=key, how="left").sort(key).collect()
    return {
        tuple(row[name] for name in key): plain(row)
        for row in joined.iter_rows(named=True)
    }


def unexplained(
    before: lakehouse.Snapshot, after: lakehouse.Snapshot, losses: pl.DataFrame
) -> list[str]:
    """Every difference that no loss, or too small a one, accounts for."""
    counted: Counter[tuple[str, str]] = Counter()
    for row in losses.iter_rows(named=True):
        counted[row["table"], row["field"]] += row["rows"]
    wrong: list[str] = []
    for table in KEYS:
        old, new = rows_of(before, table), rows_of(after, table)
        wrong += [f"{table} {key} came from nowhere" for key in new.keys() - old.keys()]
        differing: Counter[str] = Counter()
        for key, row in old.items():
            if key not in new:
                differing["*"] += 1
                continue
            back = new[key]
            names = {*row, *back}
            differing.update(name for name in names if row.get(name) != back.get(name))
        whole = ("label_type", "label_id", "frame_id")
        allowed = sum(counted[table, name] for name in whole)
        for name, count in differing.items():
            most = allowed if name == "*" else counted[table, name]
            if count > most:
                wrong.append(f"{table}.{name}: {count} differ, {most} are counted")
    return wrong
