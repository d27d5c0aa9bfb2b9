"""Every operation, every storage call it makes, every way the call can go wrong.

Afterwards the same call again, in a lake opened afresh: nothing is lost, nothing
is doubled, and the dataset is as if nothing had happened.
"""

import multiprocessing
import os
import shutil
import uuid
from pathlib import Path

import pytest

import lakehouse
from lakehouse.catalog.versioned import Versioned
from lakehouse.errors import LakehouseError
from lakehouse.storage import open_store
from lakehouse.testing.faults import Fault, FaultyStore
from lakehouse.testing.invariants import (
    assert_equals_model,
    assert_ledger_linear,
    assert_sound,
)
from tests.stateful.faults.operations import (
    MODELS,
    OPERATIONS,
    OTHERS,
    SEGMENTS,
    before,
    cloned,
    expected,
    expected_elements,
    run,
)
from tests.stateful.faults.victim import suffer

# Every call is a minute and more of work: `make test` takes one in so many, beginning
# elsewhere for each operation, and `make test-slow` takes them all.
STRIDE = 8

PROCESSES = multiprocessing.get_context("forkserver")
# Each victim is a process of its own that need not import everything anew. One at a
# time: starting a process also reaps others, whose exit codes a second thread would miss.
PROCESSES.set_forkserver_preload(["tests.stateful.faults.victim"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults") / "lake"
    before(str(root))
    return root


def copy_of(prepared: Path, place: Path) -> str:
    # No file is ever changed in place, so a second name is as good as a copy.
    shutil.copytree(prepared, place, copy_function=os.link)
    return str(place)


def calls_of(prepared: Path, place: Path, name: str) -> list[str]:
    store = FaultyStore(open_store(copy_of(prepared, place)))
    run(store, name, str(uuid.uuid4()))
    return store.calls


def assert_mended(root: str, name: str, upload_id: str) -> None:
    """The same call again, afresh, and the dataset is right."""
    upload = run(open_store(root), name, upload_id)
    dataset = lakehouse.connect(root).project("cells").dataset("hela")
    assert not dataset.is_processing
    if upload is not None:
        parts = {"partly_rejected", "revert"}
        assert upload.status == ("PARTIAL" if name in parts else "DONE")
        sent_to = upload_place(dataset, name)
        assert sent_to.uploads()["upload_id"].to_list().count(upload_id) == 1
    assert_equals_model(dataset.latest(), expected(name))
    assert_ledger_linear(dataset)
    assert_sound(dataset.latest())
    if name == "collect_garbage":
        for version in dataset.versions()["version"]:
            assert_sound(dataset.at(version))
    if name == "checkpoint":
        assert dataset.checkpoints()["version"].to_list() == [1]
    if name == "clone":
        copy = lakehouse.connect(root).project("cells").dataset("copy")
        assert_equals_model(copy.latest(), cloned())
        assert copy.verify().is_sound
        assert copy._collection.ledger.is_published(0)
    if name in MODELS:
        dataset.merge_pending()  # Whoever comes next publishes what was decided.
    for place in (dataset, *dataset.inference_sets()):
        head = place._collection.head().version
        assert place._collection.ledger.is_published(head)
    assert_models(dataset, name)
    if name in SEGMENTS:
        assert_segments(lakehouse.connect(root).project("cells"), name)


def assert_segments(project: lakehouse.Project, name: str) -> None:
    """Segments are as an operation leaves them, and read as they were added."""
    wanted = ["blurred", "loose"] if name == "create_segment" else ["loose"]
    assert [one.name for one in project.segments()] == wanted
    elements = expected_elements(name)
    rows = project.segment("loose").tracking().to_dicts()
    tracked = {
        f"{row['frame_id']}/{row['label_id']}": (
            row["version"],
            row["earlier"],
            row["batch"],
        )
        for row in rows
    }
    assert tracked == elements
    widths = project.segment("loose").elements().select("label_id", "version", "width")
    for label_id, version, width in widths.iter_rows():
        assert width == (5.0 if (label_id, version) == ("b", 2) else 3.0)


def upload_place(dataset: lakehouse.Dataset, name: str) -> Versioned:
    """What an operation sends its upload to."""
    return dataset.inference_set("model_a") if name == "add_inferences" else dataset


def assert_models(dataset: lakehouse.Dataset, name: str) -> None:
    """The inference sets are as an operation leaves them."""
    pins = {one.name: one.pin for one in dataset.inference_sets()}
    wanted = {"model_a": 1 if name == "repin" else 2}
    if name == "create_inference_set":
        wanted["model_b"] = 2
    assert pins == wanted
    model = dataset.inference_set("model_a")
    assert model.pins().height == (name == "repin")
    label_ids = model.latest().inferences().collect()["label_id"].sort().to_list()
    assert label_ids == (["x", "y"] if name == "add_inferences" else ["x"])
    assert_ledger_linear(model)
    assert_sound(model.latest())
    assert_sound(model.ground_truth())


@pytest.mark.parametrize(
    ("fault", "stride"),
    [
        ("before", STRIDE),
        pytest.param("before", 1, marks=pytest.mark.slow),
        pytest.param("lost", 1, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", [*OPERATIONS, *OTHERS, *MODELS, *SEGMENTS])
def test_a_failing_call_is_mended_by_the_same_call(
    prepared: Path, tmp_path: Path, name: str, fault: Fault, stride: int
) -> None:
    calls = calls_of(prepared, tmp_path / "counted", name)
    assert len(calls) > (5 if name in SEGMENTS else 20)

    failed = 0
    chosen = range(len(name) % stride, len(calls), stride)
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


def die(prepared: Path, place: Path, name: str, at: int, fault: Fault) -> int | None:
    """Let a process die at a call, then make the call again."""
    root = copy_of(prepared, place)
    upload_id = str(uuid.uuid4())
    victim = PROCESSES.Process(
        target=suffer, args=(root, name, upload_id, at, fault), daemon=True
    )
    victim.start()
    victim.join()
    assert_mended(root, name, upload_id)
    shutil.rmtree(root)
    return victim.exitcode


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OPERATIONS, *OTHERS, *MODELS, *SEGMENTS])
def test_a_death_is_mended_by_the_same_call(
    prepared: Path, tmp_path: Path, name: str
) -> None:
    calls = calls_of(prepared, tmp_path / "counted", name)
    # A death after one call is a death before the next; the last one has no next.
    cases: list[tuple[int, Fault]] = [(at, "kill_before") for at in range(len(calls))]
    cases.append((len(calls) - 1, "kill_after"))

    codes = [
        die(prepared, tmp_path / f"{at}-{fault}", name, at, fault)
        for at, fault in cases
    ]

    assert set(codes) == {-9}
    print(f"{name}: {len(calls)} calls, {len(codes)} deaths, all mended")
