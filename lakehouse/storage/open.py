"""From a root as users write it to a store."""

import os
from collections.abc import Mapping

from lakehouse.errors import InvalidInputError
from lakehouse.storage.local import LocalStore
from lakehouse.storage.s3 import S3Store
from lakehouse.storage.store import Store

__all__ = ["open_store"]

_ENVIRONMENT = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ALLOW_HTTP",
)


def open_store(root: str, storage_options: Mapping[str, str] | None = None) -> Store:
    """The store at a root.

    Args:
        root: A folder, a `file://` URI, or `s3://bucket/prefix`.
        storage_options: `AWS_…` settings; what is left out comes from the
            environment.

    Raises:
        InvalidInputError: If the root is of another kind.

    >>> open_store("lake").root.endswith("/lake")
    True
    """
    scheme, found, rest = root.partition("://")
    if not found:
        return LocalStore(os.path.expanduser(root))  # noqa: PTH111 - stays text
    if scheme == "file":
        return LocalStore(rest)
    if scheme == "s3":
        known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        return S3Store(root, known | dict(storage_options or {}))
    raise InvalidInputError(
        f"{root!r} is neither a folder nor s3://bucket/prefix. Other stores are not "
        "supported.",
        kind="lake.root",
    )
