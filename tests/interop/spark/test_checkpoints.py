"""Spark finds a checkpoint and reads it by plain SQL, without this package."""

from typing import Any

import lakehouse
from tests.rows import box, frame


def test_sql_finds_a_checkpoint_and_reads_it(
    spark: Any, dataset: lakehouse.Dataset
) -> None:
    dataset.add([frame("f1")], [box("f1", "a"), box("f1", "b")])
    dataset.checkpoint("baseline")
    dataset.upsert_labels([box("f1", "a", width=9.0)])
    dataset.compact()
    folder = dataset._collection.store.uri(dataset._collection.path)

    (row,) = spark.sql(
        f"SELECT version FROM delta.`{folder}/tags` WHERE name = 'baseline'"
    ).collect()
    rows = spark.sql(
        f"SELECT label_id, width FROM delta.`{folder}/labels` "
        f"VERSION AS OF {row.version} ORDER BY label_id"
    ).collect()

    assert row.version == 1
    assert [tuple(row) for row in rows] == [("a", 3.0), ("b", 3.0)]
