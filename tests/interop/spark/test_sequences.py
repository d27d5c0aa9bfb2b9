"""Spark reads what random sequences of uploads made, as their model has it.

Six of them; `SPARK_SEQUENCES=20 make test-spark` takes twenty.
"""

import os
from pathlib import Path

import pytest

from tests.interop.spark.table_versions import ReadAll
from tests.stateful.sequences.sequence import Steps, assert_read_by

COUNT = int(os.environ.get("SPARK_SEQUENCES", "6"))


@pytest.mark.parametrize("seed", range(COUNT), ids=lambda seed: f"seed-{seed}-")
def test_every_version_of_a_sequence(
    seed: int, tmp_path: Path, by_spark: ReadAll
) -> None:
    steps = Steps(tmp_path, seed)
    steps.run()
    dataset = steps.dataset
    snapshots = [dataset.at(version) for version in steps.expected]

    read = by_spark((at.uri, at.version) for s in snapshots for at in s.tables.values())

    assert_read_by(lambda uri, version: read[uri, version], steps)
