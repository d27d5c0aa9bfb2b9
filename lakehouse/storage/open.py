"""The store at a root as users write it, and the probe of its conditional writes."""

import os
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lakehouse.errors import InvalidInputError, StorageError
from lakehouse.storage.local import LocalStore
from lakehouse.storage.s3 import S3Store
from lakehouse.storage.store import Store

_ENVIRONMENT: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ALLOW_HTTP",
)

_RACERS: Final = 8  # so many that a store which checks and puts without a lock is seen


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
    scheme, separator, rest = root.partition("://")
    if not separator:
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


def probe_conditional_writes(store: Store) -> None:
    """Put one key twice, and another by eight writers at once.

    Raises:
        StorageError: Unless exactly one put of each wins.
    """
    # In turn shows stores that ignore the condition; at once, those that check it and
    # put later.
    name = f".probe/{secrets.token_hex(8)}"
    sequential, raced = f"{name}-sequential", f"{name}-raced"
    try:
        in_turn = [
            store.put_new(sequential, b"first"),
            store.put_new(sequential, b"second"),
        ]
        with ThreadPoolExecutor(_RACERS) as pool:
            bodies = [f"racer {number}".encode() for number in range(_RACERS)]
            at_once = list(pool.map(lambda body: store.put_new(raced, body), bodies))
    finally:
        store.delete(sequential)
        store.delete(raced)
    if in_turn != [True, False] or sum(at_once) != 1:
        raise StorageError(
            f"The store at {store.root} does not honour conditional writes "
            f"(If-None-Match: *): {sum(in_turn)} of 2 puts of one key in turn won, and "
            f"{sum(at_once)} of {_RACERS} at once; it must be one each. Writers would "
            "lose each other's work, so nothing is written. Use a store that honours "
            "them: a local folder, AWS S3, Ceph RGW, R2, MinIO …",
            kind="store.no_conditional_put",
        )
