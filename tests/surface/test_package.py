"""What the package promises from outside: names, imports, layout, errors, style."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import lakehouse
from lakehouse import errors
from lakehouse._project import JOBS, TABLES
from lakehouse.contracts import COLLECTION_TABLES, contract, contract_names

PACKAGE = Path(lakehouse.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
    "torch",
    "pyspark",
    "duckdb",
    "faiss",
    "marimo",
    "pandas",
    "s3fs",
    "deltalake",
    "PIL",
)


def test_all_is_sorted_and_true() -> None:
    assert list(lakehouse.__all__) == sorted(lakehouse.__all__)
    assert all(hasattr(lakehouse, name) for name in lakehouse.__all__)


def test_importing_loads_nothing_heavy() -> None:
    code = "import lakehouse, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())

    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("folder", [TABLES, JOBS], ids=lambda path: path.name)
def test_declarations_are_not_top_level_packages(folder: Path) -> None:
    assert folder.parent == PACKAGE or not (folder / "__init__.py").exists()


def test_every_contract_is_read_and_documented() -> None:
    assert set(COLLECTION_TABLES) < set(contract_names())
    for name in contract_names():
        shape = contract(name)
        assert shape.key
        assert all(column.comment for column in shape.columns)
        assert f"## {name}" in shape.markdown()


def test_errors_have_one_root_and_survive_pickling() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.LakehouseError)
        extra = {"upload_id": "u"} if name == "UploadFailedError" else {}
        error = kind("what, why, what to do", **extra)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.kind) == (kind, str(error), error.kind)


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_modules_keep_the_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert "__all__" in text
    assert text.count("\n") <= 600
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = (
                node.body[1]
                if ast.get_docstring(node) and node.body[1:]
                else node.body[0]
            )
            assert (node.end_lineno or 0) - first.lineno < 60, node.name


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    root = PACKAGE.parent
    subprocess.run([uv, "build", "--wheel", "--out-dir", tmp_path, root], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run(
        [uv, "venv", tmp_path / "env", "--python", sys.executable], check=True
    )
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--python", python, wheel], check=True)

    shown = subprocess.run(
        [python.parent / "lakehouse", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    code = "from lakehouse.contracts import contract_names as n; import lakehouse.jobs.merge; print(len(n()))"
    found = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert "history" in shown.stdout
    assert int(found.stdout) >= 16
