"""Where things lie: declarations are no packages, and arrows point down."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lakehouse
from lakehouse._paths import JOBS, TABLES
from lakehouse.model.contracts import COLLECTION_TABLES, contract, contract_names

PACKAGE = Path(lakehouse.__file__).parent
LAYERS = (
    {"_project", "errors", "progress", "typing"},
    {"contracts", "media", "model"},
    {"settings"},
    {"intake", "merging", "metrics", "storage"},
    {"decision", "fingerprint", "formats", "local_cache", "plotting", "retry"},
    {"delta"},
    {"images"},
    {"prepared"},
    {"leases", "staging"},
    {"ledger"},
    {"own_log"},
    {"catalogue", "collection"},
    {"lock", "replay", "tags"},
    {"similarity"},
    {"engines", "history", "snapshot", "versions"},
    {"checkpoints", "diff", "measuring", "outcomes"},
    {"bisecting"},
    {"upload", "uploads", "verify"},
    {"cloning", "draft", "importing", "submit"},
    {"pinning", "versioned"},
    {"loading", "registered", "segments"},
    {"inference_set", "writable"},
    {"dataset"},
    {"project"},
    {"lake"},
    {"opening"},
    {"aquarium", "demo", "jobs", "testing"},
    {"cli"},
)
"""The rooms, lowest first. A room imports from lower layers only."""


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


def test_every_room_has_a_layer() -> None:
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}

    assert rooms == set().union(*LAYERS)


@pytest.mark.parametrize("layer", range(len(LAYERS)), ids=str)
def test_arrows_point_down(layer: int) -> None:
    lower = set[str]().union(*LAYERS[:layer])
    for room in LAYERS[layer]:
        for path in PACKAGE.rglob("*.py"):
            if room_of(path) != room:
                continue
            upwards = set(imported(path)) - lower - {room}
            if layer < len(LAYERS) - 2:
                assert not upwards, f"{path.name} imports {upwards}"
            else:  # faces use the package's own door too
                assert upwards <= {""}, f"{path.name} imports {upwards}"


def room_of(path: Path) -> str:
    """The first name below the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """The rooms a module imports when it runs; "" is the package's own door."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typed = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "lakehouse":
                yield rest.partition(".")[0]
