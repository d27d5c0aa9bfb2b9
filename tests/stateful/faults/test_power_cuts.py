"""Power cuts and disks that fail for good: every operation, at every call that writes.

A store forgets whatever was not made durable. What was answered is there, whole; and
the same call again, afresh, leaves the dataset as if nothing had happened.
"""

import shutil
import uuid
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Final, get_args

import pytest

import lakehouse
from lakehouse.errors import LakehouseError
from lakehouse.storage import open_store
from lakehouse.testing.faults import Fault, FaultyStore, Loss, PowerCut, VolatileStore
from lakehouse.testing.invariants import assert_equals_model
from tests.stateful.faults.operations import (
    MODELS,
    OPERATIONS,
    OTHERS,
    SEGMENTS,
    expected,
    run,
)
from tests.stateful.faults.test_every_fault import (
    assert_mended,
    calls_of,
    copy_of,
    prepared,
    upload_place,
)

__all__ = ["prepared"]

EVERY: Final = [*OPERATIONS, *OTHERS, *MODELS, *SEGMENTS]

LOSSES: Final[tuple[Loss, ...]] = get_args(Loss)

STRIDE: Final = 12
"""`make test` takes one call in so many, beginning elsewhere for each operation."""

CHANGING: Final = ("put", "write_table", "share", "delete", "flush")
"""Between two of these calls a power cut finds the same disk."""


def cut_power(store: VolatileStore, loss: Loss, seed: int) -> int:
    """Cut the power; how many files and folders were lost."""
    lost = store.cut_power(loss, seed)
    for path in lost:
        # A commit that lies there empty is tried where tables are mended.
        if "/_delta_log/" in path and store.exists(path) and not store.read(path):
            store.delete(path)
    return len(lost)


def assert_kept(root: str, name: str, upload_id: str) -> None:
    """What was answered before the power was cut is there, before anybody mends it."""
    dataset = lakehouse.connect(root).project("cells").dataset("hela")
    assert_equals_model(dataset.latest(), expected(name))
    if name in OPERATIONS or name == "add_inferences":
        row = upload_place(dataset, name).uploads().filter(upload_id=upload_id)
        assert row["status"].item() in {"DONE", "PARTIAL"}


@pytest.mark.parametrize(
    "loss",
    [
        "mixed",
        pytest.param("emptied", marks=pytest.mark.slow),
        pytest.param("gone", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", EVERY)
def test_what_was_answered_survives_a_power_cut(
    prepared: Path, tmp_path: Path, name: str, loss: Loss
) -> None:
    root = copy_of(prepared, tmp_path / "lake")
    store = VolatileStore(root)
    upload_id = str(uuid.uuid4())
    run(FaultyStore(store), name, upload_id)

    lost = cut_power(store, loss, len(name))

    print(f"{name}, {loss}: {lost} files and folders were lost")
    assert_kept(root, name, upload_id)
    # Commits in tables' logs are never flushed: whoever writes next publishes them.
    for one in (
        lakehouse.connect(root).project("cells").dataset("hela").inference_sets()
    ):
        one.merge_pending()
    assert_mended(root, name, upload_id)


@pytest.mark.parametrize(
    "stride", [STRIDE, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize("name", EVERY)
def test_a_call_that_a_power_cut_ends_is_mended_by_the_same_call(
    prepared: Path, tmp_path: Path, name: str, stride: int
) -> None:
    calls = calls_of(prepared, tmp_path / "counted", name)
    changing = [at for at, call in enumerate(calls) if call.startswith(CHANGING)]
    chosen = changing[len(name) % stride :: stride]

    for at, loss in zip(chosen, cycle(LOSSES), strict=False):
        root = copy_of(prepared, tmp_path / f"{at}")
        store = VolatileStore(root)
        upload_id = str(uuid.uuid4())
        with suppress(PowerCut):
            run(FaultyStore(store, at, "cut"), name, upload_id)
        cut_power(store, loss, at)
        assert_mended(root, name, upload_id)
        shutil.rmtree(root)
    print(f"{name}: {len(chosen)} power cuts, 0 lost, 0 doubled, 0 torn")


@pytest.mark.parametrize(
    "stride", [STRIDE, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize(
    "fault",
    [
        "full",
        pytest.param("io", marks=pytest.mark.slow),
        pytest.param("denied", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", EVERY)
def test_a_disk_that_fails_for_good_is_mended_by_the_same_call(
    prepared: Path, tmp_path: Path, name: str, fault: Fault, stride: int
) -> None:
    calls = calls_of(prepared, tmp_path / "counted", name)
    changing = [at for at, call in enumerate(calls) if call.startswith(CHANGING)]
    chosen = changing[len(name) % stride :: stride]

    failed = 0
    for at in chosen:
        root = copy_of(prepared, tmp_path / f"{at}")
        upload_id = str(uuid.uuid4())
        try:
            run(FaultyStore(open_store(root), at, fault), name, upload_id)
        except LakehouseError:
            failed += 1
        assert_mended(root, name, upload_id)
        shutil.rmtree(root)
    print(f"{name}, {fault}: {len(chosen)} calls, {failed} made the operation fail")
