"""What a user installs: a wheel, in an environment with nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse._paths import JOBS, TABLES

ROOT = Path(__file__).parents[2]
PROBE = """
import importlib.resources, importlib.util, json, pkgutil
import lakehouse.jobs, lakehouse.jobs.merge
from lakehouse.model.contracts import contract, contract_names
print(json.dumps({
    "tables": [contract(name).name for name in contract_names()],
    "jobs": [module.name for module in pkgutil.iter_modules(lakehouse.jobs.__path__)],
    "typed": (importlib.resources.files("lakehouse") / "py.typed").is_file(),
    "taken": [n for n in ("tables", "jobs", "tests") if importlib.util.find_spec(n)],
}))
"""


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    environment = tmp_path / "env"
    python = environment / "bin" / "python"

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(uv, "build", "--sdist", "--out-dir", tmp_path, ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    run(uv, "build", "--wheel", "--out-dir", tmp_path, sdist)
    (wheel,) = tmp_path.glob("*.whl")
    run(uv, "venv", environment, "--python", sys.executable)
    run(uv, "pip", "install", "--python", python, wheel)

    probe = json.loads(run(python, "-I", "-c", PROBE))
    assert sorted(probe["tables"]) == sorted(
        path.stem for path in TABLES.glob("*.toml")
    )
    assert sorted(probe["jobs"]) == sorted(path.stem for path in JOBS.glob("[!_]*.py"))
    assert probe["typed"]
    assert not probe["taken"]
    assert "history" in run(environment / "bin" / "lakehouse", "--help")
