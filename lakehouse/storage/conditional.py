"""Put-if-absent whose answer can be trusted, even when it was lost.

A store may apply a conditional PUT and lose the answer; a client library may
then repeat the PUT by itself and report that another writer was first. So the
answer alone decides nothing: unless it is a plain success, the object is read
back. The bytes carry a unique id, so equal bytes mean that this PUT landed.

Objects put so are numbered without gaps. The newest number is found by doubling
steps and then halving them, so that no folder has to be listed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from lakehouse.errors import NotFoundError, StorageError
from lakehouse.storage import Store

# Pauses of 0.02, 0.04 … 0.32 seconds: 0.6 in all before the caller hears of it.
_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.02


def put_once(
    store: Store,
    path: str,
    data: bytes,
    *,
    durable: bool = False,
    after: Sequence[str] = (),
) -> bool:
    """Put `data` at `path` unless something is there; whether `data` is there afterwards.

    Args:
        store: Where it is put.
        path: Its path.
        data: Its bytes, which nobody else would put there.
        durable: Whether it is durable when this returns True.
        after: Objects that are durable before it is there.

    Returns:
        True when the object at `path` is `data`, whoever put it; False when
        it is something else.

    Raises:
        StorageError: If the store would not say, after several attempts.
            Whether the object landed is then unknown, and the same call
            finds out.
    """
    last_error: StorageError | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            if store.put_new(path, data, durable=durable, after=after):
                return True
            put_error = None
        except StorageError as error:
            put_error = last_error = error
        # "Taken" may be the answer to a repetition of this very PUT, and a lost answer
        # says nothing: only the bytes at the path decide.
        try:
            return _is_landed(store, path, data, durable=durable)
        except NotFoundError:
            # Nothing landed yet; a PUT that still arrives carries the same bytes. A
            # full disk or missing rights do not pass by waiting.
            if put_error is not None and not put_error.retryable:
                raise put_error from None
        except StorageError as error:
            if not error.retryable:
                raise put_error or error from None
            last_error = error
    raise StorageError(
        f"The store does not say whether {path} was written ({last_error}). "
        "Make the same call again: it finds out, and writes nothing twice.",
        kind="store.uncertain",
        retryable=True,
    )


def _is_landed(store: Store, path: str, data: bytes, *, durable: bool) -> bool:
    """Whether the object at a path is this one, and durable if it is to be."""
    if store.read(path) != data:
        return False
    if durable:
        # A disk may link the name and then fail to flush it: a put has not landed
        # before a flush succeeded.
        store.flush([path])
    return True


def newest_number(exists: Callable[[int], bool], known: int) -> int:
    """The newest of numbers that have no gaps; `known` if there is none above it.

    Args:
        exists: Whether a number is taken.
        known: One that is, or -1.

    >>> newest_number(lambda number: number <= 41, -1)
    41
    """
    # The usual case costs one request: nothing is newer.
    if not exists(known + 1):
        return known
    step = 1
    while exists(known + 1 + step):
        step *= 2
    # `present` exists, `absent` does not, here and after each round. The last step
    # that succeeded was half of the one that failed; 1 // 2 is 0, and known + 1 exists.
    present, absent = known + 1 + step // 2, known + 1 + step
    while absent - present > 1:
        middle = (present + absent) // 2
        if exists(middle):
            present = middle
        else:
            absent = middle
    return present
