"""One Ceph gateway for the run, and a proxy before it that goes wrong on demand."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.s3 import new_bucket, options_of

HERE = Path(__file__).parent
Fail = Callable[[str, str, str], None]
"""Method, part of the key, and action: how the next such request goes wrong."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.ceph)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ceph") / "cluster"
    port = free_port()
    command = [str(HERE / "rgw.sh"), str(folder), str(port), str(free_port())]
    subprocess.run(command, check=True, timeout=180)
    yield f"http://127.0.0.1:{port}"
    for file in folder.glob("*.pid"):
        os.kill(int(file.read_text()), signal.SIGKILL)


@pytest.fixture(scope="session")
def proxy(gateway: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.interop.ceph.proxy", gateway, str(port)]
    running = subprocess.Popen(command, cwd=HERE.parents[2])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    running.kill()
    running.wait()


@pytest.fixture
def fail(proxy: str) -> Iterator[Fail]:
    def send(method: str, data: bytes | None = None) -> None:
        request = urllib.request.Request(f"{proxy}/__fault__", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def add(method: str, key: str, action: str) -> None:
        rule = {"method": method, "key": key, "action": action, "times": 1}
        send("POST", json.dumps(rule).encode())

    yield add
    send("DELETE")


@pytest.fixture
def ceph_options(proxy: str) -> dict[str, str]:
    return options_of(proxy)


@pytest.fixture
def ceph_root(ceph_options: dict[str, str]) -> str:
    return new_bucket(ceph_options)
