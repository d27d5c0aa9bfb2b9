"""The work by other tools, each called as its own documentation does."""

import importlib
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from benchmarks.data import COLUMNS, KEY, Data, checksum
from benchmarks.measure import Measured, Timer, size_of

RIVALS = ("pylance", "pylance indexed", "deltalake")
"""The tools that can upsert; `load` takes "parquet" too."""


def load(root: Path, data: Data, rival: str) -> Measured:
    """Write labels and frames as two tables."""
    labels, frames, timer = data.labels(), data.frames(), Timer()
    write = {"deltalake": _write_delta, "parquet": _write_parquet}.get(
        rival, _write_lance
    )
    root.mkdir(parents=True, exist_ok=True)
    with timer():
        write(root / "labels", labels)
        write(root / "frames", frames)
    if rival == "pylance indexed":
        _lance().dataset(str(root / "labels")).create_scalar_index("frame_id", "BTREE")
    return Measured(timer.seconds, 0, size_of(root), checksum(_read(root, rival)))


def merges(
    root: Path, data: Data, kind: str, numbers: list[int], rival: str
) -> Measured:
    """Upsert changes of one kind, one after the other, in one process."""
    labels, timer, before = data.labels(), Timer(), size_of(root)
    for number in numbers:
        change = data.change(kind, number, labels).to_arrow()
        with timer():
            (_merge_delta if rival == "deltalake" else _merge_lance)(
                root / "labels", change
            )
    written = (size_of(root) - before) // len(numbers)
    return Measured(timer.seconds, 0, written, checksum(_read(root, rival)))


def _lance() -> Any:
    return importlib.import_module("lance")


def _write_lance(path: Path, rows: pl.DataFrame) -> None:
    _lance().write_dataset(rows.to_arrow(), str(path))


def _write_delta(path: Path, rows: pl.DataFrame) -> None:
    write_deltalake(str(path), rows.to_arrow())


def _write_parquet(path: Path, rows: pl.DataFrame) -> None:
    rows.write_parquet(path)


def _merge_lance(path: Path, change: Any) -> None:
    table = _lance().dataset(str(path))
    merge = table.merge_insert(KEY).when_matched_update_all()
    merge.when_not_matched_insert_all().execute(change)


def _merge_delta(path: Path, change: Any) -> None:
    condition = " and ".join(f"t.{name} = s.{name}" for name in KEY)
    (
        DeltaTable(str(path))
        .merge(change, condition, source_alias="s", target_alias="t")
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )


def _read(root: Path, rival: str) -> pl.DataFrame:
    path = str(root / "labels")
    if rival == "parquet":
        return pl.read_parquet(path)
    if rival == "deltalake":
        table = QueryBuilder().register("t", DeltaTable(path))
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        return pl.DataFrame(table.execute(f"select {names} from t"))
    return pl.DataFrame(_lance().dataset(path).to_table())
