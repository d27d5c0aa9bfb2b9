"""The names users meet. Adding or dropping one is a decision, made here too."""

import importlib
import inspect

import pytest

import lakehouse

EXPECTED = [
    "AlreadyExistsError",
    "ArchivedError",
    "Checkpoint",
    "ClassMap",
    "ConflictError",
    "Dataset",
    "Diff",
    "Draft",
    "Export",
    "FormatError",
    "Garbage",
    "Import",
    "InferenceDraft",
    "InferenceSet",
    "InvalidInputError",
    "LabelClass",
    "Lake",
    "LakehouseError",
    "NotFoundError",
    "Problem",
    "Project",
    "Segment",
    "Snapshot",
    "StorageError",
    "Upload",
    "UploadFailedError",
    "Verification",
    "WaitTimeoutError",
    "connect",
    "open_lock",
]
DOORS = (
    "lakehouse",
    "lakehouse.aquarium",
    "lakehouse.cli",
    "lakehouse.cli.demo",
    "lakehouse.versions",
    "lakehouse.transactions",
    "lakehouse.errors",
    "lakehouse.formats",
    "lakehouse.metrics",
    "lakehouse.segments",
    "lakehouse.storage",
    "lakehouse.testing",
    "lakehouse.verify",
)


def test_the_names_are_the_ones_promised() -> None:
    assert list(lakehouse.__all__) == EXPECTED


@pytest.mark.parametrize("door", DOORS)
def test_all_is_sorted_and_true(door: str) -> None:
    module = importlib.import_module(door)

    assert list(module.__all__) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("name", EXPECTED)
def test_public_names_explain_themselves(name: str) -> None:
    public = getattr(lakehouse, name)

    assert inspect.getdoc(public)
    if inspect.isclass(public):
        own = [member for member in vars(public) if not member.startswith("_")]
        fields = getattr(public, "__dataclass_fields__", {})
        described = [member for member in own if member not in fields]
        assert all(inspect.getdoc(getattr(public, member)) for member in described)
