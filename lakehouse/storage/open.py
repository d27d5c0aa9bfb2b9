"""The store at a root as users write it, and the probe of its conditional writes."""

import difflib
import os
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

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

# What starts like an address; a folder so named is written with "./" before it.
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MISREAD: Final = re.compile(r"%[0-9A-Fa-f]{2}|\\")
_ODD: Final = re.compile(r"[^A-Za-z0-9._/:~+=@,-]")

_RACERS: Final = 8  # so many that a store which checks and puts without a lock is seen


def open_store(root: str, storage_options: Mapping[str, str] | None = None) -> Store:
    """The store at a root.

    Args:
        root: A folder, a `file://` URI, or `s3://bucket/prefix`.
        storage_options: `AWS_…` settings; what is left out comes from the
            environment.

    Raises:
        InvalidInputError: If the root is of another kind, or one that other engines
            would take for another place; or if a setting is unknown.

    >>> open_store("lake").root.endswith("/lake")
    True
    """
    options = check_options(storage_options)
    scheme, separator, rest = root.partition("://")
    if scheme == "s3" and separator:
        known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        return S3Store(_s3_root(root), known | options)
    if separator and scheme != "file":
        raise _refused(root, "Other stores are not supported.")
    if separator and not rest.startswith("/"):
        raise _refused(root, "A file:// root has a full path: file:///data/lake.")
    if not root.strip():
        raise _refused(root, "It is empty; the current folder is '.'.")
    if not separator and (start := _SCHEME.match(root)):
        # `s3:bucket/lake` would become a local folder of that name.
        raise _refused(
            root, f"Write {start[0]}//… for a store, or ./{root} for a folder."
        )
    folder = rest if separator else os.path.expanduser(root)  # noqa: PTH111
    _check_text(root, os.path.abspath(folder) if folder.isprintable() else folder)  # noqa: PTH100
    return LocalStore(folder)


def check_options(options: Mapping[str, Any] | None) -> dict[str, str]:
    """Settings of an object store, each of which is one that is used.

    Raises:
        InvalidInputError: If one is unknown or no text; all of them are named.
    """
    problems: list[str] = []
    for name, value in (options or {}).items():
        if name not in _ENVIRONMENT:
            near = difflib.get_close_matches(str(name).upper(), _ENVIRONMENT, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            problems.append(f"{name!r} is unknown{hint}")
        elif not isinstance(value, str):
            # The value may be a secret, so its type alone is shown.
            problems.append(f"{name} is no text but {type(value).__name__}")
    if problems:
        raise InvalidInputError(
            f"storage_options: {'; '.join(problems)}. Settings are "
            f"{', '.join(_ENVIRONMENT)}.",
            kind="lake.storage_options",
        )
    return dict(options or {})


def plain_engine_note(root: str) -> str | None:
    """What plain engines cannot do with the tables at this root; None if nothing.

    >>> plain_engine_note("/data/lake") is None
    True
    """
    odd = sorted(set(_ODD.findall(root)))
    if not odd:
        return None
    shown = ", ".join(repr(character) for character in odd)
    return (
        f"The path of the lake, {root}, holds {shown}: this package reads and writes it, "
        "but Polars' scan_delta and other engines may not open its tables there. Plain "
        "engines open lakes whose path has only letters a-z, digits, '-', '_', '.' and '/'."
    )


def _s3_root(root: str) -> str:
    """`s3://bucket/prefix` with no slash at its end.

    An empty part, or one that is `.` or `..`, is written to one key by one library and
    read from another key by the next.
    """
    bucket, *parts = root.removeprefix("s3://").rstrip("/").split("/")
    if not bucket or any(c.isspace() for c in bucket):
        raise _refused(root, "It names no bucket.")
    if any(part in {"", ".", ".."} for part in parts):
        raise _refused(root, "No part of its prefix may be empty, '.' or '..'.")
    _check_text(root, root)
    return root.rstrip("/")


def _check_text(root: str, place: str) -> None:
    """Refuse characters that engines read in different ways."""
    if not place.isprintable():
        raise _refused(root, "It holds characters that cannot be printed.")
    if match := _MISREAD.search(place):
        raise _refused(
            root,
            f"{place!r} holds {match[0]!r}, which other engines read as another "
            "character. Use a place without it.",
        )


def _refused(root: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"{root!r} is no root of a lake, which is a folder or s3://bucket/prefix. "
        f"{reason}",
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
