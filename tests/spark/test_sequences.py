"""Spark reads what random sequences of uploads made, as their model has it."""

from pathlib import Path

import pytest

from tests.sequences.sequence import Steps, assert_read_by
from tests.spark.places import ReadAll


@pytest.mark.parametrize("seed", range(20), ids=lambda seed: f"seed-{seed}-")
def test_every_version_of_a_sequence(
    seed: int, tmp_path: Path, by_spark: ReadAll
) -> None:
    steps = Steps(tmp_path, seed)
    steps.run()
    dataset = steps.dataset
    snapshots = [dataset.at(version) for version in steps.expected]

    found = by_spark(
        (at.uri, at.version) for s in snapshots for at in s.tables.values()
    )

    assert_read_by(lambda uri, version: found[uri, version], steps)
