"""Reading what may be damaged: whatever a decoder raises is one error with a reason."""

from collections.abc import Generator
from contextlib import contextmanager

import polars as pl

from lakehouse.errors import NotFoundError, StorageError

__all__ = ["UnreadableError", "may_be_damaged"]


class UnreadableError(Exception):
    """A file whose rows cannot be had; its text says why."""


@contextmanager
def may_be_damaged() -> Generator[None]:
    """Turn what damaged bytes make a decoder raise into an `UnreadableError`.

    Raises:
        NotFoundError: If the file is gone: that is no damage yet.
        StorageError: If the store failed and the same call may succeed.
        UnreadableError: If anything else went wrong.
    """
    try:
        yield
    except NotFoundError:
        raise
    except StorageError as error:
        if error.retryable:
            raise
        raise UnreadableError(str(error)) from error
    except (Exception, pl.exceptions.PanicException) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
