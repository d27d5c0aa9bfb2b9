"""Where things lie: declarations are no packages, and jobs stay at the front door."""

import ast
from pathlib import Path

import pytest

import lakehouse
from lakehouse._paths import JOBS, TABLES
from lakehouse.model.contracts import COLLECTION_TABLES, contract, contract_names

PACKAGE = Path(lakehouse.__file__).parent


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


def test_doors_alone_list_what_they_offer() -> None:
    """`__all__` in an inner module would promise what is nobody's to use."""
    offering = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node).startswith("__all__")
    }
    assert offering <= {"errors.py", "types.py"}


@pytest.mark.parametrize(
    "path", sorted(JOBS.glob("[!_]*.py")), ids=lambda path: path.name
)
def test_jobs_stay_at_the_front_door(path: Path) -> None:
    """A job asks the catalog: what lies below is none of its business."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module
    } | {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    inner = {name for name in imported if name.startswith("lakehouse.")}

    assert inner <= {"lakehouse.catalog", "lakehouse.errors", "lakehouse.types"}
