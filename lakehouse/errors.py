"""The exceptions of this package, grouped by what a caller can do about them.

    LakehouseError
    ├── NotFoundError           (also a KeyError)    name something that exists
    ├── AlreadyExistsError      (also a ValueError)  choose another name, or ask for exist_ok
    ├── InvalidInputError       (also a ValueError)  mend the input: nothing was written
    ├── UploadFailedError                            read upload.errors(), mend, upload.retry()
    ├── ConflictError                                try again: another writer was first
    ├── StorageError            (also an OSError)    mend the store or its credentials
    ├── FormatError                                  upgrade the package, or mend the lake
    ├── ArchivedError                                unarchive it, or write elsewhere
    └── WaitTimeoutError        (also a TimeoutError) wait longer, or run the merge

Every error carries `kind`, a stable dotted code for the precise failure, and
`retryable`, whether the same call may succeed when made again.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "AlreadyExistsError",
    "ArchivedError",
    "ConflictError",
    "FormatError",
    "InvalidInputError",
    "LakehouseError",
    "NotFoundError",
    "Problem",
    "Severity",
    "StorageError",
    "UploadFailedError",
    "WaitTimeoutError",
    "import_extra",
]


class LakehouseError(Exception):
    """The root of all errors this package raises on purpose.

    >>> error = LakehouseError("no such thing", kind="lake.example")
    >>> (str(error), error.kind, error.retryable)
    ('no such thing', 'lake.example', False)
    """

    def __init__(
        self, message: str, *, kind: str = "lake.error", retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.retryable = retryable

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(vars(self)))


def _rebuild(
    cls: type[LakehouseError], message: str, state: dict[str, Any]
) -> LakehouseError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    vars(error).update(state)
    return error


class NotFoundError(LakehouseError, KeyError):
    """What was named does not exist."""


class AlreadyExistsError(LakehouseError, ValueError):
    """The name is taken."""


class InvalidInputError(LakehouseError, ValueError):
    """The call was refused before anything was written.

    `problems` lists all problems, not just the first one.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "input.invalid",
        problems: Sequence["Problem"] = (),
    ) -> None:
        super().__init__(message, kind=kind)
        self.problems = tuple(problems)


class UploadFailedError(LakehouseError):
    """An upload did not land, or only a part of it did; `problems` says why."""

    def __init__(
        self,
        message: str,
        *,
        upload_id: str,
        kind: str = "upload.failed",
        problems: Sequence["Problem"] = (),
    ) -> None:
        super().__init__(message, kind=kind)
        self.upload_id = upload_id
        self.problems = tuple(problems)


class ConflictError(LakehouseError):
    """Another writer came first; the same call may succeed now."""

    def __init__(self, message: str, *, kind: str = "ledger.conflict") -> None:
        super().__init__(message, kind=kind, retryable=True)


class StorageError(LakehouseError, OSError):
    """The store failed, or cannot do what the ledger needs of it."""


class FormatError(LakehouseError):
    """A file of the lake was written by a newer release, or is damaged."""


class ArchivedError(LakehouseError):
    """The target is archived: it can be read and not written."""


class WaitTimeoutError(LakehouseError, TimeoutError):
    """The upload was not settled in the time given."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="upload.timeout", retryable=True)


Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of one value.

    >>> problem = Problem("f1", "l1", "labels['l1'].width", "box.degenerate", "…", "…")
    >>> problem.severity
    'error'
    """

    frame_id: str | None
    """The frame with the problem, where one can be named."""
    label_id: str | None
    """The label with the problem; None for a problem of the frame itself."""
    path: str
    """Where the value is: `labels['lab_1'].top`."""
    rule: str
    """A stable dotted code, such as `class.unknown`."""
    message: str
    """What is wrong, and what the rule is."""
    hint: str
    """What to do."""
    severity: Severity = "error"
    """`error` rejects the frame, `warning` does not."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message} {self.hint}".strip()


def import_extra(module: str, extra: str, what: str) -> Any:  # noqa: ANN401 - a module
    """A module that only an extra of this package installs.

    Args:
        module: Its dotted name.
        extra: The extra that installs it.
        what: What needs it, as the start of a sentence: "Masks need Pillow".

    Raises:
        LakehouseError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LakehouseError(
            f"{what}: pip install 'lakehouse[{extra}]'.", kind="extra.missing"
        ) from error
