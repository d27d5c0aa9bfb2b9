"""What is promised by number is held by tests that are there."""

import ast
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__)
ROOT = HERE.parents[3]
FEATURES: dict[str, list[str]] = tomllib.loads(
    HERE.with_name("features.toml").read_text(encoding="utf-8")
)


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name for name in names if name.startswith("test_")}


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_held_by_tests_that_are_there(feature: str) -> None:
    named = [node.partition("::") for node in FEATURES[feature]]

    missing = [
        f"{path}::{name}"
        for path, _, name in named
        if not (ROOT / path).is_file() or name not in functions_of(ROOT / path)
    ]

    assert named
    assert missing == []


def test_features_are_listed_once_in_their_order() -> None:
    assert len(FEATURES) > 25
    assert list(FEATURES) == sorted(FEATURES)
