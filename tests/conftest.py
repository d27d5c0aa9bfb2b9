import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

import lakehouse
from tests.s3 import new_bucket, options_of, running_server

HERE = Path(__file__).parent
IN_MEMORY = pytest.StashKey[str]()
"""The folder in memory that this session made."""

# What a stranger types gives the same answer every time; random examples are drawn
# by the targets that are named after what they draw (`make state` and its like).
settings.register_profile(
    "default",
    max_examples=10,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
)
settings.register_profile(
    "random",
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "nightly", settings.get_profile("random"), max_examples=500, stateful_step_count=30
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 1024**3  # of two workers, with room to spare


def pytest_configure(config: pytest.Config) -> None:
    """Put temporary folders into memory: lakes wait for the disk at every file.

    That is more than half of the time of a test. Workers and child processes inherit
    the folder. A TMPDIR of one's own is respected, and small machines use the disk.
    """
    if "TMPDIR" in os.environ or config.option.basetemp or not MEMORY.is_dir():
        return
    if shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES:
        # What a failed or killed session left is looked at before the next one, or never.
        for left in MEMORY.glob("lakehouse-tests-*-*"):
            if not Path("/proc", left.name.split("-")[2]).exists():
                shutil.rmtree(left, ignore_errors=True)
        prefix = f"lakehouse-tests-{os.getpid()}-"
        folder = tempfile.mkdtemp(prefix=prefix, dir=MEMORY)
        os.environ["TMPDIR"], tempfile.tempdir = folder, None
        config.stash[IN_MEMORY] = folder


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Free the memory, unless there is a failed test whose folder is looked at."""
    folder = session.config.stash.get(IN_MEMORY, None)
    if folder and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lake_root(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


@pytest.fixture
def lake(lake_root: str) -> lakehouse.Lake:
    return lakehouse.connect(lake_root, author="mira")


@pytest.fixture
def project(lake: lakehouse.Lake) -> lakehouse.Project:
    return lake.create_project("cells", classes=["cell", "debris"])


@pytest.fixture
def dataset(project: lakehouse.Project) -> lakehouse.Dataset:
    return project.create_dataset("hela")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with running_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3_options(s3_server: str) -> dict[str, str]:
    return options_of(s3_server)


@pytest.fixture
def s3_root(s3_options: dict[str, str]) -> str:
    return new_bucket(s3_options)


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotations of deepforest 2.1.0 (MIT): Pascal VOC, 951 boxes, 3 classes."""
    folder = tmp_path_factory.mktemp("trees")
    with zipfile.ZipFile(HERE / "unit" / "formats" / "deepforest_voc.zip") as packed:
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
