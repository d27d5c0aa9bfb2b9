"""What the pages for contributors name is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "contributing.md", ROOT / ".github" / "CONTRIBUTING.md"]
NAMED = [
    (page.name, *match.groups())
    for page in PAGES
    for match in re.finditer(r"`([\w./-]+\.py):([\w.]+)`", page.read_text("utf-8"))
]


def defined(path: Path) -> set[str]:
    """The functions and classes of a file, methods as `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef)
            }
    return names


def test_functions_are_named() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize(("page", "path", "name"), NAMED)
def test_a_function_that_a_page_names_is_there(page: str, path: str, name: str) -> None:
    assert name in defined(ROOT / path), f"{page} names {path}:{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*\w)`", page.read_text(encoding="utf-8"))
    missing = [path for path in named if not (ROOT / path).exists()]

    assert missing == []
