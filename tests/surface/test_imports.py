"""`import lakehouse` is cheap: what is heavy or optional is loaded when used."""

import subprocess
import sys

import pytest

HEAVY = {
    "PIL",
    "deltalake",
    "duckdb",
    "faiss",
    "hotcoco",
    "hypothesis",
    "marimo",
    "matplotlib",
    "moto",
    "pandas",
    "pyspark",
    "pytest",
    "s3fs",
    "skimage",
    "tifffile",
    "torch",
}


@pytest.mark.parametrize(
    "module",
    ["lakehouse", "lakehouse.aquarium", "lakehouse.cli", "lakehouse.metrics"],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert not set(done.stdout.split()) & HEAVY
