"""Spark cannot write to any table, and what it tries removes nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lakehouse
from lakehouse.model.contracts import contract
from tests.rows import box, frame

UNKNOWN_FEATURE = "DELTA_UNSUPPORTED_FEATURES_FOR_WRITE"
"""The table has a writer feature that Spark does not know."""
APPEND_ONLY = "DELTA_CANNOT_MODIFY_APPEND_ONLY"
"""Spark looks at this first; `allow_changes` tells that it cannot be undone."""


def append(spark: Any, uri: str) -> None:
    rows = spark.read.format("delta").load(uri)
    rows.write.format("delta").mode("append").save(uri)


def overwrite(spark: Any, uri: str) -> None:
    rows = spark.read.format("delta").load(uri).limit(0)
    rows.write.format("delta").mode("overwrite").save(uri)


def delete(spark: Any, uri: str) -> None:
    spark.sql(f"DELETE FROM delta.`{uri}`")


def update(spark: Any, uri: str) -> None:
    spark.sql(f"UPDATE delta.`{uri}` SET upload_id = 'x'")


def vacuum(spark: Any, uri: str) -> None:
    spark.sql(f"VACUUM delta.`{uri}` RETAIN 0 HOURS")


def optimize(spark: Any, uri: str) -> None:
    spark.sql(f"OPTIMIZE delta.`{uri}`")


def restore(spark: Any, uri: str) -> None:
    spark.sql(f"RESTORE TABLE delta.`{uri}` TO VERSION AS OF 1")


def allow_changes(spark: Any, uri: str) -> None:
    properties = "('delta.appendOnly' = 'false')"
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES {properties}")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> lakehouse.Dataset:
    """Small files for OPTIMIZE to join, and files that only old versions name."""
    lake = lakehouse.connect(tmp_path_factory.mktemp("spark") / "lake")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    for number in range(3):
        name = f"f{number}"
        dataset.add([frame(name, embedding=[1.0, 2.0])], [box(name, "l")])
    dataset.modify(labels=[{"frame_id": "f1", "label_id": "l", "width": 7.0}])
    dataset.delete(["f0"])
    return dataset


@pytest.mark.parametrize(
    "write",
    [append, overwrite, delete, update, vacuum, optimize, restore, allow_changes],
)
@pytest.mark.parametrize("table", ["frames", "labels", "labels_changes", "uploads"])
def test_writes_are_refused_and_remove_nothing(
    written: lakehouse.Dataset,
    table: str,
    write: Callable[[Any, str], None],
    spark: Any,
) -> None:
    store, path = written._collection.store, written._collection.table_path(table)
    uri = store.uri(path)
    orphan = Path(uri) / "part-orphan.parquet"
    orphan.write_bytes(b"nobody names this file")
    for old in Path(uri).glob("*.parquet"):
        os.utime(old, (10**9, 10**9))
    before = store.files(path)
    head = written._collection.head().version

    changes = write in {overwrite, delete, update} and contract(table).append_only
    reason = APPEND_ONLY if changes else UNKNOWN_FEATURE
    with pytest.raises(Exception, match=reason):
        write(spark, uri)

    after = store.files(path)
    assert set(before) <= set(after)
    assert written._collection.head().version == head
    log = {file.path for file in after if "_delta_log/" in file.path}
    lines = {path for path in log if path.endswith(".json")}
    assert lines <= {file.path for file in before}
