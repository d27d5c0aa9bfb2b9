import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import lakehouse

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotations of deepforest 2.1.0 (MIT): Pascal VOC, 951 boxes, 3 classes."""
    folder = tmp_path_factory.mktemp("trees")
    with zipfile.ZipFile(HERE / "deepforest_voc.zip") as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media root with small images that differ."""
    folder = tmp_path_factory.mktemp("images")
    for name, colour in (("a.png", "red"), ("b.png", "blue"), ("f1.png", "green")):
        Image.new("RGB", (64, 32), colour).save(folder / name)
    return folder


@pytest.fixture
def media_lake(tmp_path: Path, images: Path) -> lakehouse.Lake:
    return lakehouse.connect(tmp_path / "lake", author="mira", media_root=images)


Made = Callable[[str], lakehouse.Dataset]


@pytest.fixture
def made(media_lake: lakehouse.Lake) -> Made:
    """Makes empty datasets of one project."""
    project = media_lake.create_project("cells", classes=["cell", "debris"])
    return project.create_dataset
