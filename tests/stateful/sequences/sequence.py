"""A random sequence of uploads to a dataset, checked step by step.

Everything follows from the seed: the sizes, the operations, the values, and how
the rows are sent. The steps are printed, so that a failure tells its story.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

import lakehouse
from lakehouse.model.contracts import LIVE_TABLES, contract
from lakehouse.testing.invariants import assert_verified
from lakehouse.transactions.background import finish
from tests.stateful.sequences.latest_rows import (
    CLASSES,
    LatestRows,
    Row,
    Sending,
    Tables,
    assert_rows,
)
from tests.stateful.sequences.random_uploads import (
    LARGEST,
    PAIRS,
    draw_size,
    draw_upload,
)
from tests.stateful.sequences.readers import Reader

__all__ = ["Steps", "assert_read_by"]

_LONG_ONES: Final = 20
"""One sequence in so many is long and of small uploads: it passes a checkpoint."""


class Steps:
    """A dataset, its model, and what each version should be."""

    def __init__(self, root: Path, seed: int, largest: int = LARGEST) -> None:
        self._draw = random.Random(seed)
        self._seed = seed
        self._root = str(root / "lake")
        project = lakehouse.connect(self._root, author="mira").create_project(
            "cells", classes=list(CLASSES)
        )
        self.dataset = project.create_dataset("hela")
        self.model = LatestRows()
        self.expected: dict[int, Tables] = {}
        self._is_long = seed % _LONG_ONES == 7
        # Most sequences stay small: each has its own largest upload.
        cap = largest if not self._draw.randrange(8) else min(largest, 1500)
        self._largest = 12 if self._is_long else draw_size(self._draw, cap) or 1

    def run(self) -> None:
        """All steps, each checked."""
        count = 24 if self._is_long else self._draw.randint(3, 8)
        for place in range(count):
            self._step(place)
            if not self._draw.randrange(4):
                self._compact()
        finish()

    def open(self, **options: Any) -> lakehouse.Dataset:
        """The dataset in a lake opened afresh."""
        lake = lakehouse.connect(self._root, author="noor", **options)
        return lake.project("cells").dataset("hela")

    # --------------------------------- STEPS -------------------------------- #

    def _step(self, place: int) -> None:
        draw = self._draw
        pair = PAIRS[(self._seed * 5 + place) % len(PAIRS)]
        if not place:
            pair = ("add", "new")
        elif draw.randrange(2):
            pair = draw.choice(PAIRS)
        waiting = draw.choice([2, 3]) if not draw.randrange(6) else 0
        if not waiting:
            self._submit(self._drawn(pair))
        else:
            self._stage(pair, waiting)
        self._check_latest()

    def _drawn(self, pair: Any) -> Sending:
        sent = draw_upload(self._draw, self.model, pair, self._largest)
        print(f"{'/'.join(pair)}: {len(sent.frames)} + {len(sent.labels)} rows")
        return sent

    def _submit(self, sent: Sending) -> None:
        rejected = self.model.apply(sent)
        self._settle(self._send(self.dataset, sent), rejected)

    def _stage(self, pair: Any, count: int) -> None:
        """Several uploads wait, and are merged at once."""
        waiting: list[tuple[str, set[str], Tables]] = []
        deferred = self.open(merge="deferred")
        for _ in range(count):
            sent = self._drawn(pair)
            upload = self._send(deferred, sent)
            assert upload.status == "PENDING"
            rejected = self.model.apply(sent)
            waiting.append((upload.id, rejected, self._tables()))
            pair = self._draw.choice(PAIRS)
        merged = {upload.id: upload for upload in self.dataset.merge_pending()}
        assert list(merged) == [upload_id for upload_id, *_ in waiting]
        for upload_id, rejected, tables in waiting:
            self._settle(merged[upload_id], rejected, tables)

    def _settle(
        self, upload: lakehouse.Upload, rejected: set[str], tables: Tables | None = None
    ) -> None:
        """Remember what the upload's version holds; a later upload may share it."""
        assert upload.version is not None
        assert upload.counts["rejected"] == len(rejected), upload.errors()
        if rejected:
            errors = upload.errors().filter(pl.col("severity") == "error")
            assert set(errors["frame_id"]) == rejected
        self.expected[upload.version] = self._tables() if tables is None else tables

    def _compact(self) -> None:
        compact = getattr(self.dataset, "compact", None)
        if compact is None or not self.expected:
            return
        version = self.dataset.version
        compact()
        print("compact")
        assert self.dataset.version == version
        self._check_latest()

    def _send(self, dataset: lakehouse.Dataset, sent: Sending) -> lakehouse.Upload:
        """As a table or as dicts, frames and labels in one call."""
        as_table = sent.rows > 200 or bool(self._draw.randrange(2))

        def given(rows: Sequence[Row]) -> pl.DataFrame | Sequence[Row]:
            if not rows or not as_table:
                return rows
            return pl.DataFrame(rows, infer_schema_length=None)

        nulls: Any = "clear" if sent.clear else "keep"
        if sent.verb == "add":
            return dataset.add(given(sent.frames), given(sent.labels))
        if sent.verb == "upsert_labels":
            return dataset.upsert_labels(given(sent.labels))
        if sent.verb == "delete":
            return dataset.delete(given(sent.frames), given(sent.labels))
        return dataset.modify(given(sent.frames), given(sent.labels), nulls=nulls)

    # -------------------------------- CHECKS -------------------------------- #

    def _tables(self) -> Tables:
        return self.model.as_tables(_TYPES)

    def _check_latest(self) -> None:
        assert self.dataset.version == max(self.expected)
        assert_snapshot(self.dataset.latest(), self.expected[self.dataset.version])

    def check_versions(self) -> None:
        """Every version is still what it was, for whoever opens the lake now."""
        again = self.open()
        assert again.versions()["version"].to_list() == [0, *sorted(self.expected)]
        for version, wanted in self.expected.items():
            assert_snapshot(again.at(version), wanted)
        assert_verified(again)


def assert_snapshot(snapshot: lakehouse.Snapshot, wanted: Tables) -> None:
    for table in LIVE_TABLES:
        rows = getattr(snapshot, table)().collect()
        assert_rows(rows, wanted[table], table)


def assert_read_by(read: Reader, steps: Steps) -> None:
    """An engine reads every live table at every version as the model had it."""
    for version, wanted in steps.expected.items():
        for table, at in steps.dataset.at(version).tables.items():
            assert_rows(read(at.uri, at.version), wanted[table], table)


_METADATA: Final = {
    "user__split": pl.String(),
    "user__score": pl.Float64(),
    "user__n4": pl.Int64(),
    "user__n5": pl.Int64(),
    "user__tags": pl.List(pl.String()),
}
_TYPES: Final = {table: contract(table).schema(_METADATA) for table in LIVE_TABLES}
