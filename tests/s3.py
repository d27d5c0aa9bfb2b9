"""Object stores for tests: how to reach one, and buckets of their own."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import s3fs
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

__all__ = ["new_bucket", "options_of", "running_server"]


@contextmanager
def running_server() -> Iterator[str]:
    """The endpoint of a moto server in this process."""
    turn, put = threading.Lock(), S3Response.put_object

    def put_in_turn(response: Any) -> Any:
        with turn:
            return put(response)

    # moto looks whether a key is there and then puts it, in a thread for each
    # request. Of two conditional PUTs of one key both could win, which S3 rules out.
    with mock.patch.object(S3Response, "put_object", put_in_turn):
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


def options_of(endpoint: str) -> dict[str, str]:
    """What a lake is opened with."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "testtest",
        "AWS_ALLOW_HTTP": "true",
    }


def new_bucket(options: dict[str, str]) -> str:
    """The root of a lake in a new bucket."""
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    files = s3fs.S3FileSystem(
        key=options["AWS_ACCESS_KEY_ID"],
        secret=options["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=options["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    files.mkdir(bucket)
    return f"s3://{bucket}/lake"
