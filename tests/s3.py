"""Object stores for tests: how to reach one, and buckets of their own."""

import uuid

import s3fs

__all__ = ["new_bucket", "options_of"]


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
