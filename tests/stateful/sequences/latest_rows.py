"""The rows of the latest version, in dicts: quick enough for thousands of rows.

This is no second model: `lakehouse.testing.ModelDataset` has every version, every rule
and every result, and a test holds that both come to the same rows. Rows that sequences
draw are valid in themselves, so that a frame is rejected only when it, or the frame of
a label, does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from lakehouse.model.contracts import LIVE_TABLES, contract

__all__ = ["CLASSES", "Key", "LatestRows", "Row", "Sending", "Tables", "assert_rows"]

Row = dict[str, Any]
Key = tuple[str, ...]
Tables = dict[str, pl.DataFrame]
"""The live tables by their names, sorted by key, of the columns that are in use."""
Verb = Literal["add", "modify", "upsert_labels", "delete"]

CLASSES: Final = ("cell", "debris", "dust")


@dataclass(frozen=True, slots=True)
class Sending:
    """One upload."""

    verb: Verb
    frames: Sequence[Row] = ()
    labels: Sequence[Row] = ()
    clear: bool = False
    """Whether a field given as None is set to null."""

    @property
    def rows(self) -> int:
        return len(self.frames) + len(self.labels)


@dataclass
class LatestRows:
    """The latest version; what a version was is kept as tables by whoever asks."""

    tables: dict[str, dict[Key, Row]] = field(
        default_factory=lambda: {table: {} for table in LIVE_TABLES}
    )
    fields: dict[str, dict[str, None]] = field(
        default_factory=lambda: {table: {} for table in LIVE_TABLES}
    )
    """Every field that ever had a value."""

    def apply(self, sent: Sending) -> set[str]:
        """Do it, and return the frames rejected."""
        frames = self.tables["frames"]
        brought = {row["frame_id"] for row in sent.frames}
        strangers = {
            row["frame_id"]
            for row in sent.labels
            if (row["frame_id"],) not in frames
            and (sent.verb != "add" or row["frame_id"] not in brought)
        }
        if sent.verb == "modify":
            strangers |= {one for one in brought if (one,) not in frames}
        if sent.verb != "modify":
            self._drop_frames(brought - strangers)
        if sent.verb == "delete":
            for row in sent.labels:
                self._drop_label((row["frame_id"], row["label_id"]))
            return strangers
        for table, rows in (("frames", sent.frames), ("labels", sent.labels)):
            for row in rows:
                if row["frame_id"] not in strangers:
                    self._set(table, row, sent)
        return strangers

    def _drop_frames(self, gone: set[str]) -> None:
        for table, rows in self.tables.items():
            if any(key[0] in gone for key in rows):
                kept = {key: row for key, row in rows.items() if key[0] not in gone}
                self.tables[table] = kept

    def _drop_label(self, key: Key) -> None:
        self.tables["labels"].pop(key, None)
        self.tables["label_embeddings"].pop(key, None)

    def _set(self, table: str, row: Row, sent: Sending) -> None:
        keys = contract(table).key
        key = tuple(row[name] for name in keys)
        old = self.tables[table].get(key)
        if sent.verb == "modify" and old is None:
            return
        new = {name: value for name, value in row.items() if value is not None}
        vector = new.pop("embedding", None)
        if sent.verb == "modify":
            cleared = {name for name, value in row.items() if value is None}
            gone = cleared if sent.clear else set[str]()
            merged = (old or {}) | new
            new = {name: value for name, value in merged.items() if name not in gone}
        elif table == "labels":
            new["label_type"] = "BBOX_2D"
        if "class_name" in new:
            new["class_id"] = CLASSES.index(new["class_name"])
        self.tables[table][key] = new
        self.fields[table] |= dict.fromkeys(new)
        if vector is not None:
            place = dict(zip(keys, key, strict=True))
            vectors = f"{table.removesuffix('s')}_embeddings"
            self.tables[vectors][key] = place | {"embedding": vector}
            self.fields[vectors] |= dict.fromkeys([*keys, "embedding"])

    def as_tables(self, types: Mapping[str, Mapping[str, pl.DataType]]) -> Tables:
        """The rows as tables of the fields that ever had a value.

        Args:
            types: The types of the columns, table by table; a field that is not
                among them is a KeyError.
        """
        made = {}
        for table, rows in self.tables.items():
            names = list(dict.fromkeys([*contract(table).key, *self.fields[table]]))
            content = {name: [row.get(name) for row in rows.values()] for name in names}
            schema = {name: types[table][name] for name in names}
            frame = pl.DataFrame(content, schema=schema)
            made[table] = frame.sort(contract(table).key)
        return made


def assert_rows(rows: pl.DataFrame, wanted: pl.DataFrame, table: str) -> None:
    """The rows are those, in any order; columns besides are empty, or provenance."""
    provenance = set(contract(table).provenance)
    actual = rows.select(wanted.columns).sort(contract(table).key)
    actual = actual.cast(wanted.schema)
    if not actual.equals(wanted):
        keys = list(contract(table).key)
        missing = wanted.join(actual, on=keys, how="anti").height
        extra = actual.join(wanted, on=keys, how="anti").height
        pair = zip(actual.iter_rows(), wanted.iter_rows(), strict=False)
        first = next((both for both in pair if both[0] != both[1]), None)
        raise AssertionError(
            f"{table}: {actual.height} rows for {wanted.height}, {missing} missing, "
            f"{extra} too many; first that differ: {first}"
        )
    rest = set(rows.columns) - set(wanted.columns) - provenance
    filled = [name for name in rest if rows[name].null_count() < rows.height]
    assert not filled, (table, filled)
