import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from moto.server import ThreadedMotoServer

import lakehouse
from tests.s3 import new_bucket, options_of

settings.register_profile(
    "default", max_examples=10, stateful_step_count=15, deadline=None
)
settings.register_profile("ci", max_examples=40, stateful_step_count=25, deadline=None)
settings.register_profile(
    "nightly",
    max_examples=500,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


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
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_options(s3_server: str) -> dict[str, str]:
    return options_of(s3_server)


@pytest.fixture
def s3_root(s3_options: dict[str, str]) -> str:
    return new_bucket(s3_options)
