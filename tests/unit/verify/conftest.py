import shutil
from pathlib import Path

import pytest

from tests.unit.verify.prepared import prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a lake that nobody may change."""
    root = tmp_path_factory.mktemp("verify") / "lake"
    prepare(root)
    return root


@pytest.fixture
def copied(prepared: Path, tmp_path: Path) -> Path:
    """The root of a copy of it: files that were shared are two files now."""
    return Path(shutil.copytree(prepared, tmp_path / "copied"))
