"""The plan of the house, measured: rooms, arrows, sizes, words, comments."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import lakehouse
from lakehouse._paths import JOBS
from tests.surface.house import (
    Function,
    House,
    body_length,
    figures,
    functions,
    picture,
)

PACKAGE: Final = Path(lakehouse.__file__).parent
MODULES: Final = sorted([*PACKAGE.rglob("*.py"), *JOBS.rglob("*.py")])
LIMITS: Final = {
    "files in the root": 5,
    "rooms": 26,
    "floors": 10,
    "arrows": 150,
    "files": 225,
    "longest file": 800,
    "longest body": 60,
    "most files in a folder": 20,
}
"""At the most, by `tests.surface.house.figures`."""


REFUSED: Final = {
    "told": "what it is: `message`, `fields`, `progress`, `map_errors`",
    "said": "what it is: `answer`, `recorded`, `metadata`",
    "mine": "whose it is: `predictions`, `own_rows`, `this`",
    "theirs": "whose it is: `truth`, `other`",
    "found": "what was found: `rows`, `match`, `path`, `problem`",
    "wholly": "`replaced_frames`, `whole`",
    "singly": "`single_labels`",
    "lasting": "`surviving_frames`, `kept`",
    "its": "whose: `dataset_name`, `own`",
}
"""Words that are no names: a reader cannot tell, or search for, what they stand for."""

SOURCES: Final = sorted(
    path
    for folder in ("lakehouse", "jobs", "tests", "benchmarks")
    for path in (PACKAGE.parent / folder).rglob("*.py")
)


@functools.cache
def counted() -> dict[str, float]:
    return figures(PACKAGE)


def named(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file gives, with its line; a test's name is a sentence."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not node.name.startswith("test_"):
                    yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str(alias)):
                yield node.lineno, alias
            case _:
                pass


@pytest.mark.parametrize("what", LIMITS)
def test_the_package_stays_within_its_limits(what: str) -> None:
    assert counted()[what] <= LIMITS[what]


def test_names_are_words_that_one_can_search_for() -> None:
    refused = [
        f"{path.relative_to(PACKAGE.parent)}:{line} {name!r}: call it {REFUSED[word]}"
        for path in SOURCES
        for line, name in named(path)
        for word in set(name.lower().split("_")) & REFUSED.keys()
    ]

    assert not refused, "\n".join(refused)


def test_the_picture_in_the_docs_is_of_the_code_as_it_is() -> None:
    drawn = PACKAGE.parent / "docs" / "house.svg"

    assert drawn.read_text(encoding="utf-8") == picture(House.of(PACKAGE)), (
        "python -m tests.surface.house --draw docs/house.svg"
    )


def test_a_circle_between_rooms_is_named() -> None:
    circle = House({"a": [], "b": []}, frozenset({("a", "b"), ("b", "a")}))

    with pytest.raises(ValueError, match="a → b → a"):
        circle.floors()


def test_imports_inside_functions_and_for_types_alone_are_arrows(
    tmp_path: Path,
) -> None:
    package = tmp_path / "house"
    for room in ("attic", "cellar", "hall"):
        (package / room).mkdir(parents=True)
    (package / "attic" / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from house.hall import Door\n"
        "def climb():\n    import house.cellar.stairs\n"
    )
    (package / "hall" / "__init__.py").write_text("from house import cellar\n")
    (package / "cellar" / "stairs.py").write_text("")

    house = House.of(package)

    assert house.arrows == {("attic", "hall"), ("attic", "cellar"), ("hall", "cellar")}
    assert house.floors() == {"attic": 3, "hall": 2, "cellar": 1}


# ------------------------------------ HABITS ---------------------------------- #


def public(node: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """The functions and classes that a user may meet, methods included."""
    for child in node.body:
        if isinstance(child, Function | ast.ClassDef) and child.name[0] != "_":
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def test_every_module_says_what_it_is() -> None:
    assert len(MODULES) > 50
    silent = [
        str(path)
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_public_names_have_docstrings() -> None:
    silent = [
        f"{path}: {node.name}"
        for path in MODULES
        for node in public(ast.parse(path.read_text(encoding="utf-8")))
        if not ast.get_docstring(node)
    ]
    assert not silent


def test_jobs_have_short_bodies_too() -> None:
    longest = max(
        body_length(function)
        for path in JOBS.rglob("*.py")
        for function in functions(path)
    )
    assert longest <= LIMITS["longest body"]
