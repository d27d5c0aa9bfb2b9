"""One tree of errors, drawn in its module, that crosses process borders."""

import pickle

import pytest

from lakehouse import errors
from lakehouse.errors import (
    InvalidInputError,
    LakehouseError,
    Problem,
    UploadFailedError,
)

TREE = {
    "AlreadyExistsError": ValueError,
    "ArchivedError": LakehouseError,
    "ConflictError": LakehouseError,
    "FormatError": LakehouseError,
    "InvalidInputError": ValueError,
    "LakehouseError": Exception,
    "NotFoundError": KeyError,
    "StorageError": OSError,
    "UploadFailedError": LakehouseError,
    "WaitTimeoutError": TimeoutError,
}
PROBLEM = Problem("f1", "l1", "labels['l1'].top", "value.type", "what", "do", "error")


def made(name: str) -> LakehouseError:
    extra = {"upload_id": "u"} if name == "UploadFailedError" else {}
    error: LakehouseError = getattr(errors, name)("what, why, what to do", **extra)
    return error


def test_every_error_is_in_the_tree() -> None:
    exceptions = {name for name in errors.__all__ if name.endswith("Error")}
    assert exceptions == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_an_error_is_what_the_drawing_says(name: str) -> None:
    error = made(name)

    assert isinstance(error, LakehouseError)
    assert isinstance(error, TREE[name])
    assert str(error) == "what, why, what to do"
    assert error.kind.count(".") == 1
    line = next(line for line in (errors.__doc__ or "").splitlines() if name in line)
    builtin = TREE[name].__name__
    assert (f"(also a {builtin})" in line or f"(also an {builtin})" in line) == (
        TREE[name] not in {LakehouseError, Exception}
    )


@pytest.mark.parametrize("name", TREE)
def test_an_error_survives_pickling(name: str) -> None:
    error = made(name)

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_problems_travel_with_their_error() -> None:
    refused = InvalidInputError("no", problems=[PROBLEM])
    failed = UploadFailedError("no", upload_id="u1", problems=[PROBLEM])

    assert pickle.loads(pickle.dumps(refused)).problems == (PROBLEM,)
    assert pickle.loads(pickle.dumps(failed)).upload_id == "u1"


def test_only_what_may_succeed_again_is_retryable() -> None:
    retryable = {name for name in TREE if made(name).retryable}

    assert retryable == {"ConflictError", "WaitTimeoutError"}
