import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from hypothesis import HealthCheck, settings
from moto.server import ThreadedMotoServer

import lakehouse

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
    return {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "testtest",
        "AWS_ALLOW_HTTP": "true",
    }


@pytest.fixture
def s3_root(s3_options: dict[str, str]) -> str:
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    files = s3fs.S3FileSystem(
        key="test",
        secret="testtest",
        endpoint_url=s3_options["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    files.mkdir(bucket)
    return f"s3://{bucket}/lake"
