"""The habits that a reader relies on, measured."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lakehouse
from lakehouse._paths import JOBS

PACKAGE = Path(lakehouse.__file__).parent
MODULES = sorted([*PACKAGE.rglob("*.py"), *JOBS.rglob("*.py")])
LONGEST_FILE = 600
LONGEST_BODY = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef
modules = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE.parent))
)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def public(node: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """The functions and classes a user may meet, methods included."""
    for child in node.body:
        if isinstance(child, Function | ast.ClassDef) and child.name[0] != "_":
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def body_length(function: Function) -> int:
    """Lines of the body, without its docstring."""
    body = function.body[bool(ast.get_docstring(function)) :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_there_are_modules() -> None:
    assert len(MODULES) > 50


@modules
def test_a_module_says_what_it_is_and_offers(path: Path) -> None:
    tree = parsed(path)
    targets = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]

    assert ast.get_docstring(tree)
    assert "__all__" in targets


@modules
def test_public_names_have_docstrings(path: Path) -> None:
    silent = [node.name for node in public(parsed(path)) if not ast.get_docstring(node)]

    assert not silent


@modules
def test_files_and_bodies_stay_short(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= LONGEST_FILE
    long = {
        node.name: body_length(node)
        for node in ast.walk(parsed(path))
        if isinstance(node, Function) and body_length(node) > LONGEST_BODY
    }
    assert not long
