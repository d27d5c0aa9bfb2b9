"""Whether what came back is what went out, but for what the report names."""

from collections import Counter

import polars as pl

import lakehouse
from lakehouse.formats.content import plain

__all__ = ["rows_of", "unexplained"]

Rows = dict[tuple[str, ...], dict[str, object]]
KEYS = {"frames": ("frame_id",), "labels": ("frame_id", "label_id")}


def rows_of(snapshot: lakehouse.Snapshot, table: str) -> Rows:
    """Every row by its key, vectors included, without nulls."""
    key = list(KEYS[table])
    rows = snapshot.frames() if table == "frames" else snapshot.labels()
    vectors = (
        snapshot.frame_embeddings()
        if table == "frames"
        else snapshot.label_embeddings()
    )
    found = rows.join(vectors, on=key, how="left").sort(key).collect()
    return {
        tuple(row[name] for name in key): plain(row)
        for row in found.iter_rows(named=True)
    }


def unexplained(
    before: lakehouse.Snapshot, after: lakehouse.Snapshot, losses: pl.DataFrame
) -> list[str]:
    """Every difference that no loss, or too small a one, accounts for."""
    told: Counter[tuple[str, str]] = Counter()
    for row in losses.iter_rows(named=True):
        told[row["table"], row["field"]] += row["rows"]
    wrong: list[str] = []
    for table in KEYS:
        old, new = rows_of(before, table), rows_of(after, table)
        wrong += [f"{table} {key} came from nowhere" for key in new.keys() - old.keys()]
        found: Counter[str] = Counter()
        for key, row in old.items():
            if key not in new:
                found["*"] += 1
                continue
            back = new[key]
            names = {*row, *back}
            found.update(name for name in names if row.get(name) != back.get(name))
        whole = ("label_type", "label_id", "frame_id")
        allowed = sum(told[table, name] for name in whole)
        for name, count in found.items():
            most = allowed if name == "*" else told[table, name]
            if count > most:
                wrong.append(f"{table}.{name}: {count} differ, {most} are told")
    return wrong
