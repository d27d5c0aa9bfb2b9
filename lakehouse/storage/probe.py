"""Does the store honour conditional writes? Asked before the first write.

Some S3 servers accept `If-None-Match: *` and ignore it: two writers would both
win, and one would be lost without a word. Such a store is refused.
"""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lakehouse.errors import StorageError
from lakehouse.storage.store import Store

__all__ = ["probe_conditional_writes"]

_RACERS: Final = 8


def probe_conditional_writes(store: Store) -> None:
    """Put one key twice, and another by eight writers at once.

    Raises:
        StorageError: Unless exactly one put of each wins.
    """
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
